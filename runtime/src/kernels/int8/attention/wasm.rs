//! WebAssembly with 128-bit vectors.
#![allow(unsafe_code)]

use core::arch::wasm32::*;

use super::lanes::Lanes;
use super::tile::{Job, Method, keys, queries};
use super::{Scale, power};

/// Queries of a tile: their sums and the keys fit the 16 registers of most processors.
const ROWS: usize = 2;

/// How attention is computed.
pub const METHOD: Method = Method { keys: project, queries: attend, rows: ROWS };

unsafe fn project(job: &Job, tokens: core::ops::Range<usize>) {
    // SAFETY: promised by the caller; the instructions are there wherever this module is compiled.
    unsafe { keys::<Simd128>(job, tokens) }
}

unsafe fn attend(job: &Job, tokens: core::ops::Range<usize>) {
    // SAFETY: as above.
    unsafe { queries::<Simd128, ROWS>(job, tokens) }
}

/// Largest power of two that is looked at, see `power`.
const LAST: i64 = (17 << 16) - 1;

/// Four numbers.
pub struct Simd128;

// SAFETY: each function does what the trait says, given its pointers.
unsafe impl Lanes for Simd128 {
    type V = v128;
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn prefetch(_: *const i8) {}
    #[inline(always)]
    unsafe fn splat(x: i32) -> v128 {
        i32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(at: *const i32) -> v128 {
        unsafe { v128_load(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const i32, count: usize) -> v128 {
        let number = |i: usize| if i < count { unsafe { *at.add(i) } } else { 0 };
        i32x4(number(0), number(1), number(2), number(3))
    }
    #[inline(always)]
    unsafe fn store(v: v128, at: *mut i32) {
        unsafe { v128_store(at.cast(), v) }
    }
    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn max(a: v128, b: v128) -> v128 {
        i32x4_max(a, b)
    }
    #[inline(always)]
    unsafe fn dot(sums: v128, a: v128, b: v128) -> v128 {
        i32x4_add(sums, i32x4_dot_i16x8(a, b))
    }
    #[inline(always)]
    unsafe fn weights(scores: v128, best: v128, scale: Scale) -> v128 {
        let below = i32x4_sub(best, scores);
        let multiplier = i32x4_splat(scale.multiplier);
        let (half, last) = (i64x2_splat(1 << (scale.shift - 1)), i64x2_splat(LAST));
        let scaled = |product| {
            // Below 2^52 + 2^61: signed comparison will do.
            let t = u64x2_shr(i64x2_add(product, half), scale.shift);
            v128_bitselect(last, t, i64x2_gt(t, last))
        };
        let low = scaled(u64x2_extmul_low_u32x4(below, multiplier));
        let high = scaled(u64x2_extmul_high_u32x4(below, multiplier));
        // There are no shifts by as many bits as each number says.
        i32x4(
            power(u64x2_extract_lane::<0>(low)) as i32,
            power(u64x2_extract_lane::<1>(low)) as i32,
            power(u64x2_extract_lane::<0>(high)) as i32,
            power(u64x2_extract_lane::<1>(high)) as i32,
        )
    }
    #[inline(always)]
    unsafe fn split(weights: v128, at: *mut i32) {
        let (high, low) = (u32x4_shr(weights, 8), v128_and(weights, i32x4_splat(255)));
        unsafe { v128_store(at.cast(), i16x8_narrow_i32x4(high, low)) }
    }
    #[inline(always)]
    unsafe fn words(at: *const i16, count: usize) -> v128 {
        unsafe {
            if count < 8 {
                let mut words = [0i16; 8];
                core::ptr::copy_nonoverlapping(at, words.as_mut_ptr(), count);
                return v128_load(words.as_ptr().cast());
            }
            v128_load(at.cast())
        }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8, count: usize) -> v128 {
        unsafe {
            if count < 8 {
                let mut bytes = [0i8; 8];
                core::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), count);
                return i16x8_load_extend_i8x8(bytes.as_ptr());
            }
            i16x8_load_extend_i8x8(at)
        }
    }
    #[inline(always)]
    unsafe fn interleave(a: v128, b: v128) -> [v128; 2] {
        [i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b), i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b)]
    }
}
