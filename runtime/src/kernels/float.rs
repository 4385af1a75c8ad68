//! Single-precision kernels, with single- or half-precision weights. The order of every sum is fixed, and products and
//! sums are rounded separately, so results agree across targets.

use super::Geometry;

/// A stored weight.
pub trait Weight: Copy {
    /// The weight in single precision, exactly.
    fn to_f32(self) -> f32;
}

impl Weight for f32 {
    fn to_f32(self) -> f32 {
        self
    }
}

/// The bits of a half-precision number.
impl Weight for u16 {
    fn to_f32(self) -> f32 {
        // Moving exponent and mantissa into place leaves the exponent 112 too small; the product corrects it and
        // normalizes subnormals. Infinities and NaN come out finite; quantize never writes them.
        let magnitude = f32::from_bits(u32::from(self & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
        f32::from_bits(magnitude.to_bits() | u32::from(self & 0x8000) << 16)
    }
}

/// Output positions and channels computed together: 4 x 8 sums fit the registers of every SIMD instruction set.
const POSITIONS: usize = 4;
const CHANNELS: usize = 8;
type Tile = [[f32; CHANNELS]; POSITIONS];

/// Weights `[kernel height, kernel width, in, out]` and bias `[out]`.
pub struct Weights<'a, W> {
    pub weight: &'a [W],
    pub bias: &'a [f32],
}

/// Convolution or linear layer.
pub fn conv<W: Weight>(g: &Geometry, x: &[f32], w: &Weights<W>, residual: Option<&[f32]>, relu: bool, out: &mut [f32]) {
    for oy in 0..g.out_height {
        for ox in (0..g.out_width).step_by(POSITIONS) {
            let positions = POSITIONS.min(g.out_width - ox);
            for oc in (0..g.out_channels).step_by(CHANNELS) {
                let channels = CHANNELS.min(g.out_channels - oc);
                let tile = tile(g, x, w, oy, ox..ox + positions, oc..oc + channels);
                for (p, sums) in tile.iter().take(positions).enumerate() {
                    let at = (oy * g.out_width + ox + p) * g.out_channels + oc;
                    for (i, &sum) in sums[..channels].iter().enumerate() {
                        let y = sum + residual.map_or(0.0, |r| r[at + i]);
                        out[at + i] = if relu { y.max(0.0) } else { y };
                    }
                }
            }
        }
    }
}

fn tile<W: Weight>(
    g: &Geometry,
    x: &[f32],
    w: &Weights<W>,
    oy: usize,
    ox: core::ops::Range<usize>,
    oc: core::ops::Range<usize>,
) -> Tile {
    let mut tile = [[0.0; CHANNELS]; POSITIONS];
    for sums in &mut tile {
        sums[..oc.len()].copy_from_slice(&w.bias[oc.clone()]);
    }
    let full = ox.len() == POSITIONS && oc.len() == CHANNELS;
    let mut taps = w.weight.chunks_exact(g.in_channels * g.out_channels);
    for ky in 0..g.kernel_height {
        let row = g.input_row(oy, ky).map(|iy| &x[iy * g.in_width * g.in_channels..][..g.in_width * g.in_channels]);
        for kx in 0..g.kernel_width {
            let (Some(tap), Some(row)) = (taps.next(), row) else { continue };
            let mut inputs = [None; POSITIONS];
            for (input, ox) in inputs.iter_mut().zip(ox.clone()) {
                *input = g.input_column(ox, kx).map(|ix| &row[ix * g.in_channels..][..g.in_channels]);
            }
            match inputs {
                [Some(a), Some(b), Some(c), Some(d)] if full => {
                    accumulate_tile(&mut tile, [a, b, c, d], tap, g, oc.start)
                }
                _ => {
                    for (sums, input) in tile.iter_mut().zip(inputs) {
                        if let Some(input) = input {
                            accumulate_position(&mut sums[..oc.len()], input, tap, g, oc.start);
                        }
                    }
                }
            }
        }
    }
    tile
}

fn accumulate_tile<W: Weight>(tile: &mut Tile, inputs: [&[f32]; POSITIONS], tap: &[W], g: &Geometry, oc: usize) {
    let [a, b, c, d] = inputs;
    for (((weights, &a), &b), (&c, &d)) in tap.chunks_exact(g.out_channels).zip(a).zip(b).zip(c.iter().zip(d)) {
        for (i, weight) in weights[oc..oc + CHANNELS].iter().enumerate() {
            let weight = weight.to_f32();
            tile[0][i] += a * weight;
            tile[1][i] += b * weight;
            tile[2][i] += c * weight;
            tile[3][i] += d * weight;
        }
    }
}

fn accumulate_position<W: Weight>(sums: &mut [f32], input: &[f32], tap: &[W], g: &Geometry, oc: usize) {
    for (weights, &x) in tap.chunks_exact(g.out_channels).zip(input) {
        for (sum, weight) in sums.iter_mut().zip(&weights[oc..]) {
            *sum += x * weight.to_f32();
        }
    }
}

/// `out = input + (1 - t) * row + t * next row` with `t = fraction / 2^shift`.
pub fn interpolate<W: Weight>(table: &[W], at: super::int8::Position, input: &[f32], out: &mut [f32]) {
    let width = out.len();
    let low = &table[at.row * width..][..width];
    let high = &table[(at.row + 1) * width..][..width];
    let t = at.fraction as f32 / (1u32 << at.shift) as f32;
    for (((out, &x), low), high) in out.iter_mut().zip(input).zip(low).zip(high) {
        let (low, high) = (low.to_f32(), high.to_f32());
        *out = x + (low + (high - low) * t);
    }
}

/// Stored numbers in single precision.
pub fn widen<W: Weight>(stored: &[W], out: &mut [f32]) {
    for (out, w) in out.iter_mut().zip(stored) {
        *out = w.to_f32();
    }
}

/// Mean over all positions of a map.
pub fn global_avg_pool(x: &[f32], out: &mut [f32]) {
    let positions = (x.len() / out.len()) as f32;
    out.fill(0.0);
    for position in x.chunks_exact(out.len()) {
        for (sum, &x) in out.iter_mut().zip(position) {
            *sum += x;
        }
    }
    for sum in out {
        *sum /= positions;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_half_converts_exactly() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits);
            if expected.is_finite() {
                assert_eq!(bits.to_f32().to_bits(), expected.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }
}
