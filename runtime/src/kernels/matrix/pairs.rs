//! Products of words: rows of inputs times filters that were laid out for it, with an output in each lane of a register and the
//! weights of two inputs in the lane, so that sums need no adding up.

#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
mod tile;

use super::tile::Rows;
use crate::panels::{PANEL, QUAD};
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
pub use tile::{Words, filters, products};

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
