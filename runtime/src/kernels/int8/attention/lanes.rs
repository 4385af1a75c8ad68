//! What attention asks of an instruction set.
#![allow(unsafe_code)]

use super::{Int, Scale};

/// Operations on vectors of 32-bit numbers, or of twice as many words.
///
/// # Safety
/// Every function needs the processor's instructions, and what its pointer points to.
pub unsafe trait Lanes {
    type V: Copy;
    /// 32-bit numbers of a vector, even and at most [`MAX_LANES`].
    const LANES: usize;

    /// Asks for a line of memory that will be read soon, if it is there.
    unsafe fn prefetch(at: *const i8);
    unsafe fn splat(x: i32) -> Self::V;
    unsafe fn load(at: *const i32) -> Self::V;
    /// Fewer numbers than a vector has, then zeros; reads no others.
    unsafe fn load_some(at: *const i32, count: usize) -> Self::V;
    unsafe fn store(v: Self::V, at: *mut i32);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Adds both products of each pair of words to its sum.
    unsafe fn dot(sums: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// Weights of keys from their scores, as [`super::weight`].
    unsafe fn weights(scores: Self::V, best: Self::V, scale: Scale) -> Self::V;
    /// Stores the upper byte of each weight as a word, then all lower bytes.
    unsafe fn split(weights: Self::V, at: *mut i32);
    /// Up to twice [`Self::LANES`] numbers as words, then zeros; reads no others.
    unsafe fn words(at: *const i16, count: usize) -> Self::V;
    unsafe fn bytes(at: *const i8, count: usize) -> Self::V;
    /// The first words of both, then the second and so on, in two vectors.
    unsafe fn interleave(a: Self::V, b: Self::V) -> [Self::V; 2];
}

/// Most numbers of a vector.
pub const MAX_LANES: usize = 16;

/// Numbers that can be read as words.
pub trait Words: Int {
    /// # Safety
    /// As for [`Lanes::words`].
    unsafe fn words<L: Lanes>(at: *const Self, count: usize) -> L::V;
}

impl Words for i8 {
    #[inline(always)]
    unsafe fn words<L: Lanes>(at: *const Self, count: usize) -> L::V {
        // SAFETY: promised by the caller.
        unsafe { L::bytes(at, count) }
    }
}

impl Words for i16 {
    #[inline(always)]
    unsafe fn words<L: Lanes>(at: *const Self, count: usize) -> L::V {
        // SAFETY: promised by the caller.
        unsafe { L::words(at, count) }
    }
}
