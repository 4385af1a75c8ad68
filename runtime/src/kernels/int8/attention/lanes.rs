//! What attention asks of an instruction set.
#![allow(unsafe_code)]

use super::{Int, Scale};

/// Operations on vectors of 32-bit numbers, or of twice as many words.
///
/// # Safety
/// Every function needs the processor's instructions, and what its pointer points to.
pub unsafe trait Lanes {
    type V: Copy;
    /// 32-bit numbers of a vector, a multiple of four and at most [`MAX_LANES`].
    const LANES: usize;
    /// Keys whose 8-bit values one instruction sums: two as words, or four as bytes.
    const KEYS: usize = 2;

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
    /// The same with one pair of words for all.
    #[inline(always)]
    unsafe fn dot_pair(sums: Self::V, pair: i32, b: Self::V) -> Self::V {
        unsafe { Self::dot(sums, Self::splat(pair), b) }
    }
    /// Weights of keys from their scores, as [`super::weight`], with a shift in [`super::tile::NEAR`].
    unsafe fn weights(scores: Self::V, best: Self::V, scale: Scale) -> Self::V;
    /// Stores the weights of four keys at a time as words: their upper bytes, then their lower ones.
    unsafe fn split(weights: Self::V, at: *mut i32);
    /// Up to twice [`Self::LANES`] numbers as words, then zeros; reads no others.
    unsafe fn words(at: *const i16, count: usize) -> Self::V;
    unsafe fn bytes(at: *const i8, count: usize) -> Self::V;
    /// The first words of both as neighbours, their second, and so on, in two vectors and an order that [`Self::in_order`]
    /// undoes.
    unsafe fn interleave(a: Self::V, b: Self::V) -> [Self::V; 2];
    /// Vectors of neighbouring channels from such as are interleaved.
    #[inline(always)]
    unsafe fn in_order(interleaved: [Self::V; 2]) -> [Self::V; 2] {
        interleaved
    }

    /// [`Self::split`] for 8-bit values: as bytes where four keys are summed at a time, a number apart.
    #[inline(always)]
    unsafe fn split_narrow(weights: Self::V, at: *mut i32) {
        unsafe { Self::split(weights, at) }
    }
    /// [`Self::interleave`] of as many 8-bit values of [`Self::KEYS`] keys, then zeros; reads no others.
    #[inline(always)]
    unsafe fn interleave_narrow(at: [*const i8; 4], count: usize) -> [Self::V; 2] {
        unsafe { Self::interleave(Self::bytes(at[0], count), Self::bytes(at[1], count)) }
    }
    /// Adds the products of weights, as [`Self::split_narrow`] stores them, and 8-bit values.
    #[inline(always)]
    unsafe fn dot_narrow(sums: Self::V, weights: i32, values: Self::V) -> Self::V {
        unsafe { Self::dot_pair(sums, weights, values) }
    }
}

/// Most numbers of a vector.
pub const MAX_LANES: usize = 16;

/// Fewer than `N` numbers, then zeros, for an `N` of at most 16. Calls nothing, before which vectors in registers would be stored.
///
/// # Safety
/// There are so many numbers.
#[cfg(not(target_arch = "aarch64"))]
#[inline(always)]
pub unsafe fn some<T: Int + Default, const N: usize>(at: *const T, count: usize) -> [T; N] {
    let (mut numbers, mut done) = ([T::default(); N], 0);
    for size in [8, 4, 2, 1] {
        if count & size != 0 {
            // SAFETY: the sizes add up to the count.
            unsafe { core::ptr::copy_nonoverlapping(at.add(done), numbers.as_mut_ptr().add(done), size) };
            done += size;
        }
    }
    numbers
}

/// Where [`Lanes::split`] takes the bytes of four weights from: upper ones, then lower ones, as words; there is no 255th.
#[cfg(not(target_arch = "wasm32"))]
pub const SPLIT: [u8; 16] = [1, 255, 5, 255, 9, 255, 13, 255, 0, 255, 4, 255, 8, 255, 12, 255];

/// Numbers that values may be.
pub trait Weighed: Int {
    /// Keys whose products with one byte of their weights fit 32 bits.
    const KEYS: usize;
    /// Keys whose values one instruction sums.
    fn keys<L: Lanes>() -> usize;
    /// # Safety
    /// As for [`Lanes::interleave_narrow`].
    unsafe fn interleave<L: Lanes>(at: [*const Self; 4], count: usize) -> [L::V; 2];
    /// # Safety
    /// As for [`Lanes::dot`].
    unsafe fn dot<L: Lanes>(sums: L::V, weights: i32, values: L::V) -> L::V;
}

impl Weighed for i8 {
    // More than any tile has: 2^14 products below 2^15.
    const KEYS: usize = 1 << 14;

    #[inline(always)]
    fn keys<L: Lanes>() -> usize {
        L::KEYS
    }
    #[inline(always)]
    unsafe fn interleave<L: Lanes>(at: [*const Self; 4], count: usize) -> [L::V; 2] {
        // SAFETY: promised by the caller.
        unsafe { L::interleave_narrow(at, count) }
    }
    #[inline(always)]
    unsafe fn dot<L: Lanes>(sums: L::V, weights: i32, values: L::V) -> L::V {
        // SAFETY: promised by the caller.
        unsafe { L::dot_narrow(sums, weights, values) }
    }
}

impl Weighed for i16 {
    const KEYS: usize = super::KEYS;

    #[inline(always)]
    fn keys<L: Lanes>() -> usize {
        2
    }
    #[inline(always)]
    unsafe fn interleave<L: Lanes>(at: [*const Self; 4], count: usize) -> [L::V; 2] {
        // SAFETY: promised by the caller.
        unsafe { L::interleave(L::words(at[0], count), L::words(at[1], count)) }
    }
    #[inline(always)]
    unsafe fn dot<L: Lanes>(sums: L::V, weights: i32, values: L::V) -> L::V {
        // SAFETY: promised by the caller.
        unsafe { L::dot_pair(sums, weights, values) }
    }
}
