//! x86-64: registers of AVX2 with FMA and F16C, and of AVX-512.

use core::arch::x86_64::*;

use super::{Lanes, Task};
use crate::kernels::isa::Isa;

/// Does a task by the registers of an instruction set.
///
/// # Safety
/// The processor has the instructions, and what the task says about its pointers holds.
pub unsafe fn run(isa: Isa, task: &impl Task) {
    // SAFETY: promised by the caller.
    unsafe {
        match isa {
            Isa::Avx512 | Isa::Avx512Vnni => avx512(task),
            _ => avx2(task),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,f16c,fma")]
unsafe fn avx512(task: &impl Task) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { task.run::<__m512>() }
}

#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn avx2(task: &impl Task) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { task.run::<__m256>() }
}

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for __m512 {
    const COUNT: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const f32, count: usize) -> Self {
        unsafe { _mm512_maskz_loadu_ps(first_of_16(count), at) }
    }
    #[inline(always)]
    unsafe fn load_half(at: *const u16) -> Self {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) }
    }
    #[inline(always)]
    unsafe fn load_some_half(at: *const u16, count: usize) -> Self {
        unsafe { _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_of_16(count), at.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        unsafe { _mm512_storeu_ps(at, self) }
    }
    #[inline(always)]
    unsafe fn store_some(self, at: *mut f32, count: usize) {
        unsafe { _mm512_mask_storeu_ps(at, first_of_16(count), self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, sum: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, sum) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { _mm512_max_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn over(self, other: Self) -> Self {
        unsafe { _mm512_div_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { _mm512_min_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self) }
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        unsafe { _mm512_scalef_ps(self, exponent) }
    }
    #[inline(always)]
    unsafe fn where_near_0(self, x: Self, limit: f32, other: Self) -> Self {
        unsafe {
            let near = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(_mm512_abs_ps(x), _mm512_set1_ps(limit));
            _mm512_mask_blend_ps(near, other, self)
        }
    }
}

/// The mask of the first so many lanes.
#[inline(always)]
fn first_of_16(count: usize) -> u16 {
    ((1u32 << count.min(16)) - 1) as u16
}

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for __m256 {
    const COUNT: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const f32, count: usize) -> Self {
        unsafe { _mm256_maskload_ps(at, first_of_8(count)) }
    }
    #[inline(always)]
    unsafe fn load_half(at: *const u16) -> Self {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn load_some_half(at: *const u16, count: usize) -> Self {
        // There are no masks of 16 bits.
        let mut halves = [0u16; 8];
        unsafe {
            core::ptr::copy_nonoverlapping(at, halves.as_mut_ptr(), count.min(8));
            Self::load_half(halves.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        unsafe { _mm256_storeu_ps(at, self) }
    }
    #[inline(always)]
    unsafe fn store_some(self, at: *mut f32, count: usize) {
        unsafe { _mm256_maskstore_ps(at, first_of_8(count), self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm256_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, sum: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, factor, sum) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { _mm256_max_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { _mm256_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { _mm256_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn over(self, other: Self) -> Self {
        unsafe { _mm256_div_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { _mm256_min_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self) }
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        // By two powers: one may lie outside what a number holds. The first product is exact.
        unsafe {
            let exponent = _mm256_cvtps_epi32(exponent);
            let half = _mm256_srai_epi32::<1>(exponent);
            let power = |e| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(e, _mm256_set1_epi32(127))));
            _mm256_mul_ps(_mm256_mul_ps(self, power(half)), power(_mm256_sub_epi32(exponent, half)))
        }
    }
    #[inline(always)]
    unsafe fn where_near_0(self, x: Self, limit: f32, other: Self) -> Self {
        unsafe {
            let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
            _mm256_blendv_ps(other, self, _mm256_cmp_ps::<_CMP_LT_OQ>(magnitude, _mm256_set1_ps(limit)))
        }
    }
}

/// All bits of the first so many lanes.
#[inline(always)]
unsafe fn first_of_8(count: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: at most 8 of the 16 numbers are skipped.
    unsafe { _mm256_loadu_si256(ONES.as_ptr().add(8 - count.min(8)).cast()) }
}
