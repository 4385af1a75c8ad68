//! 64-bit ARM: registers of NEON, which every such processor has.

use core::arch::aarch64::*;
use core::arch::asm;

use super::{Lanes, Task};

/// Does a task by registers of NEON.
///
/// # Safety
/// What the task says about its pointers holds.
#[target_feature(enable = "neon")]
pub unsafe fn run(task: &impl Task) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { task.run::<float32x4_t>() }
}

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for float32x4_t {
    const COUNT: usize = 4;
    const REGISTERS: usize = 32;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        unsafe { vld1q_f32(at) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const f32, count: usize) -> Self {
        let number = |i: usize| if i < count { unsafe { *at.add(i) } } else { 0.0 };
        let numbers: [f32; 4] = core::array::from_fn(number);
        unsafe { Self::load(numbers.as_ptr()) }
    }
    #[inline(always)]
    unsafe fn load_half(at: *const u16) -> Self {
        // The standard library's widening of half precision is not stable yet.
        unsafe {
            let halves = vld1_u16(at);
            let wide: float32x4_t;
            asm!(
                "fcvtl {wide:v}.4s, {halves:v}.4h",
                wide = lateout(vreg) wide,
                halves = in(vreg) halves,
                options(pure, nomem, nostack, preserves_flags),
            );
            wide
        }
    }
    #[inline(always)]
    unsafe fn load_some_half(at: *const u16, count: usize) -> Self {
        let half = |i: usize| if i < count { unsafe { *at.add(i) } } else { 0 };
        let halves: [u16; 4] = core::array::from_fn(half);
        unsafe { Self::load_half(halves.as_ptr()) }
    }
    const WIDENS_SLOWLY: bool = true;
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        unsafe { vst1q_f32(at, self) }
    }
    #[inline(always)]
    unsafe fn store_some(self, at: *mut f32, count: usize) {
        let mut numbers = [0.0; 4];
        unsafe {
            self.store(numbers.as_mut_ptr());
            for (i, &x) in numbers.iter().enumerate().take(count) {
                *at.add(i) = x;
            }
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { vaddq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        unsafe { vsubq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        unsafe { vmulq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn over(self, other: Self) -> Self {
        unsafe { vdivq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, sum: Self) -> Self {
        unsafe { vfmaq_f32(sum, self, factor) }
    }
    const FACTORS: usize = 4;
    #[inline(always)]
    unsafe fn factors(at: *const f32) -> Self {
        unsafe { Self::load(at) }
    }
    #[inline(always)]
    unsafe fn times_factor_plus<const I: i32>(self, factors: Self, sum: Self) -> Self {
        unsafe { vfmaq_laneq_f32::<I>(sum, self, factors) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { vbslq_f32(vcgtq_f32(self, other), self, other) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { vbslq_f32(vcltq_f32(self, other), self, other) }
    }
    #[inline(always)]
    unsafe fn clamp(self, low: f32, high: f32) -> Self {
        unsafe { vmaxq_f32(vminq_f32(self, vdupq_n_f32(high)), vdupq_n_f32(low)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { vrndnq_f32(self) }
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        // By two powers: one may lie outside what a number holds. The first is added to the bits of the exponent.
        unsafe {
            let exponent = vcvtq_n_s32_f32::<23>(exponent);
            let half = vbicq_s32(vshrq_n_s32::<1>(exponent), vdupq_n_s32(1 << 22));
            let first = vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(self), half));
            let rest = vaddq_s32(vsubq_s32(exponent, half), vdupq_n_s32(127 << 23));
            vmulq_f32(first, vreinterpretq_f32_s32(rest))
        }
    }
    #[inline(always)]
    unsafe fn where_near_0(self, x: Self, limit: f32, other: Self) -> Self {
        unsafe { vbslq_f32(vcaltq_f32(x, vdupq_n_f32(limit)), self, other) }
    }
}
