//! x86-64: registers of AVX2 with FMA and F16C, and of AVX-512.
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use super::lanes::Lanes;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for __m512 {
    const COUNT: usize = 16;

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
}

/// The mask of the first so many lanes.
#[inline(always)]
fn first_of_16(count: usize) -> u16 {
    ((1u32 << count.min(16)) - 1) as u16
}

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for __m256 {
    const COUNT: usize = 8;

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
}

/// All bits of the first so many lanes.
#[inline(always)]
unsafe fn first_of_8(count: usize) -> __m256i {
    const ONES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: at most 8 of the 16 numbers are skipped.
    unsafe { _mm256_loadu_si256(ONES.as_ptr().add(8 - count.min(8)).cast()) }
}
