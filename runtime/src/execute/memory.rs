//! Borrows from the arena what one operator touches.

use crate::format::ValueRecord;

/// What an operator touches. The parse proved that written and read bytes are apart, but for an operand in the place of
/// the result.
pub struct Memory<'a> {
    pub out: &'a mut [u8],
    pub scratch: &'a mut [u8],
    /// The operands; `None` for those that are absent, and for one whose bytes are those of `out`.
    pub inputs: [Option<&'a [u8]>; 3],
}

/// Borrows an operator's result and working memory for writing and its operands for reading.
pub fn borrow<'a>(
    arena: &'a mut [u8],
    output: &ValueRecord,
    scratch: Option<&ValueRecord>,
    inputs: &[Option<ValueRecord>; 3],
) -> Memory<'a> {
    let written = output.range();
    // Absent working memory is empty and lies behind everything.
    let working = scratch.map_or(arena.len()..arena.len(), ValueRecord::range);
    let swapped = working.start < written.start;
    let (first, second) = if swapped { (working, written.clone()) } else { (written.clone(), working) };

    let (a, rest) = arena.split_at_mut(first.start);
    let (first_bytes, rest) = rest.split_at_mut(first.len());
    let (b, rest) = rest.split_at_mut(second.start - first.end);
    let (second_bytes, c) = rest.split_at_mut(second.len());
    let (a, b, c): (&[u8], &[u8], &[u8]) = (a, b, c);
    let read = |value: &ValueRecord| {
        let range = value.range();
        if range.is_empty() {
            // Rows that no tap reaches; aligned as the arena is.
            Some(&a[..0])
        } else if range == written {
            None
        } else if range.start < first.start {
            Some(&a[range])
        } else if range.start < second.start {
            Some(&b[range.start - first.end..range.end - first.end])
        } else {
            Some(&c[range.start - second.end..range.end - second.end])
        }
    };
    let inputs = [0, 1, 2].map(|i| inputs[i].as_ref().and_then(read));
    let (out, scratch) = if swapped { (second_bytes, first_bytes) } else { (first_bytes, second_bytes) };
    Memory { out, scratch, inputs }
}
