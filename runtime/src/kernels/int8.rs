//! Integer kernels: 8-bit weights, 8- or 16-bit inputs, 32-bit sums, one fixed-point rounding. See `docs/arithmetic.md`.

use super::Geometry;

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
        (exact + (1 << (self.shift - 1))) >> self.shift
    }
}

/// Integers that a kernel reads and writes.
pub trait Int: Copy + Into<i32> {
    /// The nearest value of this type.
    fn saturate(v: i64) -> Self;
}

impl Int for i8 {
    fn saturate(v: i64) -> Self {
        v.clamp(-128, 127) as i8
    }
}

impl Int for i16 {
    fn saturate(v: i64) -> Self {
        v.clamp(-32768, 32767) as i16
    }
}

/// What a kernel adds to the rescaled sum.
pub enum Residual<'a> {
    None,
    /// Numbers and their zero point.
    I8(&'a [i8], i32),
    I16(&'a [i16]),
    InPlace(i32),
}

impl Residual<'_> {
    fn at(&self, i: usize) -> i32 {
        match self {
            Residual::None => 0,
            Residual::I8(r, zero) => i32::from(r[i]) - zero,
            Residual::I16(r) => i32::from(r[i]),
            Residual::InPlace(_) => 0,
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

/// Weights of a convolution: `[out, kernel height, kernel width, in]`, bias with the input's zero point folded in, and
/// `[out, 2]` scales (multiplier, shift), or `[out, 3]` with a residual (its factor).
pub struct Weights<'a> {
    pub weight: &'a [i8],
    pub bias: &'a [i32],
    pub rescale: &'a [i32],
}

/// Convolution or linear layer. Padding reads `in_zero`, so that the folded bias holds at the borders too.
pub fn conv<I: Int, O: Int>(g: &Geometry, x: &[I], in_zero: I, w: &Weights, epilogue: &Epilogue, out: &mut [O]) {
    let fields = if matches!(epilogue.residual, Residual::None) { 2 } else { 3 };
    let limit = 1i64 << (epilogue.bits - 1);
    let filter_len = g.kernel_height * g.kernel_width * g.in_channels;
    let mut positions = out.chunks_exact_mut(g.out_channels).enumerate();
    for oy in 0..g.out_height {
        for ox in 0..g.out_width {
            let Some((position, out)) = positions.next() else { return };
            let channels = out.iter_mut().zip(w.weight.chunks_exact(filter_len)).zip(w.bias);
            for (o, (((out, filter), &bias), scale)) in channels.zip(w.rescale.chunks_exact(fields)).enumerate() {
                let sum = bias.wrapping_add(filter_sum(g, x, in_zero, filter, oy, ox));
                let rescale = Rescale {
                    multiplier: scale[0],
                    shift: scale[1] as u32,
                    residual: scale.get(2).copied().unwrap_or(0),
                };
                let mut y = rescale.apply(sum, epilogue.residual.at(position * g.out_channels + o));
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
    let whole_row =
        g.upsample == 1 && g.input_column(ox, 0).is_some() && g.input_column(ox, g.kernel_width - 1).is_some();
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

/// `out = input + row at the given position of the table`, saturating; see [`Position`].
pub fn interpolate(table: &[i16], at: Position, input: &[i16], out: &mut [i16]) {
    let width = out.len();
    let low = &table[at.row * width..][..width];
    let high = &table[(at.row + 1) * width..][..width];
    for (((out, &x), &low), &high) in out.iter_mut().zip(input).zip(low).zip(high) {
        let (low, high) = (i64::from(low), i64::from(high));
        let y = low + (((high - low) * i64::from(at.fraction) + (1 << at.shift >> 1)) >> at.shift);
        *out = i16::saturate(i64::from(x) + y);
    }
}

/// A place between two rows of a table: `row + fraction / 2^shift`.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub row: usize,
    pub fraction: u32,
    pub shift: u32,
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
