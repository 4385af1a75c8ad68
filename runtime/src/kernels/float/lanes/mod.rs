//! Kernels written once over registers of several single-precision numbers, and the registers of each instruction set.
#![allow(unsafe_code)]
// Targets without such registers compile it all the same, and use none of it.
#![cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon"),
        all(target_arch = "wasm32", target_feature = "simd128")
    )),
    allow(dead_code, unused_variables)
)]

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod aarch64;
mod attention;
mod curve;
mod map;
pub mod matrix;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use attention::{attention, takes as takes_attention};
pub use map::{map, mul};

use crate::kernels::isa::{Isa, Kernels};

/// A register of numbers side by side.
///
/// # Safety
/// Every function needs the processor's instructions, and the numbers that its pointer points to: [`COUNT`](Self::COUNT), or
/// as many as it says or is told.
pub unsafe trait Lanes: Copy {
    /// How many numbers.
    const COUNT: usize;
    /// How many such registers tiles may count on: 32, 16 or fewer.
    const REGISTERS: usize;

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    /// The first so many numbers, the others 0; touches no others.
    unsafe fn load_some(at: *const f32, count: usize) -> Self;
    /// Numbers of half precision.
    unsafe fn load_half(at: *const u16) -> Self;
    unsafe fn load_some_half(at: *const u16, count: usize) -> Self;
    /// Whether loading them takes more than an instruction.
    const WIDENS_SLOWLY: bool = false;
    unsafe fn store(self, at: *mut f32);
    unsafe fn store_some(self, at: *mut f32, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn minus(self, other: Self) -> Self;
    unsafe fn times(self, other: Self) -> Self;
    unsafe fn over(self, other: Self) -> Self;
    /// `self * factor + sum`, rounded once; on WebAssembly, which cannot, twice.
    unsafe fn times_plus(self, factor: Self, sum: Self) -> Self;
    /// How many single factors [`factors`](Self::factors) reads: as many as a register holds where an instruction takes a factor
    /// from any place of one.
    const FACTORS: usize = 1;
    /// Factors for [`times_factor_plus`](Self::times_factor_plus).
    #[inline(always)]
    unsafe fn factors(at: *const f32) -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self::splat(*at) }
    }
    /// `self * factors[I] + sum` as [`times_plus`](Self::times_plus) rounds; `I` is less than [`FACTORS`](Self::FACTORS).
    #[inline(always)]
    unsafe fn times_factor_plus<const I: i32>(self, factors: Self, sum: Self) -> Self {
        // SAFETY: promised by the caller.
        unsafe { factors.times_plus(self, sum) }
    }
    /// The larger of each pair; the other where one of them is not a number.
    unsafe fn max(self, other: Self) -> Self;
    /// The smaller of each pair; the other where one of them is not a number.
    unsafe fn min(self, other: Self) -> Self;
    /// The nearest number from `low` to `high`; what is not a number stays so.
    #[inline(always)]
    unsafe fn clamp(self, low: f32, high: f32) -> Self {
        // SAFETY: promised by the caller.
        unsafe { Self::splat(low).max(Self::splat(high).min(self)) }
    }
    /// The nearest integer, the even one of two.
    unsafe fn round(self) -> Self;
    /// `self * 2^exponent`, rounded once, for numbers from 1/2 to 2 and integers from -150 to 150.
    unsafe fn scale(self, exponent: Self) -> Self;
    /// `self` where `x` is nearer to 0 than the limit, elsewhere the other.
    unsafe fn where_near_0(self, x: Self, limit: f32, other: Self) -> Self;
}

/// What is computed over registers.
pub trait Task {
    /// Does it. Implementations are compiled into their callers, which have the instructions.
    ///
    /// # Safety
    /// The processor has the instructions of the registers, and what the task says about its pointers holds.
    unsafe fn run<L: Lanes>(&self);
}

/// Whether a set of kernels has registers that tasks are written for: all but the portable ones.
pub fn has_lanes(kernels: Kernels) -> bool {
    kernels.0 != Isa::Portable
}

/// Does a task by the registers of a set of kernels; one without them does nothing.
///
/// # Safety
/// What the task says about its pointers holds.
unsafe fn run(kernels: Kernels, task: &impl Task) {
    // SAFETY: promised by the caller; the processor has the instructions, else there were no such `Kernels`.
    match kernels.0 {
        Isa::Portable => {}
        #[cfg(target_arch = "x86_64")]
        isa => unsafe { x86::run(isa, task) },
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        _ => unsafe { aarch64::run(task) },
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        _ => unsafe { wasm::run(task) },
    }
}
