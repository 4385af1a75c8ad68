//! WebAssembly with 128-bit vectors. It has no fused multiply-add (but a relaxed one, which engines round as they like), so
//! products and sums are rounded one after the other, on every engine the same.

use core::arch::wasm32::*;

use super::{Lanes, Task};

/// Does a task by these registers.
///
/// # Safety
/// What the task says about its pointers holds.
pub unsafe fn run(task: &impl Task) {
    // SAFETY: promised by the caller; the instructions are there wherever this module is compiled.
    unsafe { task.run::<v128>() }
}

// SAFETY: each function does what the trait says, given its pointers.
unsafe impl Lanes for v128 {
    const COUNT: usize = 4;
    // Fewer than the 16 of x86-64: V8 took 1.2 to 2.2 times as long with tiles of 5 or 6 rows, as if it had run out of them.
    const REGISTERS: usize = 15;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        unsafe { v128_load(at.cast()) }
    }
    #[inline(always)]
    unsafe fn load_some(at: *const f32, count: usize) -> Self {
        let number = |i: usize| if i < count { unsafe { *at.add(i) } } else { 0.0 };
        f32x4(number(0), number(1), number(2), number(3))
    }
    #[inline(always)]
    unsafe fn load_half(at: *const u16) -> Self {
        unsafe { widened(u32x4_load_extend_u16x4(at)) }
    }
    #[inline(always)]
    unsafe fn load_some_half(at: *const u16, count: usize) -> Self {
        let half = |i: usize| if i < count { u32::from(unsafe { *at.add(i) }) } else { 0 };
        widened(u32x4(half(0), half(1), half(2), half(3)))
    }
    const WIDENS_SLOWLY: bool = true;
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        unsafe { v128_store(at.cast(), self) }
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
        f32x4_add(self, other)
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        f32x4_sub(self, other)
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        f32x4_mul(self, other)
    }
    #[inline(always)]
    unsafe fn over(self, other: Self) -> Self {
        f32x4_div(self, other)
    }
    #[inline(always)]
    unsafe fn times_plus(self, factor: Self, sum: Self) -> Self {
        f32x4_add(f32x4_mul(self, factor), sum)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        f32x4_pmax(other, self)
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        f32x4_pmin(other, self)
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        f32x4_nearest(self)
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        // By two powers: one may lie outside what a number holds. The first product is exact.
        let exponent = i32x4_trunc_sat_f32x4(exponent);
        let half = i32x4_shr(exponent, 1);
        let power = |e| i32x4_shl(i32x4_add(e, i32x4_splat(127)), 23);
        f32x4_mul(f32x4_mul(self, power(half)), power(i32x4_sub(exponent, half)))
    }
    #[inline(always)]
    unsafe fn where_near_0(self, x: Self, limit: f32, other: Self) -> Self {
        v128_bitselect(self, other, f32x4_lt(f32x4_abs(x), f32x4_splat(limit)))
    }
}

/// Numbers of half precision in the lower halves, exactly.
#[inline(always)]
fn widened(halves: v128) -> v128 {
    let magnitude = u32x4_shl(v128_and(halves, u32x4_splat(0x7fff)), 13);
    // The exponent's bias grows by 112, as the product does it, which also makes numbers of what has no leading bit.
    let number = f32x4_mul(magnitude, f32x4_splat(f32::from_bits((127 + 112) << 23)));
    // Infinities, and what is not a number, keep the largest exponent.
    let beyond = u32x4_ge(magnitude, u32x4_splat(0x7c00 << 13));
    let number = v128_or(number, v128_and(beyond, u32x4_splat(0xff << 23)));
    v128_or(number, u32x4_shl(v128_and(halves, u32x4_splat(0x8000)), 16))
}
