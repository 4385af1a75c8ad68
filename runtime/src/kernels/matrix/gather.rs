//! Rows of a matrix product: for each output position, the inputs that its filters read, in the order of their terms.

use crate::kernels::Geometry;
use crate::panels::QUAD;

/// How a micro-kernel takes its inputs: from integers of a map to what its instruction multiplies.
pub trait Element<I>: Copy {
    /// What stands for an integer of the map.
    fn prepared(x: I) -> Self;
}

impl Element<i8> for i16 {
    #[inline(always)]
    fn prepared(x: i8) -> Self {
        x.into()
    }
}

impl Element<i16> for i16 {
    #[inline(always)]
    fn prepared(x: i16) -> Self {
        x
    }
}

impl Element<i8> for i8 {
    #[inline(always)]
    fn prepared(x: i8) -> Self {
        x
    }
}

/// For instructions that take one factor unsigned: 128 more, which is taken back from the sums.
impl Element<i8> for u8 {
    #[inline(always)]
    fn prepared(x: i8) -> Self {
        (x as u8) ^ 0x80
    }
}

/// Fills one row: the terms of an output position of a dense convolution. `zero` stands for an input in the padding, `fill`
/// for those that fill groups up.
#[inline(always)]
pub fn row<I: Copy, E: Element<I>>(g: &Geometry, x: &[I], [zero, fill]: [E; 2], [oy, ox]: [usize; 2], row: &mut [E]) {
    let channels = g.in_channels;
    let stored = channels.next_multiple_of(QUAD);
    let mut lines = row.chunks_exact_mut(g.kernel_width * stored);
    for ky in 0..g.kernel_height {
        let Some(line) = lines.next() else { return };
        let Some(iy) = g.input_row(oy, ky) else {
            line.fill(zero);
            continue;
        };
        let input = &x[iy * g.in_width * channels..][..g.in_width * channels];
        if g.upsample == 1 && channels == stored {
            // The taps inside the map lie side by side.
            let left = ox * g.stride;
            let first = g.padding.saturating_sub(left).min(g.kernel_width);
            let last = (g.in_width + g.padding).saturating_sub(left).clamp(first, g.kernel_width);
            line[..first * channels].fill(zero);
            line[last * channels..].fill(zero);
            if first < last {
                let from = &input[(left + first - g.padding) * channels..][..(last - first) * channels];
                copy(from, &mut line[first * channels..last * channels]);
            }
            continue;
        }
        for (kx, tap) in line.chunks_exact_mut(stored).enumerate() {
            match g.input_column(ox, kx) {
                Some(ix) => copy(&input[ix * channels..][..channels], &mut tap[..channels]),
                None => tap[..channels].fill(zero),
            }
            tap[channels..].fill(fill);
        }
    }
}

#[inline(always)]
fn copy<I: Copy, E: Element<I>>(from: &[I], to: &mut [E]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = E::prepared(from);
    }
}
