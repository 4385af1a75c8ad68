//! Attention.

use super::{Context, Proof, ensure, norm, positions};
use crate::format::{DType, NONE};
use crate::kernels::{attention_scratch_len, int8};

/// Operands are queries, keys and values `[tokens, heads * head]`; gains of the normalization of queries and keys are both
/// there or absent, and so is the rotary table `[1, 2, tokens, head / 2]`.
pub fn attention(c: &Context) -> Proof {
    let operands = [0, 1, 2].map(|i| c.operand(i));
    c.numbers(&operands)?;
    c.numbers(&[&c.output])?;
    let [_, _, width] = c.output.shape;
    let same = operands.iter().all(|v| v.shape == c.output.shape);
    ensure(same, "queries, keys, values and output differ in shape")?;
    ensure(c.op.count >= 1 && width.is_multiple_of(c.op.count), "channels do not make whole heads")?;
    let (tokens, head) = (positions(&c.output), width / c.op.count);
    if c.op.weight != NONE || c.op.bias != NONE {
        c.tensor(c.op.weight, c.vector_type(), [1, 1, 1, head])?;
        c.tensor(c.op.bias, c.vector_type(), [1, 1, 1, head])?;
    }
    if c.op.shared != NONE {
        ensure(head.is_multiple_of(2), "rotary embedding needs heads of an even length")?;
        let tokens = u32::try_from(tokens).map_err(|_| "too many tokens")?;
        c.tensor(c.op.shared, c.vector_type(), [1, 2, tokens, head / 2])?;
    }
    let needed = attention_scratch_len(c.model.precision, tokens as usize, head as usize);
    let scratch = c.scratch.as_ref().map_or(0, |v| v.elements());
    ensure(scratch == needed, "working memory has the wrong size")?;
    if !c.integer() {
        return norm::epsilon(c);
    }
    ensure(tokens <= int8::MAX_TOKENS as u64 && head <= int8::MAX_HEAD as u32, "too many tokens, or heads too long")?;
    // Multiplier, shift and epsilon of queries, the same of keys; multiplier and shift of the softmax, and of the output.
    c.tensor(c.op.rescale, DType::I32, [1, 1, 1, 12])?;
    let numbers: &[i32] = c.model.tensor_data(c.op.rescale);
    let largest = if c.op.weight == NONE { i32::MAX } else { 1 << 26 };
    let sound = |at: usize, largest: i32, shift: i32| {
        (0..largest).contains(&numbers[at]) && (1..=shift).contains(&numbers[at + 1])
    };
    let projections = [0, 4].iter().all(|&at| sound(at, largest, 62) && numbers[at + 3] >= 0);
    ensure(projections, "a multiplier, shift or epsilon of queries or keys is out of range")?;
    ensure(sound(8, 1 << 20, 62), "multiplier or shift of the softmax is out of range")?;
    ensure(sound(10, i32::MAX, int8::MAX_OUTPUT_SHIFT), "multiplier or shift of the output is out of range")
}
