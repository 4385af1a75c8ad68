//! x86-64: dot products of AVX2, AVX-VNNI, AVX-512 and AVX-512 VNNI.
//!
//! Bytes go through `vpdpbusd`, which takes inputs unsigned (128 too much each) and does not saturate. Words go through
//! `vpdpwssd`, or `vpmaddwd` and an addition: weights of 8 bits are widened, so that no product of the pair saturates.

use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::Range;

use super::tile::{Dot, Product, Rows, product};
use super::upsampled::add_portable;
use super::{Group, Method};
use crate::kernels::int8::Residual;
use crate::kernels::isa::Isa;

/// How 8-bit inputs are multiplied as bytes; `None` where they are widened to words.
pub fn bytes(isa: Isa) -> Option<Method<i8>> {
    let product: Product<i8> = match isa {
        Isa::Avx512Vnni => bytes_avx512_vnni,
        Isa::AvxVnni => bytes_avx_vnni,
        _ => return None,
    };
    Some(Method { product, excess: true })
}

/// How words are multiplied.
pub fn words(isa: Isa) -> Method<i16> {
    let product: Product<i16> = match isa {
        Isa::Avx512Vnni => words_avx512_vnni,
        Isa::Avx512 => words_avx512,
        Isa::AvxVnni => words_avx_vnni,
        _ => words_avx2,
    };
    Method { product, excess: false }
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
                    Some(single) if weight.len() == terms && rows.len >= 64 => single(rows, count, weight, sums),
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

/// The sums of a single output.
type Single<E> = unsafe fn(rows: Rows<E>, count: usize, weight: &[i8], sums: *mut i32);

impl Bytes512 {
    const SINGLE: Option<Single<i8>> = Some(single_bytes);
}

impl<const VNNI: bool> Words512<VNNI> {
    const SINGLE: Option<Single<i16>> = if VNNI { Some(single_words) } else { None };
}

impl Bytes256 {
    const SINGLE: Option<Single<i8>> = None;
}

impl<const VNNI: bool> Words256<VNNI> {
    const SINGLE: Option<Single<i16>> = None;
}

/// 64 terms at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn single_bytes(rows: Rows<i8>, count: usize, weight: &[i8], sums: *mut i32) {
    for row in 0..count {
        let mut sum = _mm512_setzero_si512();
        for (run, weight) in weight.chunks_exact(rows.len).enumerate() {
            for (i, weight) in (0..).step_by(64).zip(weight.chunks(64)) {
                let mask = u64::MAX >> (64 - weight.len());
                // SAFETY: the row exists; masks keep to the run, in the inputs and in the weights.
                unsafe {
                    let [at] = rows.run::<1>(row, run);
                    let inputs = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, at.add(i)), excess_512());
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

/// 128 more in each of four bytes.
const EXCESS: i32 = 0x8080_8080_u32 as i32;

/// The same for every dword. Opaque to the compiler, which would otherwise move the operation in front of the broadcast, out of
/// the vector unit.
#[inline]
#[target_feature(enable = "avx512f")]
fn excess_512() -> __m512i {
    let mut excess = _mm512_set1_epi32(EXCESS);
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(zmm_reg) excess, options(pure, nomem, nostack, preserves_flags)) };
    excess
}

/// As [`excess_512`].
#[inline]
#[target_feature(enable = "avx2")]
fn excess_256() -> __m256i {
    let mut excess = _mm256_set1_epi32(EXCESS);
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(ymm_reg) excess, options(pure, nomem, nostack, preserves_flags)) };
    excess
}

/// 16 outputs, one dword each.
struct Bytes512;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Dot for Bytes512 {
    type Input = i8;
    type Inputs = __m512i;
    type Weights = __m512i;
    type Sums = __m512i;
    const OUTPUTS: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i8) -> __m512i {
        unsafe { _mm512_xor_si512(_mm512_set1_epi32(at.cast::<i32>().read_unaligned()), excess_512()) }
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
    type Input = i8;
    type Inputs = __m256i;
    type Weights = __m256i;
    type Sums = __m256i;
    const OUTPUTS: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i8) -> __m256i {
        unsafe { _mm256_xor_si256(_mm256_set1_epi32(at.cast::<i32>().read_unaligned()), excess_256()) }
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
            let both = _mm256_add_epi32(sums, _mm256_srli_epi64::<32>(sums));
            let even = _mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
            _mm_storeu_si128(at.cast(), _mm256_castsi256_si128(even));
        }
    }
}

/// Sums of three numbers each, see [`add_portable`].
///
/// # Safety
/// Needs AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn add_512(sums: &mut [i32], a: &[i32], b: &[i32], c: &[i32]) {
    add_portable(sums, a, b, c);
}

/// Sums of three numbers each, see [`add_portable`].
///
/// # Safety
/// Needs AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn add_256(sums: &mut [i32], a: &[i32], b: &[i32], c: &[i32]) {
    add_portable(sums, a, b, c);
}

/// Fixed-point factors of eight outputs, in 64 bits each.
#[derive(Clone, Copy)]
struct Factors {
    start: __m256i,
    multiplier: __m512i,
    residual: __m512i,
    /// Half of the last bit that stays.
    half: __m512i,
    shift: __m512i,
}

/// The factors of the outputs of a mask, from the `i`-th of the group on.
///
/// # Safety
/// Needs AVX-512; the outputs exist.
#[inline(always)]
unsafe fn factors(group: &Group, mask: u8, i: usize) -> Factors {
    // SAFETY: promised by the caller; masked loads read nothing else.
    unsafe {
        let start = _mm256_maskz_loadu_epi32(mask, group.starts.as_ptr().add(i));
        let (rescale, output) = (group.w.rescale.as_ptr(), group.first_output + i);
        let (multiplier, residual, shift);
        if matches!(group.epilogue.residual, Residual::None) {
            let pairs = _mm512_maskz_loadu_epi64(mask, rescale.add(output * 2).cast());
            (multiplier, residual, shift) = (pairs, _mm512_setzero_si512(), _mm512_srli_epi64::<32>(pairs));
        } else {
            // Rows of three: multiplier, shift, factor of the residual.
            let rows = rescale.add(output * 3);
            let numbers = (1u32 << (mask.count_ones() * 3)) - 1;
            let low = _mm512_maskz_loadu_epi32(numbers as u16, rows);
            let high = _mm512_maskz_loadu_epi32((numbers >> 16) as u16, rows.wrapping_add(16));
            let third = |from: i32| {
                let at = |i: i32| 3 * i + from;
                let index =
                    _mm512_setr_epi32(at(0), 0, at(1), 0, at(2), 0, at(3), 0, at(4), 0, at(5), 0, at(6), 0, at(7), 0);
                _mm512_permutex2var_epi32(low, index, high)
            };
            (multiplier, residual, shift) = (third(0), third(2), _mm512_maskz_mov_epi32(0x5555, third(1)));
        }
        let half = _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_sub_epi64(shift, _mm512_set1_epi64(1)));
        Factors { start, multiplier, residual, half, shift }
    }
}

/// Writes the outputs of some positions, as numbers that `read` and `write` take from and bring to a place.
///
/// # Safety
/// Needs AVX-512; `out` holds the positions' outputs, and nobody else touches those of the group.
#[inline(always)]
unsafe fn finish<O>(
    group: &Group,
    sums: &[i32],
    positions: Range<usize>,
    out: *mut O,
    read: impl Fn(*const O, u8) -> __m512i,
    write: impl Fn(*mut O, u8, __m512i),
) {
    let epilogue = group.epilogue;
    let width = group.starts.len();
    for i in (0..width).step_by(8) {
        let mask = if width - i >= 8 { 0xff } else { (1 << (width - i)) - 1 };
        // SAFETY: promised by the caller; masks keep to the outputs of the group.
        unsafe {
            let f = factors(group, mask, i);
            let lowest = if epilogue.relu { 0 } else { i64::MIN };
            let (lowest, zero) = (_mm512_set1_epi64(lowest), _mm512_set1_epi64(epilogue.zero_point.into()));
            let limit = 1i64 << (epilogue.bits - 1);
            let (low, high) = (_mm512_set1_epi64(-limit), _mm512_set1_epi64(limit - 1));
            for (row, position) in positions.clone().enumerate() {
                let at = position * group.channels + group.first_output + i;
                let sum = _mm256_maskz_loadu_epi32(mask, sums.as_ptr().add(row * width + i));
                let sum = _mm512_cvtepi32_epi64(_mm256_add_epi32(f.start, sum));
                let mut exact = _mm512_add_epi64(_mm512_mul_epi32(sum, f.multiplier), f.half);
                let residual = match &epilogue.residual {
                    Residual::None => None,
                    Residual::I8(r, zero) => {
                        Some((_mm512_cvtepi8_epi64(_mm_maskz_loadu_epi8(mask.into(), r.as_ptr().add(at))), *zero))
                    }
                    Residual::I16(r) => {
                        Some((_mm512_cvtepi16_epi64(_mm_maskz_loadu_epi16(mask, r.as_ptr().add(at))), 0))
                    }
                    Residual::InPlace(zero) => Some((read(out.add(at), mask), *zero)),
                };
                if let Some((residual, zero)) = residual {
                    let residual = _mm512_sub_epi64(residual, _mm512_set1_epi64(zero.into()));
                    exact = _mm512_add_epi64(exact, _mm512_mul_epi32(residual, f.residual));
                }
                let y = _mm512_max_epi64(_mm512_srav_epi64(exact, f.shift), lowest);
                let y = _mm512_min_epi64(_mm512_max_epi64(_mm512_add_epi64(y, zero), low), high);
                write(out.add(at), mask, y);
            }
        }
    }
}

/// Writes the outputs of some positions as 8-bit integers.
///
/// # Safety
/// Needs AVX-512; `out` holds the positions' outputs, and nobody else touches those of the group.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn finish_bytes(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut i8) {
    // SAFETY: the caller's promises.
    unsafe {
        finish(
            group,
            sums,
            positions,
            out,
            |place, mask| _mm512_cvtepi8_epi64(_mm_maskz_loadu_epi8(mask.into(), place)),
            |place, mask, y| _mm_mask_storeu_epi8(place, mask.into(), _mm512_cvtepi64_epi8(y)),
        );
    }
}

/// Writes the outputs of some positions as 16-bit integers.
///
/// # Safety
/// As [`finish_bytes`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn finish_words(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut i16) {
    // SAFETY: the caller's promises.
    unsafe {
        finish(
            group,
            sums,
            positions,
            out,
            |place, mask| _mm512_cvtepi16_epi64(_mm_maskz_loadu_epi16(mask, place)),
            |place, mask, y| _mm_mask_storeu_epi16(place, mask, _mm512_cvtepi64_epi16(y)),
        );
    }
}
