//! Operators that bring numbers in: noise, pictures, embeddings.

use super::{Context, Proof, ensure, is_vector};
use crate::format::{DType, OpKind, ValueRecord};
use crate::model::Model;

pub fn noise(c: &Context) -> Proof {
    let dtype = if c.integer() { DType::I8 } else { DType::F32 };
    ensure(c.output.dtype == dtype && c.output.zero_point == 0, "output has the wrong type or zero point")?;
    only_one(c)
}

pub fn image(c: &Context) -> Proof {
    ensure(c.output.dtype == DType::F32, "pictures are read as floats")?;
    only_one(c)
}

/// Both occurrences would read the same numbers.
fn only_one(c: &Context) -> Proof {
    ensure((0..c.index).all(|i| c.model.op(i).kind != c.op.kind), "a second source of the same kind")
}

pub fn class_embedding(c: &Context) -> Proof {
    embedding(c, &c.output)?;
    ensure(c.model.header.classes > 0, "the model has no classes")?;
    c.tensor(c.op.weight, c.table_type(), [1, 1, c.model.header.classes, c.output.shape[2]]).map(drop)
}

/// Tables `[1, styles, rows, width]`.
pub fn style_embedding(c: &Context) -> Proof {
    let input = c.operand(0);
    embedding(c, &c.output)?;
    c.same_format(input, &c.output)?;
    ensure(input.shape == c.output.shape, "input and output differ in shape")?;
    let [_, styles, rows, _] = c.any_tensor(c.op.weight)?.dims;
    // 16-bit rows: a sum of 2^15 of them fits 32 bits.
    ensure(styles <= 1 << 15, "more than 32768 styles")?;
    ensure((0..c.index).all(|i| c.model.op(i).kind != OpKind::StyleEmbedding), "a second style embedding")?;
    c.tensor(c.op.weight, c.table_type(), [1, styles, rows, c.output.shape[2]]).map(drop)
}

pub fn guidance_embedding(c: &Context) -> Proof {
    let input = c.operand(0);
    embedding(c, &c.output)?;
    c.same_format(input, &c.output)?;
    ensure(input.shape == c.output.shape, "input and output differ in shape")?;
    let knots = c.any_tensor(c.op.weight)?.dims[2];
    ensure(knots >= 2, "fewer than two guidance knots")?;
    c.tensor(c.op.weight, c.table_type(), [1, 1, knots, c.output.shape[2]])?;
    ensure(guidance_shift(c.model, knots).is_some(), "guidance steps are not 2^n / 256 with n at most 14")
}

/// Embeddings are vectors of one format, so that rows add without rescaling.
fn embedding(c: &Context, value: &ValueRecord) -> Proof {
    ensure(is_vector(value), "an embedding is a vector")?;
    ensure(value.dtype == c.vector_type(), "an embedding has the wrong type")
}

/// Bits of the position between two knots, `None` if knots do not lie a power of two apart. With at most 14 bits the
/// interpolation of 16-bit rows fits 32 bits.
pub fn guidance_shift(model: &Model, knots: u32) -> Option<u32> {
    let range = u32::from(model.header.guidance_max - model.header.guidance_min);
    let step = range / (knots - 1);
    (step * (knots - 1) == range && step.is_power_of_two() && step <= 1 << 14).then(|| step.ilog2())
}
