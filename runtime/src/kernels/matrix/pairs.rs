//! Products of words: rows of inputs times filters that were laid out for it, with an output in each lane of a register and the
//! weights of two inputs in the lane, so that sums need no adding up.

use super::tile::Rows;
use crate::kernels::int8::Lanes;
use crate::panels::{PANEL, QUAD};

/// Bytes of a line of the cache. What is used together lies a line more apart than it needs: distances of a power of two take
/// the same few lines.
pub const LINE: usize = 64;

/// Input channels whose filters are laid out at a time.
pub const CHANNELS: usize = 64;

/// Dwords of the filters of a tap.
pub const TAP: usize = CHANNELS / 2 * PANEL + LINE / 4;

/// Terms of a tap that are taken at a time.
#[derive(Clone, Copy)]
pub struct Part {
    /// The first of them, and how many; both multiples of [`QUAD`].
    pub first: usize,
    pub len: usize,
    /// Terms of a tap as they are stored.
    pub stored: usize,
    /// Outputs of the panel.
    pub width: usize,
}

impl Part {
    /// All parts of a tap.
    pub fn all(stored: usize, width: usize) -> impl Iterator<Item = Self> {
        let of = move |first| Self { first, len: CHANNELS.min(stored - first), stored, width };
        (0..stored).step_by(CHANNELS).map(of)
    }

    /// Four terms of a tap, of all outputs of the panel; those that it does not have are 0.
    #[inline(always)]
    pub fn quad(&self, weight: &[i8], tap: usize, quad: usize) -> [i8; QUAD * PANEL] {
        let stored = &weight[(tap * self.stored + self.first + quad * QUAD) * self.width..][..QUAD * self.width];
        stored.first_chunk().copied().unwrap_or_else(|| {
            let mut group = [0; QUAD * PANEL];
            group[..stored.len()].copy_from_slice(stored);
            group
        })
    }
}

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

/// How an instruction set multiplies in pairs.
#[derive(Clone, Copy)]
pub struct Pairs<E> {
    /// Lays the filters of a panel out, so many taps of a part, each [`TAP`] behind the last.
    pub filters: unsafe fn(weight: &[i8], taps: usize, part: Part, to: *mut i32),
    /// Multiplies.
    pub products: unsafe fn(&Product<E>),
}

/// What is multiplied, and where the products go.
pub struct Product<E> {
    /// Rows of a single run.
    pub rows: Rows<E>,
    /// Rows that are taken.
    pub count: usize,
    /// The first input of a row that is taken.
    pub first: usize,
    /// Filters of the tap.
    pub filters: *const i32,
    pub part: Part,
    /// Sums `[row, output]`, with room for a whole panel.
    pub sums: *mut i32,
    /// From the sums of a row to those of the next.
    pub next: usize,
}

/// See [`Pairs::filters`].
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

/// See [`Pairs::products`]; by tiles of so many rows and registers of sums.
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
