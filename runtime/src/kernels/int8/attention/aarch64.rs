//! 64-bit ARM: attention by NEON, eight numbers in two registers.
#![allow(unsafe_code)]

use core::arch::aarch64::*;

use super::lanes::{Lanes, SPLIT};
use super::tile::{Job, Method, keys, queries};
use super::{PAIRS, Scale};

/// Queries of a tile: their sums and the keys fit 32 registers.
const ROWS: usize = 2;

/// How attention is computed.
pub const METHOD: Method = Method { keys: project, queries: attend, rows: ROWS };

#[target_feature(enable = "neon")]
unsafe fn project(job: &Job, tokens: core::ops::Range<usize>) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { keys::<Neon>(job, tokens) }
}

#[target_feature(enable = "neon")]
unsafe fn attend(job: &Job, tokens: core::ops::Range<usize>) {
    // SAFETY: as above.
    unsafe { queries::<Neon, ROWS>(job, tokens) }
}

/// Largest power of two that is looked at, see `power`.
const LAST: u32 = (17 << 16) - 1;

struct Neon;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for Neon {
    type V = [int32x4_t; 2];
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn prefetch(_: *const i8) {}
    #[inline(always)]
    unsafe fn splat(x: i32) -> Self::V {
        unsafe { [vdupq_n_s32(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(at: *const i32) -> Self::V {
        unsafe { [vld1q_s32(at), vld1q_s32(at.add(4))] }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const i32, count: usize) -> Self::V {
        let number = |i: usize| if i < count { unsafe { *at.add(i) } } else { 0 };
        let numbers: [i32; 8] = core::array::from_fn(number);
        unsafe { Self::load(numbers.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn store(v: Self::V, at: *mut i32) {
        unsafe {
            vst1q_s32(at, v[0]);
            vst1q_s32(at.add(4), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { [vaddq_s32(a[0], b[0]), vaddq_s32(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { [vmaxq_s32(a[0], b[0]), vmaxq_s32(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn dot(sums: Self::V, a: Self::V, b: Self::V) -> Self::V {
        // First words apart from second ones: the compiler does that once for what several sums share.
        unsafe {
            let (a, b) = (a.map(|x| vreinterpretq_s16_s32(x)), b.map(|x| vreinterpretq_s16_s32(x)));
            let (first_a, second_a) = (vuzp1q_s16(a[0], a[1]), vuzp2q_s16(a[0], a[1]));
            let (first_b, second_b) = (vuzp1q_s16(b[0], b[1]), vuzp2q_s16(b[0], b[1]));
            let low = vmlal_s16(sums[0], vget_low_s16(first_a), vget_low_s16(first_b));
            let high = vmlal_high_s16(sums[1], first_a, first_b);
            [vmlal_s16(low, vget_low_s16(second_a), vget_low_s16(second_b)), vmlal_high_s16(high, second_a, second_b)]
        }
    }
    #[inline(always)]
    unsafe fn dot_pair(sums: Self::V, pair: i32, b: Self::V) -> Self::V {
        unsafe {
            let pair = vreinterpret_s16_s32(vdup_n_s32(pair));
            let b = b.map(|x| vreinterpretq_s16_s32(x));
            let (first, second) = (vuzp1q_s16(b[0], b[1]), vuzp2q_s16(b[0], b[1]));
            let low = vmlal_lane_s16::<0>(sums[0], vget_low_s16(first), pair);
            let high = vmlal_high_lane_s16::<0>(sums[1], first, pair);
            [vmlal_lane_s16::<1>(low, vget_low_s16(second), pair), vmlal_high_lane_s16::<1>(high, second, pair)]
        }
    }
    #[inline(always)]
    unsafe fn weights(scores: Self::V, best: Self::V, scale: Scale) -> Self::V {
        unsafe { [weights(scores[0], best[0], scale), weights(scores[1], best[1], scale)] }
    }
    #[inline(always)]
    unsafe fn split(weights: Self::V, at: *mut i32) {
        unsafe {
            let index = vld1q_u8(SPLIT.as_ptr());
            let split = |v| vreinterpretq_s32_s8(vqtbl1q_s8(vreinterpretq_s8_s32(v), index));
            Self::store(weights.map(split), at);
        }
    }
    #[inline(always)]
    unsafe fn words(at: *const i16, count: usize) -> Self::V {
        unsafe {
            let mut some;
            let at = if count < 16 {
                some = [0; 16];
                core::ptr::copy_nonoverlapping(at, some.as_mut_ptr(), count);
                some.as_ptr()
            } else {
                at
            };
            [vld1q_s16(at), vld1q_s16(at.add(8))].map(|x| vreinterpretq_s32_s16(x))
        }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8, count: usize) -> Self::V {
        unsafe {
            let mut some;
            let at = if count < 16 {
                some = [0; 16];
                core::ptr::copy_nonoverlapping(at, some.as_mut_ptr(), count);
                some.as_ptr()
            } else {
                at
            };
            let bytes = vld1q_s8(at);
            [vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes)].map(|x| vreinterpretq_s32_s16(x))
        }
    }
    #[inline(always)]
    unsafe fn interleave(a: Self::V, b: Self::V) -> [Self::V; 2] {
        unsafe {
            let (a, b) = (a.map(|x| vreinterpretq_s16_s32(x)), b.map(|x| vreinterpretq_s16_s32(x)));
            let in_turn = |a, b| [vzip1q_s16(a, b), vzip2q_s16(a, b)].map(|x| vreinterpretq_s32_s16(x));
            [in_turn(a[0], b[0]), in_turn(a[1], b[1])]
        }
    }
}

/// The weights of four keys.
///
/// # Safety
/// Needs NEON.
#[inline(always)]
unsafe fn weights(scores: int32x4_t, best: int32x4_t, scale: Scale) -> int32x4_t {
    // SAFETY: promised by the caller; the table has an entry for each index of 7 bits.
    unsafe {
        let below = vreinterpretq_u32_s32(vsubq_s32(best, scores));
        let multiplier = vdupq_n_u32(scale.multiplier.unsigned_abs());
        // Shifts to the right that add half first.
        let shift = vdupq_n_s64(-i64::from(scale.shift));
        let low = vrshlq_u64(vmull_u32(vget_low_u32(below), vget_low_u32(multiplier)), shift);
        let high = vrshlq_u64(vmull_high_u32(below, multiplier), shift);
        let t = vminq_u32(vqmovn_high_u64(vqmovn_u64(low), high), vdupq_n_u32(LAST));
        let mut index = [0u32; 4];
        vst1q_u32(index.as_mut_ptr(), vandq_u32(vshrq_n_u32::<9>(t), vdupq_n_u32(127)));
        let pairs = index.map(|i| *PAIRS.get_unchecked(i as usize));
        let pairs = vreinterpretq_u32_s32(vld1q_s32(pairs.as_ptr()));
        let here = vshlq_n_u32::<9>(vandq_u32(pairs, vdupq_n_u32(0xffff)));
        let power = vmlsq_u32(here, vshrq_n_u32::<16>(pairs), vandq_u32(t, vdupq_n_u32(511)));
        let whole = vreinterpretq_s32_u32(vshrq_n_u32::<16>(t));
        vreinterpretq_s32_u32(vrshlq_u32(power, vsubq_s32(vdupq_n_s32(-10), whole)))
    }
}
