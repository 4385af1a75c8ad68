//! x86-64: dot products of AVX2, AVX-VNNI, AVX-512 and AVX-512 VNNI.
//!
//! Bytes go through `vpdpbusd`, which takes inputs unsigned (128 too much each, which rows are prepared with: the addition would
//! take the place of a product in five) and does not saturate. Words go through
//! `vpdpwssd`, or `vpmaddwd` and an addition: weights of 8 bits are widened, so that no product of the pair saturates.

pub mod finish;
pub mod pairs;

use core::arch::x86_64::*;

use super::Method;
use super::tile::{Dot, Product, Rows, product};
use super::upsampled::{Add, Line, Pixels, Sums, across, down};
use crate::kernels::isa::Isa;

/// How 8-bit inputs are multiplied as bytes with 128 more, if the processor has instructions for that.
pub fn bytes(isa: Isa) -> Option<Method<u8>> {
    let product: Product<u8> = match isa {
        Isa::Avx512Vnni => bytes_avx512_vnni,
        Isa::AvxVnni => bytes_avx_vnni,
        _ => return None,
    };
    Some(Method { product, excess: true, pairs: None })
}

/// How 8-bit inputs are multiplied where they lie, if the layer has a single output: it reads each as often as widening it would.
pub fn single(outputs: usize) -> Option<Method<i8>> {
    (outputs == 1).then_some(Method { product: single_bytes_avx2, excess: false, pairs: None })
}

/// How words are multiplied.
pub fn words(isa: Isa) -> Method<i16> {
    let product: Product<i16> = match isa {
        Isa::Avx512Vnni => words_avx512_vnni,
        Isa::Avx512 => words_avx512,
        Isa::AvxVnni => words_avx_vnni,
        _ => words_avx2,
    };
    Method { product, excess: false, pairs: Some(pairs::pairs(isa)) }
}

/// Defines a product by an instruction set.
macro_rules! products {
    ($($name:ident: $dot:ty, $wide:literal, $features:literal;)*) => {$(
        #[target_feature(enable = $features)]
        unsafe fn $name(
            rows: Rows<<$dot as Dot>::Input>, count: usize, weight: &[i8], terms: usize, sums: *mut i32,
        ) {
            // SAFETY: the caller's promises, and the features of this function.
            unsafe {
                // The weights of a single output lie side by side, like its inputs: vectors of them, if runs are long.
                match <$dot>::SINGLE {
                    Some(single) if weight.len() == terms && rows.len >= LONG => single(rows, count, weight, sums),
                    _ => product::<$dot, $wide>(rows, count, weight, terms, sums),
                }
            }
        }
    )*};
}

products! {
    bytes_avx512_vnni: Bytes512, 4, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni";
    words_avx512_vnni: Words512<true>, 4, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni";
    words_avx512: Words512<false>, 4, "avx512f,avx512bw,avx512vl,avx512dq";
    bytes_avx_vnni: Bytes256, 2, "avx2,avxvnni";
    words_avx_vnni: Words256<true>, 2, "avx2,avxvnni";
    words_avx2: Words256<false>, 2, "avx2";
}

/// Terms of a run that are worth vectors along them: a tile has one of its lanes for a single output.
const LONG: usize = 16;

/// The sums of a single output.
type Single<E> = unsafe fn(rows: Rows<E>, count: usize, weight: &[i8], sums: *mut i32);

impl Bytes512 {
    const SINGLE: Option<Single<u8>> = Some(single_bytes);
}

impl<const VNNI: bool> Words512<VNNI> {
    const SINGLE: Option<Single<i16>> = if VNNI { Some(single_words) } else { None };
}

impl Bytes256 {
    const SINGLE: Option<Single<u8>> = None;
}

impl<const VNNI: bool> Words256<VNNI> {
    const SINGLE: Option<Single<i16>> = Some(single_256);
}

/// 64 terms at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn single_bytes(rows: Rows<u8>, count: usize, weight: &[i8], sums: *mut i32) {
    for row in 0..count {
        let mut sum = _mm512_setzero_si512();
        for (run, weight) in weight.chunks_exact(rows.len).enumerate() {
            for (i, weight) in (0..).step_by(64).zip(weight.chunks(64)) {
                let mask = u64::MAX >> (64 - weight.len());
                // SAFETY: the row exists; masks keep to the run, in the inputs and in the weights.
                unsafe {
                    let [at] = rows.run::<1>(row, run);
                    let inputs = _mm512_maskz_loadu_epi8(mask, at.add(i).cast());
                    sum = _mm512_dpbusd_epi32(sum, inputs, _mm512_maskz_loadu_epi8(mask, weight.as_ptr()));
                }
            }
        }
        // SAFETY: there is room for a sum of each row.
        unsafe { *sums.add(row) = _mm512_reduce_add_epi32(sum) };
    }
}

/// 32 terms at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn single_words(rows: Rows<i16>, count: usize, weight: &[i8], sums: *mut i32) {
    for row in 0..count {
        let mut sum = _mm512_setzero_si512();
        for (run, weight) in weight.chunks_exact(rows.len).enumerate() {
            for (i, weight) in (0..).step_by(32).zip(weight.chunks(32)) {
                let mask = u32::MAX >> (32 - weight.len());
                // SAFETY: the row exists; masks keep to the run, in the inputs and in the weights.
                unsafe {
                    let [at] = rows.run::<1>(row, run);
                    let weights = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, weight.as_ptr()));
                    sum = _mm512_dpwssd_epi32(sum, _mm512_maskz_loadu_epi16(mask, at.add(i)), weights);
                }
            }
        }
        // SAFETY: there is room for a sum of each row.
        unsafe { *sums.add(row) = _mm512_reduce_add_epi32(sum) };
    }
}

/// A product for a single output.
#[target_feature(enable = "avx2")]
unsafe fn single_bytes_avx2(rows: Rows<i8>, count: usize, weight: &[i8], _: usize, sums: *mut i32) {
    // SAFETY: the caller's promises; there is one output.
    unsafe { single_256(rows, count, weight, sums) }
}

/// Inputs that can be read as words.
trait Words: Copy {
    /// # Safety
    /// Needs AVX2, and 16 inputs.
    unsafe fn sixteen(at: *const Self) -> __m256i;
    /// # Safety
    /// Needs AVX2, and four inputs.
    unsafe fn four(at: *const Self) -> __m128i;
}

impl Words for i8 {
    #[inline(always)]
    unsafe fn sixteen(at: *const Self) -> __m256i {
        // SAFETY: promised by the caller.
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn four(at: *const Self) -> __m128i {
        // SAFETY: promised by the caller.
        unsafe { _mm_cvtepi8_epi16(_mm_cvtsi32_si128(at.cast::<i32>().read_unaligned())) }
    }
}

impl Words for i16 {
    #[inline(always)]
    unsafe fn sixteen(at: *const Self) -> __m256i {
        // SAFETY: promised by the caller.
        unsafe { _mm256_loadu_si256(at.cast()) }
    }
    #[inline(always)]
    unsafe fn four(at: *const Self) -> __m128i {
        // SAFETY: promised by the caller.
        unsafe { _mm_loadl_epi64(at.cast()) }
    }
}

/// 16 terms at a time, of four rows.
#[target_feature(enable = "avx2")]
unsafe fn single_256<E: Words>(rows: Rows<E>, count: usize, weight: &[i8], sums: *mut i32) {
    let fours = count - count % 4;
    // SAFETY: the caller's promises; the rows exist, and there is room for a sum of each.
    unsafe {
        for row in (0..fours).step_by(4) {
            let [a, b, c, d] = partial_sums::<E, 4>(rows, row, weight);
            let all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let all = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
            _mm_storeu_si128(sums.add(row).cast(), all);
        }
        for row in fours..count {
            let [sum] = partial_sums::<E, 1>(rows, row, weight);
            let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
            let pair = _mm_hadd_epi32(half, half);
            *sums.add(row) = _mm_cvtsi128_si32(_mm_hadd_epi32(pair, pair));
        }
    }
}

/// Sums of a few rows that are still to be added up, eight of each.
///
/// # Safety
/// Needs AVX2, and the rows.
#[inline(always)]
unsafe fn partial_sums<E: Words, const R: usize>(rows: Rows<E>, row: usize, weight: &[i8]) -> [__m256i; R] {
    // SAFETY: promised by the caller; runs and their weights are a multiple of four terms long.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); R];
        for (run, weight) in weight.chunks_exact(rows.len).enumerate() {
            let inputs = rows.run::<R>(row, run);
            let whole = rows.len - rows.len % 16;
            for i in (0..whole).step_by(16) {
                let weights = i8::sixteen(weight.as_ptr().add(i));
                for (sum, at) in sums.iter_mut().zip(inputs) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(E::sixteen(at.add(i)), weights));
                }
            }
            for i in (whole..rows.len).step_by(4) {
                let weights = i8::four(weight.as_ptr().add(i));
                for (sum, at) in sums.iter_mut().zip(inputs) {
                    let products = _mm_madd_epi16(E::four(at.add(i)), weights);
                    *sum = _mm256_add_epi32(*sum, _mm256_zextsi128_si256(products));
                }
            }
        }
        sums
    }
}

/// 16 outputs, one dword each.
struct Bytes512;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Dot for Bytes512 {
    type Input = u8;
    type Inputs = __m512i;
    type Weights = __m512i;
    type Sums = __m512i;
    const OUTPUTS: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const u8) -> __m512i {
        unsafe { _mm512_set1_epi32(at.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> __m512i {
        unsafe { _mm512_loadu_si512(at.cast()) }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> __m512i {
        unsafe { _mm512_maskz_loadu_epi32(((1u32 << outputs) - 1) as u16, at.cast()) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, inputs: __m512i, weights: __m512i) -> __m512i {
        unsafe { _mm512_dpbusd_epi32(sums, inputs, weights) }
    }
    #[inline(always)]
    unsafe fn store(sums: __m512i, at: *mut i32) {
        unsafe { _mm512_storeu_si512(at.cast(), sums) }
    }
    #[inline(always)]
    unsafe fn store_some(sums: __m512i, at: *mut i32, outputs: usize) {
        unsafe { _mm512_mask_storeu_epi32(at, ((1u32 << outputs) - 1) as u16, sums) }
    }
}

/// 8 outputs, two dwords each: the first and the second pair of terms.
struct Words512<const VNNI: bool>;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl<const VNNI: bool> Dot for Words512<VNNI> {
    type Input = i16;
    type Inputs = __m512i;
    type Weights = __m512i;
    type Sums = __m512i;
    const OUTPUTS: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i16) -> __m512i {
        unsafe { _mm512_set1_epi64(at.cast::<i64>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> __m512i {
        unsafe { _mm512_cvtepi8_epi16(_mm256_loadu_si256(at.cast())) }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> __m512i {
        unsafe { _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi32(((1u32 << outputs) - 1) as u8, at.cast())) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, inputs: __m512i, weights: __m512i) -> __m512i {
        unsafe {
            if VNNI {
                _mm512_dpwssd_epi32(sums, inputs, weights)
            } else {
                _mm512_add_epi32(sums, _mm512_madd_epi16(inputs, weights))
            }
        }
    }
    #[inline(always)]
    unsafe fn store(sums: __m512i, at: *mut i32) {
        unsafe {
            let both = _mm512_add_epi32(sums, _mm512_srli_epi64::<32>(sums));
            _mm256_storeu_si256(at.cast(), _mm512_cvtepi64_epi32(both));
        }
    }
    #[inline(always)]
    unsafe fn store_some(sums: __m512i, at: *mut i32, outputs: usize) {
        unsafe {
            let both = _mm512_add_epi32(sums, _mm512_srli_epi64::<32>(sums));
            _mm256_mask_storeu_epi32(at, ((1u32 << outputs) - 1) as u8, _mm512_cvtepi64_epi32(both));
        }
    }
}

/// 8 outputs, one dword each.
struct Bytes256;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Dot for Bytes256 {
    type Input = u8;
    type Inputs = __m256i;
    type Weights = __m256i;
    type Sums = __m256i;
    const OUTPUTS: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const u8) -> __m256i {
        unsafe { _mm256_set1_epi32(at.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> __m256i {
        unsafe { _mm256_loadu_si256(at.cast()) }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> __m256i {
        unsafe { _mm256_maskload_epi32(at.cast(), first_of_8(outputs)) }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, inputs: __m256i, weights: __m256i) -> __m256i {
        unsafe { _mm256_dpbusd_avx_epi32(sums, inputs, weights) }
    }
    #[inline(always)]
    unsafe fn store(sums: __m256i, at: *mut i32) {
        unsafe { _mm256_storeu_si256(at.cast(), sums) }
    }
    #[inline(always)]
    unsafe fn store_some(sums: __m256i, at: *mut i32, outputs: usize) {
        unsafe { _mm256_maskstore_epi32(at, first_of_8(outputs), sums) }
    }
}

/// All bits of the first so many dwords.
#[inline(always)]
unsafe fn first_of_8(count: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: at most 8 of the 16 numbers are skipped.
    unsafe { _mm256_loadu_si256(ONES.as_ptr().add(8 - count.min(8)).cast()) }
}

/// 4 outputs, two dwords each: the first and the second pair of terms.
struct Words256<const VNNI: bool>;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl<const VNNI: bool> Dot for Words256<VNNI> {
    type Input = i16;
    type Inputs = __m256i;
    type Weights = __m256i;
    type Sums = __m256i;
    const OUTPUTS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i16) -> __m256i {
        unsafe { _mm256_set1_epi64x(at.cast::<i64>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> __m256i {
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> __m256i {
        unsafe {
            let mask = _mm256_castsi256_si128(first_of_8(outputs));
            _mm256_cvtepi8_epi16(_mm_maskload_epi32(at.cast(), mask))
        }
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, inputs: __m256i, weights: __m256i) -> __m256i {
        unsafe {
            if VNNI {
                _mm256_dpwssd_avx_epi32(sums, inputs, weights)
            } else {
                _mm256_add_epi32(sums, _mm256_madd_epi16(inputs, weights))
            }
        }
    }
    #[inline(always)]
    unsafe fn store(sums: __m256i, at: *mut i32) {
        unsafe {
            _mm_storeu_si128(at.cast(), four_sums(sums));
        }
    }
    #[inline(always)]
    unsafe fn store_some(sums: __m256i, at: *mut i32, outputs: usize) {
        // One by one: a masked store takes as long as many of them.
        unsafe {
            let sums = four_sums(sums);
            match outputs {
                1 => *at = _mm_cvtsi128_si32(sums),
                2 => _mm_storel_epi64(at.cast(), sums),
                3 => {
                    _mm_storel_epi64(at.cast(), sums);
                    *at.add(2) = _mm_extract_epi32::<2>(sums);
                }
                _ => _mm_storeu_si128(at.cast(), sums),
            }
        }
    }
}

/// Sums of pairs of dwords.
#[inline(always)]
unsafe fn four_sums(pairs: __m256i) -> __m128i {
    // SAFETY: the caller has AVX2.
    unsafe {
        let both = _mm256_add_epi32(pairs, _mm256_srli_epi64::<32>(pairs));
        let even = _mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
        _mm256_castsi256_si128(even)
    }
}

/// Addition for upsampled maps.
pub const ADD_512: Add = Add { across: across_512, down: down_512 };
/// The same by AVX2.
pub const ADD_256: Add = Add { across: across_256, down: down_256 };

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn across_512(pixels: &Pixels, line: *mut Line) {
    // SAFETY: the caller's promises.
    unsafe { across(pixels, line) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn down_512(lines: [*const Line; 3], shape: [usize; 2], sums: *mut Sums) {
    // SAFETY: the caller's promises.
    unsafe { down(lines, shape, sums) }
}

#[target_feature(enable = "avx2")]
unsafe fn across_256(pixels: &Pixels, line: *mut Line) {
    // SAFETY: the caller's promises.
    unsafe { across(pixels, line) }
}

#[target_feature(enable = "avx2")]
unsafe fn down_256(lines: [*const Line; 3], shape: [usize; 2], sums: *mut Sums) {
    // SAFETY: the caller's promises.
    unsafe { down(lines, shape, sums) }
}
