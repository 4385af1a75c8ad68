//! Normalization.

use crate::format::NormMode;

/// Shape of what is normalized: `[positions, channels]`, the channels in groups for [`NormMode::Group`].
#[derive(Clone, Copy)]
pub struct NormShape {
    pub positions: usize,
    pub channels: usize,
    pub groups: usize,
}

/// `gain * (x - mean) / sqrt(variance + epsilon) + shift`; without a mean for [`NormMode::Rms`]. Sums are in double
/// precision: up to 2^31 numbers share their statistics. `None` stands for what lies in the place of the result.
pub fn norm(
    x: Option<&[f32]>,
    mode: NormMode,
    shape: NormShape,
    epsilon: f32,
    gain: &[f32],
    shift: Option<&[f32]>,
    out: &mut [f32],
) {
    let NormShape { positions, channels, groups } = shape;
    // Blocks of numbers with the same statistics: of every position, or of every group of channels.
    let (blocks, rows, width) = match mode {
        NormMode::Rms | NormMode::Layer => (positions, 1, channels),
        NormMode::Group => (groups, positions, channels / groups),
    };
    for block in 0..blocks {
        let first = block * width;
        // Rows of a group lie a whole position apart.
        let places = move || (0..rows).map(move |row| first + row * channels);
        let count = (rows * width) as f64;
        let mut sums = [0f64; 2];
        for place in places() {
            let numbers = &x.unwrap_or(out)[place..place + width];
            for &x in numbers {
                let x = f64::from(x);
                sums[0] += x;
                sums[1] += x * x;
            }
        }
        let mean = if mode == NormMode::Rms { 0.0 } else { sums[0] / count };
        let variance = (sums[1] / count - mean * mean).max(0.0);
        let factor = (1.0 / libm::sqrt(variance + f64::from(epsilon))) as f32;
        let mean = mean as f32;
        let channel = if mode == NormMode::Group { first } else { 0 };
        for place in places() {
            for i in 0..width {
                let x = x.map_or(out[place + i], |x| x[place + i]);
                let y = (x - mean) * factor * gain[channel + i];
                out[place + i] = shift.map_or(y, |shift| y + shift[channel + i]);
            }
        }
    }
}
