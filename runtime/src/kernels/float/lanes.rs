//! Registers of several single-precision numbers, as the kernels that are written once for all of them see them.
#![allow(unsafe_code)]

/// A register of numbers side by side.
///
/// # Safety
/// Every function needs the processor's instructions, and the numbers that its pointer points to: [`COUNT`](Self::COUNT), or
/// as many as it is told.
pub unsafe trait Lanes: Copy {
    /// How many numbers.
    const COUNT: usize;

    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(at: *const f32) -> Self;
    /// The first so many numbers, the others 0; touches no others.
    unsafe fn load_some(at: *const f32, count: usize) -> Self;
    /// Numbers of half precision.
    unsafe fn load_half(at: *const u16) -> Self;
    unsafe fn load_some_half(at: *const u16, count: usize) -> Self;
    unsafe fn store(self, at: *mut f32);
    unsafe fn store_some(self, at: *mut f32, count: usize);
    unsafe fn add(self, other: Self) -> Self;
    /// `self * factor + sum`, rounded once.
    unsafe fn times_plus(self, factor: Self, sum: Self) -> Self;
    /// The larger of each pair; the other where this one is not a number.
    unsafe fn max(self, other: Self) -> Self;
}
