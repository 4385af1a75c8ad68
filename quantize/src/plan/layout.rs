//! A plan as a recipe: who takes whose bytes, and in which order the others find a place.

use super::{Value, aligned};

/// A recipe for a plan.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The operand whose bytes a value takes over, by value. No operand is taken twice.
    pub takes: Vec<Option<usize>>,
    /// All values; those that take over bytes are skipped.
    pub order: Vec<usize>,
}

/// Bytes in use for some time.
struct Block {
    offset: usize,
    end: usize,
    first: usize,
    last: usize,
}

impl Layout {
    /// Offsets and arena: each block goes to the lowest place where it meets no block that lives at the same time.
    ///
    /// A value and all that take over its bytes one after the other are one block, which keeps its place for all their
    /// lives. Some order gives the best plan that there is for these blocks: that of their offsets in such a plan.
    pub fn place(&self, values: &[Value]) -> (Vec<usize>, usize) {
        let mut heirs = vec![None; values.len()];
        for (value, operand) in self.takes.iter().enumerate() {
            if let Some(operand) = operand {
                heirs[*operand] = Some(value);
            }
        }
        let mut offsets = vec![0; values.len()];
        let mut arena = 0;
        // By offset.
        let mut placed: Vec<Block> = Vec::with_capacity(values.len());
        for &value in self.order.iter().filter(|&&value| self.takes[value].is_none()) {
            let chain = || std::iter::successors(Some(value), |&value| heirs[value]);
            let (len, first) = (values[value].len, values[value].first);
            let last = chain().map(|value| values[value].last).max().unwrap_or(first);
            let mut offset = 0;
            for block in placed.iter().filter(|block| block.first <= last && first <= block.last) {
                if offset + len <= block.offset {
                    break;
                }
                offset = offset.max(block.end);
            }
            let at = placed.partition_point(|block| block.offset <= offset);
            placed.insert(at, Block { offset, end: offset + aligned(len), first, last });
            arena = arena.max(offset + len);
            for value in chain() {
                offsets[value] = offset;
            }
        }
        (offsets, arena)
    }
}
