//! Convolutions and linear layers: 8-bit weights, 32-bit sums, one fixed-point rounding.

use super::fixed::{Int, round_shift};
use crate::kernels::Geometry;

/// Fixed-point scales of one output channel.
#[derive(Clone, Copy, Debug)]
pub struct Rescale {
    /// Factor of the sum, `0..2^31`.
    pub multiplier: i32,
    /// Bits dropped after the products, `1..=62`.
    pub shift: u32,
    /// Factor of the residual.
    pub residual: i32,
}

impl Rescale {
    /// `floor((sum * multiplier + residual * factor) / 2^shift + 1/2)`. The products stay below `2^62 + 2^48` and the
    /// rounding term below `2^61 + 1`, so 64 bits never overflow.
    pub fn apply(self, sum: i32, residual: i32) -> i64 {
        let exact = i64::from(sum) * i64::from(self.multiplier) + i64::from(residual) * i64::from(self.residual);
        round_shift(exact, self.shift)
    }
}

/// What a convolution adds to the rescaled sum.
pub enum Residual<'a> {
    None,
    /// Numbers and their zero point.
    I8(&'a [i8], i32),
    I16(&'a [i16]),
    /// The numbers lie in the output; their zero point. The convolution's input lies elsewhere.
    InPlace(i32),
}

impl Residual<'_> {
    /// The `i`-th number, `place` being where the result goes.
    fn at<O: Int>(&self, i: usize, place: O) -> i32 {
        match self {
            Residual::None => 0,
            Residual::I8(r, zero) => i32::from(r[i]) - zero,
            Residual::I16(r) => i32::from(r[i]),
            Residual::InPlace(zero) => place.into() - zero,
        }
    }
}

/// What happens to a sum before it is stored.
pub struct Epilogue<'a> {
    pub residual: Residual<'a>,
    pub relu: bool,
    pub zero_point: i32,
    /// Bits of what is stored.
    pub bits: u8,
}

/// Weights of a convolution: `[out, kernel height, kernel width, in]` (depthwise `[channels, kernel height, kernel width,
/// 1]`), bias with the input's zero point folded in, and `[out, 2]` scales (multiplier, shift), or `[out, 3]` with a
/// residual (its factor).
pub struct Weights<'a> {
    pub weight: &'a [i8],
    pub bias: &'a [i32],
    pub rescale: &'a [i32],
}

/// Convolution (plain, depthwise or transposed) or linear layer. A tap without an input reads `in_zero`, so that the
/// folded bias holds at the borders too.
pub fn conv<I: Int, O: Int>(g: &Geometry, x: &[I], in_zero: I, w: &Weights, epilogue: &Epilogue, out: &mut [O]) {
    let fields = if matches!(epilogue.residual, Residual::None) { 2 } else { 3 };
    let limit = 1i64 << (epilogue.bits - 1);
    let filter_len = g.kernel_height * g.kernel_width * g.filter_depth();
    let mut positions = out.chunks_exact_mut(g.out_channels).enumerate();
    for oy in 0..g.out_height {
        for ox in 0..g.out_width {
            let Some((position, out)) = positions.next() else { return };
            let channels = out.iter_mut().zip(w.weight.chunks_exact(filter_len)).zip(w.bias);
            for (o, (((out, filter), &bias), scale)) in channels.zip(w.rescale.chunks_exact(fields)).enumerate() {
                let sum = if g.depthwise {
                    depthwise_sum(g, x, in_zero, filter, [oy, ox, o])
                } else {
                    filter_sum(g, x, in_zero, filter, oy, ox)
                };
                let rescale = Rescale {
                    multiplier: scale[0],
                    shift: scale[1] as u32,
                    residual: scale.get(2).copied().unwrap_or(0),
                };
                let residual = epilogue.residual.at(position * g.out_channels + o, *out);
                let mut y = rescale.apply(bias.wrapping_add(sum), residual);
                if epilogue.relu {
                    y = y.max(0);
                }
                *out = O::saturate((y + i64::from(epilogue.zero_point)).clamp(-limit, limit - 1));
            }
        }
    }
}

/// Sum of products of one filter at one output position, wrapping; `quantize` makes only filters that cannot wrap.
fn filter_sum<I: Int>(g: &Geometry, x: &[I], in_zero: I, filter: &[i8], oy: usize, ox: usize) -> i32 {
    let mut sum = 0i32;
    let row_len = g.kernel_width * g.in_channels;
    let whole_row = !g.transposed
        && g.upsample == 1
        && g.input_column(ox, 0).is_some()
        && g.input_column(ox, g.kernel_width - 1).is_some();
    for (ky, taps) in filter.chunks_exact(row_len).enumerate() {
        let Some(iy) = g.input_row(oy, ky) else {
            sum = sum.wrapping_add(padding(in_zero, taps));
            continue;
        };
        let row = &x[iy * g.in_width * g.in_channels..][..g.in_width * g.in_channels];
        if whole_row {
            // All taps of the line lie side by side in memory.
            let first = (ox * g.stride - g.padding) * g.in_channels;
            sum = sum.wrapping_add(dot(&row[first..first + row_len], taps));
            continue;
        }
        for (kx, tap) in taps.chunks_exact(g.in_channels).enumerate() {
            sum = sum.wrapping_add(match g.input_column(ox, kx) {
                Some(ix) => dot(&row[ix * g.in_channels..][..g.in_channels], tap),
                None => padding(in_zero, tap),
            });
        }
    }
    sum
}

/// The same for a filter that reads only channel `c`.
fn depthwise_sum<I: Int>(g: &Geometry, x: &[I], in_zero: I, filter: &[i8], [oy, ox, c]: [usize; 3]) -> i32 {
    let mut sum = 0i32;
    for (ky, taps) in filter.chunks_exact(g.kernel_width).enumerate() {
        let row = g.input_row(oy, ky);
        for (kx, &w) in taps.iter().enumerate() {
            let x = match (row, g.input_column(ox, kx)) {
                (Some(iy), Some(ix)) => x[(iy * g.in_width + ix) * g.in_channels + c],
                _ => in_zero,
            };
            sum = sum.wrapping_add(x.into() * i32::from(w));
        }
    }
    sum
}

fn dot<I: Int>(x: &[I], w: &[i8]) -> i32 {
    x.iter().zip(w).fold(0i32, |sum, (&x, &w)| sum.wrapping_add(x.into() * i32::from(w)))
}

fn padding<I: Int>(zero: I, w: &[i8]) -> i32 {
    let zero: i32 = zero.into();
    if zero == 0 {
        return 0;
    }
    w.iter().fold(0i32, |sum, &w| sum.wrapping_add(i32::from(w) * zero))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rescale_rounds_half_up() {
        let half = Rescale { multiplier: 1, shift: 1, residual: 0 };
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|v| half.apply(v, 0)), [-1, -1, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn rescale_survives_extremes() {
        let r = Rescale { multiplier: i32::MAX, shift: 62, residual: i32::MAX };
        assert_eq!(r.apply(i32::MAX, 65535), 1);
        assert_eq!(r.apply(i32::MIN, -65535), -1);
    }
}
