//! WebAssembly with 128-bit vectors: pairs of words by `i32x4.dot_i16x8_s`, whose sums of two products do not saturate. 8-bit
//! inputs and weights are widened to words.
//!
//! The relaxed dot product of bytes, `i16x8.relaxed_dot_i8x16_i7x16_s`, is exact only if one factor has 7 bits, and weights
//! have 8: engines would differ in the pictures.

use core::arch::wasm32::*;

use super::Method;
use super::pairs::{self, Pairs};
use super::tile::{Dot, Rows, product};
use super::winograd::{self, Steps};
use crate::kernels::int8::Simd128;

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
