//! WebAssembly with 128-bit vectors: pairs of words by `i32x4.dot_i16x8_s`, whose sums of two products do not saturate. 8-bit
//! inputs and weights are widened to words.
//!
//! The relaxed dot product of bytes, `i16x8.relaxed_dot_i8x16_i7x16_s`, is exact only if one factor has 7 bits, and weights
//! have 8: engines would differ in the pictures.

use core::arch::wasm32::*;
use core::ops::Range;

use super::finish::write_some;
use super::pairs::{self, Pairs};
use super::tile::{Dot, Rows, product};
use super::winograd::{self, Steps};
use super::{Group, Method};
use crate::kernels::int8::{Int, Residual, Simd128};

/// How words are multiplied.
pub const WORDS: Method<i16> = Method { product: words, excess: false, pairs: Some(PAIRS) };

/// How they are in pairs.
const PAIRS: Pairs<i16> = Pairs { filters: pairs::filters::<Sixteen>, products: pairs::products::<Simd128, 4, 2> };

/// The steps of Winograd's way.
pub const WINOGRAD: Steps = Steps {
    filters: winograd::filters::<Sixteen>,
    inputs: winograd::inputs::<Sixteen>,
    pairs: PAIRS,
    outputs: winograd::outputs,
};

/// Words in two vectors.
#[derive(Clone, Copy)]
struct Sixteen([v128; 2]);

// SAFETY: each function does what the trait says, given its pointers.
unsafe impl pairs::Words for Sixteen {
    #[inline(always)]
    unsafe fn widened(at: *const i8) -> Self {
        unsafe { Self([i16x8_load_extend_i8x8(at), i16x8_load_extend_i8x8(at.add(8))]) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self([i16x8_add(self.0[0], other.0[0]), i16x8_add(self.0[1], other.0[1])])
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self([i16x8_sub(self.0[0], other.0[0]), i16x8_sub(self.0[1], other.0[1])])
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut i16) {
        unsafe {
            v128_store(at.cast(), self.0[0]);
            v128_store(at.add(8).cast(), self.0[1]);
        }
    }
    #[inline(always)]
    unsafe fn store_apart(self, even: *mut i32, odd: *mut i32) {
        unsafe {
            v128_store(even.cast(), i32x4_shuffle::<0, 2, 4, 6>(self.0[0], self.0[1]));
            v128_store(odd.cast(), i32x4_shuffle::<1, 3, 5, 7>(self.0[0], self.0[1]));
        }
    }
}

unsafe fn words(rows: Rows<i16>, count: usize, weight: &[i8], terms: usize, sums: *mut i32) {
    // SAFETY: the caller's promises; the instructions are there wherever this module is compiled.
    unsafe { product::<Words, 1>(rows, count, weight, terms, sums) }
}

/// 4 outputs in two vectors of two; of each output the sums of the first and of the second pair of terms.
struct Words;

// SAFETY: each function does what the trait says, given its pointers.
unsafe impl Dot for Words {
    type Input = i16;
    type Inputs = v128;
    type Weights = [v128; 2];
    type Sums = [v128; 2];
    const OUTPUTS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> [v128; 2] {
        [i32x4_splat(0); 2]
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i16) -> v128 {
        unsafe { v128_load64_splat(at.cast()) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> [v128; 2] {
        unsafe { [i16x8_load_extend_i8x8(at), i16x8_load_extend_i8x8(at.add(8))] }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> [v128; 2] {
        let mut bytes = [0; 16];
        // SAFETY: at most four outputs, of four weights.
        unsafe {
            core::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), outputs * 4);
            Self::weights(bytes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn dot(sums: [v128; 2], inputs: v128, weights: [v128; 2]) -> [v128; 2] {
        [
            i32x4_add(sums[0], i32x4_dot_i16x8(inputs, weights[0])),
            i32x4_add(sums[1], i32x4_dot_i16x8(inputs, weights[1])),
        ]
    }
    #[inline(always)]
    unsafe fn store(sums: [v128; 2], at: *mut i32) {
        let first = i32x4_shuffle::<0, 2, 4, 6>(sums[0], sums[1]);
        let second = i32x4_shuffle::<1, 3, 5, 7>(sums[0], sums[1]);
        unsafe { v128_store(at.cast(), i32x4_add(first, second)) }
    }
}

/// Four stored numbers at a time.
pub trait Four: Int {
    /// Most bits that are dropped beyond 32: numbers in range, shifted up by as many, fit 32 bits, and zero points shifted up
    /// by them and 32 more leave room for the sum.
    const SHIFT: u32;
    /// # Safety
    /// Four numbers lie there.
    unsafe fn read(at: *const Self) -> v128;
    /// # Safety
    /// There is room for four numbers; they are in range.
    unsafe fn write(numbers: v128, at: *mut Self);
}

impl Four for i8 {
    const SHIFT: u32 = 22;
    #[inline(always)]
    unsafe fn read(at: *const i8) -> v128 {
        // SAFETY: promised by the caller.
        unsafe { i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(v128_load32_zero(at.cast()))) }
    }
    #[inline(always)]
    unsafe fn write(numbers: v128, at: *mut i8) {
        let words = i16x8_narrow_i32x4(numbers, numbers);
        // SAFETY: promised by the caller.
        unsafe { v128_store32_lane::<0>(i8x16_narrow_i16x8(words, words), at.cast()) }
    }
}

impl Four for i16 {
    const SHIFT: u32 = 16;
    #[inline(always)]
    unsafe fn read(at: *const i16) -> v128 {
        // SAFETY: promised by the caller.
        unsafe { i32x4_load_extend_i16x4(at) }
    }
    #[inline(always)]
    unsafe fn write(numbers: v128, at: *mut i16) {
        // SAFETY: promised by the caller.
        unsafe { v128_store64_lane::<0>(i16x8_narrow_i32x4(numbers, numbers), at.cast()) }
    }
}

/// Writes the outputs of some positions, four at a time, in 32 bits as on x86-64: only the upper halves of products are looked
/// at. There are no shifts by as many bits as each number says: numbers in range are shifted up to one count by products.
///
/// # Safety
/// `out` holds the positions' outputs, and nobody else touches those of the group.
pub unsafe fn finish<O: Four>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    let (epilogue, width) = (group.epilogue, group.starts.len());
    let (fields, zero) = match epilogue.residual {
        Residual::None => (2, 0),
        Residual::I16(_) => (3, 0),
        Residual::I8(_, zero) | Residual::InPlace(zero) => (3, zero),
    };
    let limit = 1i32 << (epilogue.bits - 1);
    // Relu comes before the zero point: what it lets through is at least that.
    let lowest = if epilogue.relu { epilogue.zero_point.max(-limit) } else { -limit };
    for first in (0..width).step_by(4) {
        let rescale = &group.w.rescale[(group.first_output + first) * fields..];
        let factor = |i: usize, field: usize| rescale.get(i * fields + field).copied().unwrap_or(0);
        let shifts: [u32; 4] = core::array::from_fn(|i| factor(i, 1).wrapping_sub(32) as u32);
        if width - first < 4 || shifts.iter().any(|&shift| shift > O::SHIFT) {
            // SAFETY: promised by the caller.
            unsafe { write_some(group, sums, positions.clone(), first..width.min(first + 4), out) };
            continue;
        }
        let of = |field| i32x4(factor(0, field), factor(1, field), factor(2, field), factor(3, field));
        let per_output = |f: &dyn Fn(u32) -> i32| {
            let [a, b, c, d] = shifts.map(f);
            i32x4(a, b, c, d)
        };
        let (multiplier, residual_factor) = (of(0), if fields == 3 { of(2) } else { i32x4_splat(0) });
        // Half of the last bit that stays, and the zero points.
        let more: [i64; 4] = core::array::from_fn(|i| {
            let residual = if fields == 3 { i64::from(factor(i, 2)) * i64::from(zero) } else { 0 };
            ((1 + 2 * i64::from(epilogue.zero_point)) << (31 + shifts[i])) - residual
        });
        let (more_low, more_high) = (i64x2(more[0], more[1]), i64x2(more[2], more[3]));
        // What is cut off is a whole number of the last bit that stays.
        let least = per_output(&|shift| lowest.min(limit - 1) << shift);
        let most = per_output(&|shift| (limit - 1) << shift);
        let up = per_output(&|shift| 1 << (O::SHIFT - shift));
        // SAFETY: everything is read and written for outputs of the group only. The length of a residual is that of the
        // output.
        unsafe {
            let start = v128_load(group.starts.as_ptr().add(first).cast());
            for (row, position) in positions.clone().enumerate() {
                let at = position * group.channels + group.first_output + first;
                let place = out.add(at);
                let sum = i32x4_add(start, v128_load(sums.as_ptr().add(row * width + first).cast()));
                let mut low = i64x2_add(more_low, i64x2_extmul_low_i32x4(sum, multiplier));
                let mut high = i64x2_add(more_high, i64x2_extmul_high_i32x4(sum, multiplier));
                let residual = match epilogue.residual {
                    Residual::None => None,
                    Residual::I8(r, _) => Some(i8::read(r.as_ptr().add(at))),
                    Residual::I16(r) => Some(i16::read(r.as_ptr().add(at))),
                    Residual::InPlace(_) => Some(O::read(place)),
                };
                if let Some(residual) = residual {
                    low = i64x2_add(low, i64x2_extmul_low_i32x4(residual, residual_factor));
                    high = i64x2_add(high, i64x2_extmul_high_i32x4(residual, residual_factor));
                }
                let upper = i32x4_shuffle::<1, 3, 5, 7>(low, high);
                let cut = i32x4_min(i32x4_max(upper, least), most);
                O::write(i32x4_shr(i32x4_mul(cut, up), O::SHIFT), place);
            }
        }
    }
}
