//! x86-64: attention by AVX2, AVX-VNNI, AVX-512 and AVX-512 VNNI.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::lanes::{Lanes, SPLIT, some};
use super::tile::{Job, Method, keys, queries};
use super::{POWERS, Scale};
use crate::kernels::isa::Isa;

/// How an instruction set computes attention.
pub fn method(isa: Isa) -> Method {
    match isa {
        Isa::Avx512Vnni => avx512_vnni(),
        Isa::Avx512 => avx512(),
        Isa::AvxVnni => avx_vnni(),
        _ => avx2(),
    }
}

/// Defines the steps of attention by an instruction set.
macro_rules! methods {
    ($($name:ident: $lanes:ty, $rows:literal, $features:literal;)*) => {$(
        fn $name() -> Method {
            #[target_feature(enable = $features)]
            unsafe fn project(job: &Job, tokens: core::ops::Range<usize>) {
                // SAFETY: the caller's promises, and the features of this function.
                unsafe { keys::<$lanes>(job, tokens) }
            }
            #[target_feature(enable = $features)]
            unsafe fn attend(job: &Job, tokens: core::ops::Range<usize>) {
                // SAFETY: as above.
                unsafe { queries::<$lanes, $rows>(job, tokens) }
            }
            Method { keys: project, queries: attend, rows: $rows }
        }
    )*};
}

methods! {
    avx512_vnni: Lanes512<true>, 6, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni";
    avx512: Lanes512<false>, 6, "avx512f,avx512bw,avx512vl,avx512dq";
    avx_vnni: Lanes256<true>, 2, "avx2,avxvnni";
    avx2: Lanes256<false>, 2, "avx2";
}

/// Bits by which `power` shifts its product, but for the last: added to the whole powers of two beforehand.
const DROPPED: i32 = 9;
/// Largest power of two that is looked at, see `power`.
const LAST: i32 = ((17 + DROPPED) << 16) - 1;

/// A scale with a shift of at least 32, as a multiplier without sign, what is added to the product (half for rounding, and
/// [`DROPPED`]) and the shift.
fn factors(scale: Scale) -> (i64, i64, i32) {
    // With shifts in `NEAR` a multiplier below 2^20 becomes one below 2^31, and the sum stays below 2^64.
    let shift = scale.shift.max(32);
    let start = ((DROPPED as u64) << (16 + shift)) as i64 + (1 << (shift - 1));
    (i64::from(scale.multiplier) << (shift - scale.shift), start, shift as i32)
}

/// What is taken off powers, for words have a sign.
const MIDDLE: i32 = 1 << 15;

/// Neighbouring powers: one, less [`MIDDLE`], in the lower word; how much larger the next one is in the upper.
const PAIRS: [i32; 128] = {
    let (mut pairs, mut i) = ([0; 128], 0);
    while i < 128 {
        let (here, next) = (POWERS[i] as i32, POWERS[i + 1] as i32);
        pairs[i] = (here - MIDDLE) & 0xffff | (next - here) << 16;
        i += 1;
    }
    pairs
};

/// AVX-512, with sums of products of words in one instruction or in two.
pub struct Lanes512<const VNNI: bool>;

/// Two vectors of neighbouring channels from two that lie as unpacked: each by fours.
const IN_ORDER: [[i32; 16]; 2] = {
    let (mut index, mut i) = ([[0; 16]; 2], 0);
    while i < 32 {
        // The lower four of each eight are in the first vector.
        index[i / 16][i % 16] = (i / 8 * 4 + i % 4 + i / 4 % 2 * 16) as i32;
        i += 1;
    }
    index
};

/// Of four keys' channels, eight times four of each, the first four of every key, the third, and so on; then the others.
const BY_FOURS: [[i32; 16]; 2] = {
    let (mut index, mut i) = ([[0; 16]; 2], 0);
    while i < 32 {
        index[i / 16][i % 16] = (i % 4 * 8 + i / 4 % 4 * 2 + i / 16) as i32;
        i += 1;
    }
    index
};
/// First bytes of four times four, then the second ones, and so on.
const TRANSPOSED: [u8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// The same as bytes, each four in the place of two words.
const SPLIT_NARROW: [u8; 16] = [1, 5, 9, 13, 255, 255, 255, 255, 0, 4, 8, 12, 255, 255, 255, 255];

/// Moves the bytes of each quarter.
///
/// # Safety
/// Needs AVX-512 BW.
#[inline(always)]
unsafe fn shuffle_512(v: __m512i, index: &[u8; 16]) -> __m512i {
    // SAFETY: promised by the caller; the index is there.
    unsafe { _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_loadu_si128(index.as_ptr().cast()))) }
}

/// Up to 32 bytes from each place, then zeros.
///
/// # Safety
/// Needs AVX-512 BW and VL, and as many bytes at both places.
#[inline(always)]
unsafe fn pair_512(a: *const i8, b: *const i8, count: usize) -> __m512i {
    // SAFETY: promised by the caller.
    unsafe {
        let (a, b) = if count >= 32 {
            (_mm256_loadu_si256(a.cast()), _mm256_loadu_si256(b.cast()))
        } else {
            let some = first_of_32(count);
            (_mm256_maskz_loadu_epi8(some, a), _mm256_maskz_loadu_epi8(some, b))
        };
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b)
    }
}

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl<const VNNI: bool> Lanes for Lanes512<VNNI> {
    type V = __m512i;
    const LANES: usize = 16;
    const KEYS: usize = if VNNI { 4 } else { 2 };

    #[inline(always)]
    unsafe fn prefetch(at: *const i8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at) }
    }
    #[inline(always)]
    unsafe fn splat(x: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const i32) -> __m512i {
        unsafe { _mm512_loadu_si512(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const i32, count: usize) -> __m512i {
        unsafe { _mm512_maskz_loadu_epi32(((1u32 << count) - 1) as u16, at) }
    }
    #[inline(always)]
    unsafe fn store(v: __m512i, at: *mut i32) {
        unsafe { _mm512_storeu_si512(at.cast(), v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_max_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        unsafe { if VNNI { _mm512_dpwssd_epi32(sums, a, b) } else { _mm512_add_epi32(sums, _mm512_madd_epi16(a, b)) } }
    }
    #[inline(always)]
    unsafe fn weights(scores: __m512i, best: __m512i, scale: Scale) -> __m512i {
        unsafe {
            let below = _mm512_sub_epi32(best, scores);
            let (multiplier, start, shift) = factors(scale);
            let (multiplier, start) = (_mm512_set1_epi64(multiplier), _mm512_set1_epi64(start));
            let scaled = |x, shift| {
                let product = _mm512_add_epi64(_mm512_mul_epu32(x, multiplier), start);
                _mm512_srl_epi64(product, _mm_cvtsi32_si128(shift))
            };
            // Odd ones into the upper half at once.
            let (even, odd) = (scaled(below, shift), scaled(_mm512_srli_epi64::<32>(below), shift - 32));
            let t = _mm512_min_epu32(_mm512_mask_mov_epi32(even, 0xaaaa, odd), _mm512_set1_epi32(LAST));
            // Two registers hold 32 pairs; the index's upper bits choose among four such.
            let index = _mm512_srli_epi32::<9>(t);
            let pairs = |i: usize| {
                let at = PAIRS.as_ptr().add(32 * i);
                _mm512_permutex2var_epi32(_mm512_loadu_si512(at.cast()), index, _mm512_loadu_si512(at.add(16).cast()))
            };
            let bit = |bit: i32| _mm512_test_epi32_mask(index, _mm512_set1_epi32(bit));
            let (first, second) = (
                _mm512_mask_mov_epi32(pairs(0), bit(32), pairs(1)),
                _mm512_mask_mov_epi32(pairs(2), bit(32), pairs(3)),
            );
            let pair = _mm512_mask_mov_epi32(first, bit(64), second);
            // Of three numbers the first two by `and`, the third by `or`.
            let (between, one) = (_mm512_set1_epi32(511 << 16), _mm512_set1_epi32(512));
            let factors = _mm512_ternarylogic_epi32::<0b11_10_10_10>(_mm512_slli_epi32::<16>(t), between, one);
            let power = Self::dot(_mm512_set1_epi32(MIDDLE << 9), pair, factors);
            let twice = _mm512_srlv_epi32(power, _mm512_srli_epi32::<16>(t));
            _mm512_avg_epu16(twice, _mm512_setzero_si512())
        }
    }
    #[inline(always)]
    unsafe fn split(weights: __m512i, at: *mut i32) {
        unsafe { Self::store(shuffle_512(weights, &SPLIT), at) }
    }
    #[inline(always)]
    unsafe fn words(at: *const i16, count: usize) -> __m512i {
        unsafe { _mm512_maskz_loadu_epi16(first_of_32(count), at) }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8, count: usize) -> __m512i {
        unsafe { _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(first_of_32(count), at)) }
    }
    #[inline(always)]
    unsafe fn interleave(a: __m512i, b: __m512i) -> [__m512i; 2] {
        unsafe { [_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)] }
    }
    #[inline(always)]
    unsafe fn in_order([a, b]: [__m512i; 2]) -> [__m512i; 2] {
        unsafe {
            // Nothing is left to closures here and below: the compiler might call them.
            let [first, second] = &IN_ORDER;
            [
                _mm512_permutex2var_epi32(a, _mm512_loadu_si512(first.as_ptr().cast()), b),
                _mm512_permutex2var_epi32(a, _mm512_loadu_si512(second.as_ptr().cast()), b),
            ]
        }
    }

    #[inline(always)]
    unsafe fn split_narrow(weights: __m512i, at: *mut i32) {
        unsafe { Self::store(shuffle_512(weights, if VNNI { &SPLIT_NARROW } else { &SPLIT }), at) }
    }
    #[inline(always)]
    unsafe fn interleave_narrow(at: [*const i8; 4], count: usize) -> [__m512i; 2] {
        unsafe {
            if !VNNI {
                return Self::interleave(Self::bytes(at[0], count), Self::bytes(at[1], count));
            }
            let [a, b, c, d] = at;
            let (x, y) = (pair_512(a, b, count), pair_512(c, d, count));
            let [first, second] = &BY_FOURS;
            let first = _mm512_permutex2var_epi32(x, _mm512_loadu_si512(first.as_ptr().cast()), y);
            let second = _mm512_permutex2var_epi32(x, _mm512_loadu_si512(second.as_ptr().cast()), y);
            [shuffle_512(first, &TRANSPOSED), shuffle_512(second, &TRANSPOSED)]
        }
    }
    #[inline(always)]
    unsafe fn dot_narrow(sums: __m512i, weights: i32, values: __m512i) -> __m512i {
        let weights = unsafe { Self::splat(weights) };
        unsafe { if VNNI { _mm512_dpbusd_epi32(sums, weights, values) } else { Self::dot(sums, weights, values) } }
    }
}

/// The first so many of 32 bits.
#[inline(always)]
fn first_of_32(count: usize) -> u32 {
    ((1u64 << count) - 1) as u32
}

/// AVX2, with sums of products of words in one instruction or in two.
pub struct Lanes256<const VNNI: bool>;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl<const VNNI: bool> Lanes for Lanes256<VNNI> {
    type V = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn prefetch(at: *const i8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at) }
    }
    #[inline(always)]
    unsafe fn splat(x: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const i32) -> __m256i {
        unsafe { _mm256_loadu_si256(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const i32, count: usize) -> __m256i {
        unsafe {
            let places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_maskload_epi32(at, _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), places))
        }
    }
    #[inline(always)]
    unsafe fn store(v: __m256i, at: *mut i32) {
        unsafe { _mm256_storeu_si256(at.cast(), v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_max_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        unsafe {
            if VNNI { _mm256_dpwssd_avx_epi32(sums, a, b) } else { _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)) }
        }
    }
    #[inline(always)]
    unsafe fn weights(scores: __m256i, best: __m256i, scale: Scale) -> __m256i {
        unsafe {
            let below = _mm256_sub_epi32(best, scores);
            let (multiplier, start, shift) = factors(scale);
            let (multiplier, start) = (_mm256_set1_epi64x(multiplier), _mm256_set1_epi64x(start));
            let scaled = |x, shift| {
                let product = _mm256_add_epi64(_mm256_mul_epu32(x, multiplier), start);
                _mm256_srl_epi64(product, _mm_cvtsi32_si128(shift))
            };
            // Odd ones into the upper half at once.
            let (even, odd) = (scaled(below, shift), scaled(_mm256_srli_epi64::<32>(below), shift - 32));
            let t = _mm256_blend_epi32::<0b10101010>(even, odd);
            let t = _mm256_min_epu32(t, _mm256_set1_epi32(LAST));
            let index = _mm256_and_si256(_mm256_srli_epi32::<9>(t), _mm256_set1_epi32(127));
            let pair = _mm256_i32gather_epi32::<4>(PAIRS.as_ptr(), index);
            let between = _mm256_and_si256(_mm256_slli_epi32::<16>(t), _mm256_set1_epi32(511 << 16));
            let factors = _mm256_or_si256(between, _mm256_set1_epi32(512));
            let power = Self::dot(_mm256_set1_epi32(MIDDLE << 9), pair, factors);
            let twice = _mm256_srlv_epi32(power, _mm256_srli_epi32::<16>(t));
            _mm256_avg_epu16(twice, _mm256_setzero_si256())
        }
    }
    #[inline(always)]
    unsafe fn split(weights: __m256i, at: *mut i32) {
        unsafe {
            let index = _mm256_broadcastsi128_si256(_mm_loadu_si128(SPLIT.as_ptr().cast()));
            Self::store(_mm256_shuffle_epi8(weights, index), at);
        }
    }
    #[inline(always)]
    unsafe fn words(at: *const i16, count: usize) -> __m256i {
        unsafe {
            if count >= 16 {
                return _mm256_loadu_si256(at.cast());
            }
            _mm256_loadu_si256(some::<_, 16>(at, count).as_ptr().cast())
        }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8, count: usize) -> __m256i {
        unsafe {
            if count >= 16 {
                return _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast()));
            }
            _mm256_cvtepi8_epi16(_mm_loadu_si128(some::<_, 16>(at, count).as_ptr().cast()))
        }
    }
    #[inline(always)]
    unsafe fn interleave(a: __m256i, b: __m256i) -> [__m256i; 2] {
        unsafe { [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)] }
    }
    #[inline(always)]
    unsafe fn in_order([a, b]: [__m256i; 2]) -> [__m256i; 2] {
        unsafe { [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)] }
    }
}
