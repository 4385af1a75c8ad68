//! The steps of [`Pairs`](super::Pairs), written once over the operations of an instruction set.

use super::{Part, Product, TAP};
use crate::kernels::int8::Lanes;
use crate::panels::{PANEL, QUAD};

/// Operations on 16 words.
///
/// # Safety
/// Every function needs the processor's instructions, and what its pointers point to.
pub unsafe trait Words: Copy {
    /// 16 bytes, widened.
    unsafe fn widened(at: *const i8) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn store(self, at: *mut i16);
    /// Stores every other pair of words, and those between them elsewhere.
    unsafe fn store_apart(self, even: *mut i32, odd: *mut i32);
}

/// See [`Pairs::filters`](super::Pairs::filters).
///
/// # Safety
/// The processor has the instructions; `weight` is a panel with the part; there is room for the filters.
#[inline(always)]
pub unsafe fn filters<W: Words>(weight: &[i8], taps: usize, part: Part, to: *mut i32) {
    for tap in 0..taps {
        for quad in 0..part.len / QUAD {
            let group = part.quad(weight, tap, quad);
            for first in (0..PANEL).step_by(QUAD) {
                // SAFETY: promised by the caller.
                unsafe {
                    let to = to.add(tap * TAP + 2 * quad * PANEL + first);
                    W::widened(group.as_ptr().add(first * QUAD)).store_apart(to, to.add(PANEL));
                }
            }
        }
    }
}

/// See [`Pairs::products`](super::Pairs::products); by tiles of so many rows and registers of sums.
///
/// # Safety
/// The processor has the instructions; what the product points to is there.
#[inline(always)]
pub unsafe fn products<L: Lanes, const ROWS: usize, const WIDE: usize>(p: &Product<i16>) {
    let registers = p.part.width.div_ceil(L::LANES);
    let mut register = 0;
    while register < registers {
        // SAFETY: promised by the caller.
        unsafe {
            if registers - register >= WIDE {
                rows::<L, ROWS, WIDE>(p, register);
                register += WIDE;
            } else {
                rows::<L, ROWS, 1>(p, register);
                register += 1;
            }
        }
    }
}

/// All rows of some registers of outputs.
///
/// # Safety
/// As for [`products`].
#[inline(always)]
unsafe fn rows<L: Lanes, const ROWS: usize, const WIDE: usize>(p: &Product<i16>, register: usize) {
    let mut row = 0;
    while row < p.count {
        // SAFETY: promised by the caller; the rows exist.
        row += unsafe {
            match p.count - row {
                left if left >= ROWS => tile::<L, ROWS, WIDE>(p, row, register),
                4.. => tile::<L, 4, WIDE>(p, row, register),
                2.. => tile::<L, 2, WIDE>(p, row, register),
                _ => tile::<L, 1, WIDE>(p, row, register),
            }
        };
    }
}

/// The products of a few rows, in registers over all terms. Returns how many rows they are.
///
/// # Safety
/// As for [`products`].
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize, const V: usize>(p: &Product<i16>, row: usize, register: usize) -> usize {
    // SAFETY: promised by the caller.
    unsafe {
        let filters = p.filters.add(register * L::LANES);
        let place = p.sums.add(row * p.next + register * L::LANES);
        let inputs = p.rows.run::<R>(row, 0);
        let mut sums = [[L::splat(0); V]; R];
        // Later parts add to what the first has begun.
        if p.part.first > 0 {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = L::load(place.add(r * p.next + v * L::LANES));
                }
            }
        }
        for pair in 0..p.part.len / 2 {
            let mut weights = [L::splat(0); V];
            for (v, weights) in weights.iter_mut().enumerate() {
                *weights = L::load(filters.add(pair * PANEL + v * L::LANES));
            }
            for (inputs, sums) in inputs.iter().zip(&mut sums) {
                let inputs = L::splat(inputs.add(p.first + 2 * pair).cast::<i32>().read_unaligned());
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = L::dot(*sum, inputs, weights);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, &sum) in sums.iter().enumerate() {
                L::store(sum, place.add(r * p.next + v * L::LANES));
            }
        }
    }
    R
}
