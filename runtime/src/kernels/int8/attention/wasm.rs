//! WebAssembly with 128-bit vectors.
#![allow(unsafe_code)]

use core::arch::wasm32::*;

use super::lanes::{Lanes, some};
use super::tile::{Job, Method, keys, queries};
use super::{PAIRS, Scale};

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

/// Largest power of two that is looked at.
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
        power(i32x4_shuffle::<0, 2, 4, 6>(low, high))
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
                return v128_load(some::<_, 8>(at, count).as_ptr().cast());
            }
            v128_load(at.cast())
        }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8, count: usize) -> v128 {
        unsafe {
            if count < 8 {
                return i16x8_load_extend_i8x8(some::<_, 8>(at, count).as_ptr());
            }
            i16x8_load_extend_i8x8(at)
        }
    }
    #[inline(always)]
    unsafe fn interleave(a: v128, b: v128) -> [v128; 2] {
        [i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b), i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b)]
    }
}

/// [`super::power`] of four numbers up to [`LAST`].
#[inline(always)]
fn power(t: v128) -> v128 {
    let index = v128_and(u32x4_shr(t, 9), i32x4_splat(127));
    // SAFETY: the table has an entry for each index of 7 bits.
    let pair = |i: u32| unsafe { *PAIRS.get_unchecked(i as usize) };
    let pairs = i32x4(
        pair(u32x4_extract_lane::<0>(index)),
        pair(u32x4_extract_lane::<1>(index)),
        pair(u32x4_extract_lane::<2>(index)),
        pair(u32x4_extract_lane::<3>(index)),
    );
    let here = v128_and(pairs, i32x4_splat(0xffff));
    // Both upper words are 0.
    let between = i32x4_dot_i16x8(u32x4_shr(pairs, 16), v128_and(t, i32x4_splat(511)));
    // The 9 bits dropped here count for nothing in what is rounded after the next.
    let power = u32x4_shr(i32x4_sub(i32x4_shl(here, 9), between), 9);
    // There are no shifts by as many bits as each number says: `2^(15 - whole)`, a bit of the two lower bytes, is looked up,
    // and is 0 for 16, of which nothing is left.
    let whole = u32x4_shr(t, 16);
    let bytes = i8x16_sub(v128_or(whole, i32x4_shl(whole, 8)), i32x4_splat(0x8080_0008u32 as i32));
    let bit = u8x16(128, 64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    let up = i8x16_swizzle(bit, bytes);
    u32x4_shr(i32x4_add(i32x4_mul(power, up), i32x4_splat(1 << 15)), 16)
}
