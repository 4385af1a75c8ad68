//! From sums to stored numbers with few operations of 64 bits.

use core::marker::PhantomData;

use crate::kernels::int8::{Epilogue, Int, Residual, Weights};

/// Numbers of 8 or 16 bits, to be read or written.
#[derive(Clone, Copy)]
pub struct Numbers<'a> {
    at: *mut u8,
    /// Bytes of a number.
    size: usize,
    len: usize,
    life: PhantomData<&'a mut [u8]>,
}

impl<'a> Numbers<'a> {
    /// Numbers that are written.
    pub fn of<O: Int>(out: &'a mut [O]) -> Self {
        Self { at: out.as_mut_ptr().cast(), size: size_of::<O>(), len: out.len(), life: PhantomData }
    }

    /// Numbers that are only read.
    fn read_only<R: Int>(r: &'a [R]) -> Self {
        Self { at: r.as_ptr().cast_mut().cast(), size: size_of::<R>(), len: r.len(), life: PhantomData }
    }

    /// # Safety
    /// There are more numbers than `i`.
    #[inline(always)]
    unsafe fn get(&self, i: usize) -> i32 {
        // SAFETY: promised by the caller.
        unsafe {
            match self.size {
                1 => self.at.add(i).cast::<i8>().read().into(),
                _ => self.at.cast::<i16>().add(i).read().into(),
            }
        }
    }

    /// # Safety
    /// There are more numbers than `i`, and they may be written.
    #[inline(always)]
    unsafe fn set(&self, i: usize, x: i32) {
        // SAFETY: promised by the caller.
        unsafe {
            match self.size {
                1 => self.at.add(i).cast::<i8>().write(x as i8),
                _ => self.at.cast::<i16>().add(i).write(x as i16),
            }
        }
    }
}

/// What turns the sums of a layer into its numbers.
pub struct Layer<'a> {
    rescale: &'a [i32],
    /// Numbers that are added, and their zero point.
    residual: Option<(Numbers<'a>, i32)>,
    zero_point: i32,
    /// What is stored at least and at most.
    least: i32,
    most: i32,
    out: Numbers<'a>,
    /// Outputs of a position.
    channels: usize,
}

impl<'a> Layer<'a> {
    /// For so many positions and outputs of each.
    pub fn new(w: &'a Weights, epilogue: &'a Epilogue, out: Numbers<'a>, positions: usize, channels: usize) -> Self {
        let residual = match epilogue.residual {
            Residual::None => None,
            Residual::I8(r, zero) => Some((Numbers::read_only(r), zero)),
            Residual::I16(r) => Some((Numbers::read_only(r), 0)),
            Residual::InPlace(zero) => Some((out, zero)),
        };
        let fields = if residual.is_some() { 3 } else { 2 };
        assert!(out.len >= positions * channels && w.rescale.len() >= channels * fields);
        assert!(residual.is_none_or(|(r, _)| r.len >= positions * channels));
        let limit = 1i32 << (epilogue.bits - 1);
        let zero_point = epilogue.zero_point;
        let least = if epilogue.relu { zero_point.max(-limit) } else { -limit };
        Self { rescale: w.rescale, residual, zero_point, least, most: limit - 1, out, channels }
    }

    /// The same by vectors, without residuals; whether these can do all shifts. If not, the numbers are wrong.
    #[cfg(helium)]
    fn write_vectors(&self, sums: &[i32], position: usize, count: usize, first_output: usize) -> bool {
        let at = position * self.channels + first_output;
        let numbers = super::helium::Finish {
            rescale: self.rescale[2 * first_output..].as_ptr(),
            sums: sums.as_ptr(),
            out: self.out.at.wrapping_add(at * self.out.size),
            step: self.channels * self.out.size,
            offset: 2 * self.zero_point + 1,
            least: self.least,
            most: self.most,
            outputs: sums.len() / count,
        };
        // SAFETY: the layer has these outputs and their scales at the positions; the sums are there.
        unsafe { numbers.run(self.out.size == 1, count) }
    }

    /// Writes the numbers of neighbouring outputs at `count` neighbouring positions, which the layer has; sums
    /// `[outputs][count]`, bias included.
    pub fn write(&self, sums: &[i32], position: usize, count: usize, first_output: usize) {
        #[cfg(helium)]
        if self.residual.is_none() && self.write_vectors(sums, position, count, first_output) {
            return;
        }
        let first = position * self.channels + first_output;
        let fields = if self.residual.is_some() { 3 } else { 2 };
        let scales = self.rescale[first_output * fields..].chunks_exact(fields);
        // Added after the shift by all but one of the bits that are dropped: rounding, and the zero point.
        let offset = 2 * self.zero_point + 1;
        for (output, (sums, scale)) in sums.chunks_exact(count).zip(scales).enumerate() {
            let (multiplier, shift) = (scale[0], scale[1] as u32);
            let mut at = first + output;
            for &sum in sums {
                let mut exact = i64::from(sum) * i64::from(multiplier);
                if let (Some((residual, zero)), Some(&factor)) = (&self.residual, scale.get(2)) {
                    // SAFETY: the numbers are as many as the layer's outputs.
                    let residual = unsafe { residual.get(at) } - zero;
                    exact += i64::from(residual) * i64::from(factor);
                }
                let y = rounded(exact, shift, offset);
                // SAFETY: the layer has this position and output.
                unsafe { self.out.set(at, y.clamp(self.least, self.most)) };
                at += self.channels;
            }
        }
    }
}

/// `floor(v / 2^shift + offset / 2)` for odd offsets of at most 17 bits and `|v| < 2^62 + 2^61`, or a number beyond 2^29 in its place
/// if that is nearer to zero: what is stored has 16 bits, so that such numbers saturate either way.
#[inline(always)]
fn rounded(v: i64, shift: u32, offset: i32) -> i32 {
    if shift > 32 {
        // The half that is added has no bit in the lower 32, so that these carry nothing into the upper ones.
        return (((v >> 32) as i32 >> (shift - 33)) + offset) >> 1;
    }
    nearest(v, shift, offset)
}

/// The same for small shifts, which networks seldom have.
#[inline(never)]
fn nearest(v: i64, shift: u32, offset: i32) -> i32 {
    let twice = (v >> (shift - 1)).clamp(-(1 << 30), 1 << 30) as i32;
    (twice + offset) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shift_rounds_as_the_definition() {
        let ends = [0, 1, 2, 3, 1 << 31, 1 << 32, (1 << 32) - 1, 3 << 31, 1 << 61, (1 << 62) + (1 << 61) - 1];
        for v in ends.into_iter().flat_map(|v: i64| [v - 1, v, v + 1]).flat_map(|v| [v, -v]) {
            for (shift, zero) in (1..=62).flat_map(|shift| [0, -128, 127, -32768].map(|zero| (shift, zero))) {
                let exact = ((i128::from(v) + (1 << (shift - 1))) >> shift) + i128::from(zero);
                let y = i128::from(rounded(v, shift, 2 * zero + 1));
                if y != exact {
                    // Both saturate.
                    assert!(y.abs() > 1 << 28 && exact.abs() >= y.abs(), "{v} >> {shift}: {y}");
                    assert_eq!(y.signum(), exact.signum());
                }
            }
        }
    }
}
