//! The memory plan: where in the arena each value lies, so that no two values that live at the same time overlap.
//!
//! `docs/memory.md` explains it. [`lives`] says what a program needs. A [`Layout`](layout::Layout) says which results take over the bytes of an operand and
//! in which order values are placed; [`search`] looks for the layout with the smallest arena; [`bound`] says when no
//! better one exists.

mod bound;
mod layout;
mod lives;
#[cfg(test)]
mod presets;
mod search;
pub mod section;
pub mod spare;
#[cfg(test)]
mod tests;

pub use lives::{Lives, lives};

/// A value, or working memory: alive from one operator to another, both included.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub len: usize,
    pub first: usize,
    pub last: usize,
}

/// A result may take the bytes of an operand: they are equally long, and the operand dies where the result is born.
#[derive(Clone, Copy, Debug)]
pub struct InPlace {
    pub output: usize,
    pub operand: usize,
}

/// A plan and what it is measured by.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where each value begins, multiples of [`ALIGN`](driftlet_runtime::format::ALIGN).
    pub offsets: Vec<usize>,
    /// Bytes of the arena.
    pub arena: usize,
    /// Bytes that every plan of these values needs.
    pub bound: usize,
    /// The operator that needs them.
    pub bound_op: usize,
}

/// Plans memory. The same values give the same plan.
pub fn plan(values: &[Value], permitted: &[InPlace]) -> Plan {
    let (bound, bound_op) = bound::bound(values, permitted);
    let (offsets, arena) = search::best(values, permitted, bound);
    Plan { offsets, arena, bound, bound_op }
}

/// Bytes from the start of a value to where the next may start.
fn aligned(len: usize) -> usize {
    len.next_multiple_of(driftlet_runtime::format::ALIGN as usize)
}
