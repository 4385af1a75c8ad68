//! Attention.

use super::{Context, Field, Proof, ensure, norm, positions};
use crate::format::DType;
use crate::kernels::attention_scratch_len;

/// Operands are queries, keys and values `[tokens, heads * head]`; gains of the normalization of queries and keys are both
/// there or absent, and so is the rotary table `[1, 2, tokens, head / 2]`.
pub fn attention(c: &Context) -> Proof {
    let fields = [Field::Weight, Field::Bias, Field::Rescale, Field::Shared, Field::Count, Field::Scratch];
    let [queries, keys, values] = c.operands::<3>(&fields)?;
    c.numbers(&[&queries, &keys, &values, &c.output])?;
    let [_, _, width] = c.output.shape;
    let same = [&queries, &keys, &values].iter().all(|v| v.shape == c.output.shape);
    ensure(same, "queries, keys, values and output differ in shape")?;
    ensure(c.op.count >= 1 && width.is_multiple_of(c.op.count), "channels do not make whole heads")?;
    let (tokens, head) = (positions(&c.output), width / c.op.count);
    if c.op.weight != crate::format::NONE || c.op.bias != crate::format::NONE {
        c.tensor(c.op.weight, c.vector_type(), [1, 1, 1, head])?;
        c.tensor(c.op.bias, c.vector_type(), [1, 1, 1, head])?;
    }
    if c.op.shared != crate::format::NONE {
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
    let _ = DType::I32;
    Err("integer attention is not there yet")
}
