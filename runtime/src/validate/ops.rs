//! The proof of operators: order, shapes, types and fixed-point parameters, so that the executor needs no check.

use crate::format::{Activation, DType, NONE, OpKind, OpRecord, Precision, TensorRecord, ValueRecord};
use crate::model::{Model, ParseError};
use crate::pixels::TABLE_LEN;

type Proof = Result<(), &'static str>;

/// Largest sum of products: with a bias up to `2^30` it fits 32 bits.
const MAX_SUM: u64 = 1 << 30;
const MAX_BIAS: u32 = 1 << 30;

/// Proves every operator.
pub fn prove(model: &Model) -> Result<(), ParseError> {
    let mut next_tensor = 0;
    for index in 0..model.op_count() {
        let op = model.op(index);
        op_is_sound(model, &op, index, &mut next_tensor).map_err(|problem| ParseError::Op { index, problem })?;
    }
    if next_tensor != model.header.tensors.count {
        return Err(ParseError::Header("a tensor belongs to no operator"));
    }
    Ok(())
}

fn op_is_sound(model: &Model, op: &OpRecord, index: u32, next_tensor: &mut u32) -> Proof {
    // Each tensor belongs to one operator, in order; this bounds the work of the proof by the size of the file.
    for tensor in [op.weight, op.bias, op.rescale] {
        if tensor != NONE {
            ensure(tensor == *next_tensor && tensor < model.header.tensors.count, "tensors are not used in order")?;
            *next_tensor += 1;
        }
    }
    let values = model.header.values.count;
    ensure(op.output < values, "output is not a value")?;
    let output = model.value(op.output);
    ensure(output.first == index, "output is not born here")?;
    for source in [op.input, op.residual] {
        if source != NONE {
            ensure(source < values, "input or residual is not a value")?;
            let value = model.value(source);
            let written = value.first < index && model.op(value.first).output == source;
            ensure(written && index <= value.last, "input or residual is not alive")?;
        }
    }
    let input = (op.input != NONE).then(|| model.value(op.input));
    ensure(
        input.is_some() == !matches!(op.kind, OpKind::Noise | OpKind::Input | OpKind::ClassEmbedding),
        "input missing or superfluous",
    )?;
    if !matches!(op.kind, OpKind::Linear | OpKind::Conv2d) {
        ensure(op.residual == NONE && op.bias == NONE && op.rescale == NONE, "residual, bias or rescale superfluous")?;
        ensure(op.activation == Activation::None || op.kind == OpKind::Pixels, "activation superfluous")?;
    }
    if op.kind != OpKind::Conv2d {
        ensure(op.stride == 1 && op.upsample == 1 && op.padding == 0, "stride, upsample or padding superfluous")?;
    }
    match (op.kind, input) {
        (OpKind::Noise, _) => noise(model, op, index, &output),
        (OpKind::Input, _) => image(model, op, index, &output),
        (OpKind::ClassEmbedding, _) => class_embedding(model, op, &output),
        (OpKind::GuidanceEmbedding, Some(input)) => guidance_embedding(model, op, &input, &output),
        (OpKind::Linear, Some(input)) => linear(model, op, &input, &output),
        (OpKind::Conv2d, Some(input)) => conv(model, op, &input, &output),
        (OpKind::GlobalAvgPool, Some(input)) => {
            ensure(op.weight == NONE, "weight superfluous")?;
            ensure(input.dtype == DType::F32 && output.dtype == DType::F32, "pooling is for float values")?;
            ensure(output.shape == [1, 1, input.shape[2]], "output shape does not fit")
        }
        (OpKind::Pixels, Some(input)) => pixels(model, op, &input, &output),
        // Unreachable: the input was checked above.
        (_, None) => Err("input missing"),
    }
}

fn noise(model: &Model, op: &OpRecord, index: u32, output: &ValueRecord) -> Proof {
    ensure(op.weight == NONE, "weight superfluous")?;
    ensure(is_vector(output), "noise is a vector")?;
    ensure(output.dtype == activations(model), "output has the wrong type")?;
    ensure(output.dtype != DType::I8 || output.zero_point == 0, "noise has zero point 0")?;
    only_one(model, OpKind::Noise, index)
}

fn image(model: &Model, op: &OpRecord, index: u32, output: &ValueRecord) -> Proof {
    ensure(op.weight == NONE, "weight superfluous")?;
    ensure(output.dtype == DType::F32, "pictures are read as floats")?;
    only_one(model, OpKind::Input, index)
}

/// Both occurrences would read the same numbers.
fn only_one(model: &Model, kind: OpKind, index: u32) -> Proof {
    ensure((0..index).all(|i| model.op(i).kind != kind), "a second source of the same kind")
}

fn class_embedding(model: &Model, op: &OpRecord, output: &ValueRecord) -> Proof {
    let table = tensor(model, op.weight)?;
    ensure(is_vector(output), "an embedding is a vector")?;
    ensure(output.dtype == embeddings(model), "output has the wrong type")?;
    ensure(output.dtype != DType::I16 || output.bits == 16, "an embedding has 16 bits")?;
    ensure(table.dtype == tables(model), "table has the wrong type")?;
    ensure(model.header.classes > 0, "the model has no classes")?;
    ensure(table.dims == [1, 1, model.header.classes, output.shape[2]], "table shape does not fit")
}

fn guidance_embedding(model: &Model, op: &OpRecord, input: &ValueRecord, output: &ValueRecord) -> Proof {
    let table = tensor(model, op.weight)?;
    ensure(is_vector(output) && input.shape == output.shape, "an embedding is a vector, added to one of its length")?;
    ensure(output.dtype == embeddings(model) && input.dtype == output.dtype, "input or output has the wrong type")?;
    ensure(output.dtype != DType::I16 || output.bits == 16, "an embedding has 16 bits")?;
    ensure(table.dtype == tables(model), "table has the wrong type")?;
    let knots = table.dims[2];
    ensure(table.dims == [1, 1, knots, output.shape[2]] && knots >= 2, "table shape does not fit")?;
    ensure(guidance_shift(model, knots).is_some(), "guidance steps are not 2^n / 256 with n at most 14")
}

/// Bits of the position between two knots, `None` if knots do not lie a power of two apart. With at most 14 bits the
/// interpolation of 16-bit rows fits 32 bits.
pub fn guidance_shift(model: &Model, knots: u32) -> Option<u32> {
    let range = u32::from(model.header.guidance_max - model.header.guidance_min);
    let step = range / (knots - 1);
    (step * (knots - 1) == range && step.is_power_of_two() && step <= 1 << 14).then(|| step.ilog2())
}

fn linear(model: &Model, op: &OpRecord, input: &ValueRecord, output: &ValueRecord) -> Proof {
    let weight = tensor(model, op.weight)?;
    let outputs = match model.precision {
        Precision::Int8 => {
            ensure(weight.dims[1..] == [1, 1, input.shape[2]], "weight shape does not fit the input")?;
            weight.dims[0]
        }
        _ => {
            ensure(weight.dims[..3] == [1, 1, input.shape[2]], "weight shape does not fit the input")?;
            weight.dims[3]
        }
    };
    let rows = u64::from(input.shape[0]) * u64::from(input.shape[1]);
    ensure(output.elements() as u64 == rows * u64::from(outputs), "output shape does not fit the weight")?;
    accumulation(model, op, input, output, outputs, u64::from(input.shape[2]))
}

fn conv(model: &Model, op: &OpRecord, input: &ValueRecord, output: &ValueRecord) -> Proof {
    let weight = tensor(model, op.weight)?;
    let [kernel_height, kernel_width, ins, outs] = match model.precision {
        Precision::Int8 => [weight.dims[1], weight.dims[2], weight.dims[3], weight.dims[0]],
        _ => weight.dims,
    };
    ensure(ins == input.shape[2] && outs == output.shape[2], "weight shape does not fit input and output")?;
    ensure(op.stride >= 1, "stride is zero")?;
    ensure(op.upsample == 1 || op.upsample == 2, "upsampling is neither 1 nor 2")?;
    for (axis, kernel) in [kernel_height, kernel_width].into_iter().enumerate() {
        let padding = u64::from(op.padding);
        ensure(padding < u64::from(kernel), "padding is not smaller than the kernel")?;
        let padded = u64::from(input.shape[axis]) * u64::from(op.upsample) + 2 * padding;
        let steps = padded.checked_sub(u64::from(kernel)).ok_or("kernel is larger than the padded input")?;
        ensure(u64::from(output.shape[axis]) == steps / u64::from(op.stride) + 1, "output size does not fit")?;
    }
    let terms = u64::from(kernel_height) * u64::from(kernel_width) * u64::from(ins);
    accumulation(model, op, input, output, outs, terms)
}

/// What linear layers and convolutions share: types, bias, residual, fixed-point scales and the accumulator's width.
fn accumulation(
    model: &Model,
    op: &OpRecord,
    input: &ValueRecord,
    output: &ValueRecord,
    outputs: u32,
    terms: u64,
) -> Proof {
    ensure(op.activation != Activation::Tanh, "tanh belongs to the pixels operator")?;
    let weight = tensor(model, op.weight)?;
    let bias = tensor(model, op.bias)?;
    ensure(bias.dims == [1, 1, 1, outputs], "bias shape does not fit")?;
    let residual = (op.residual != NONE).then(|| model.value(op.residual));
    if let Some(residual) = residual {
        ensure(residual.elements() == output.elements(), "residual shape does not fit")?;
    }
    let weight_type = match model.precision {
        Precision::F32 => DType::F32,
        Precision::F16 => DType::F16,
        Precision::Int8 => DType::I8,
    };
    ensure(weight.dtype == weight_type, "weight has the wrong type")?;
    if model.precision != Precision::Int8 {
        ensure(bias.dtype == DType::F32 && op.rescale == NONE, "bias or rescale has the wrong type")?;
        let float = |v: &ValueRecord| v.dtype == DType::F32;
        return ensure(
            float(input) && float(output) && residual.iter().all(float),
            "input, output or residual has the wrong type",
        );
    }
    let integer = |v: &ValueRecord| matches!(v.dtype, DType::I8 | DType::I16);
    let integers = integer(input) && integer(output) && residual.iter().all(integer);
    ensure(integers, "input, output or residual has the wrong type")?;
    let rescale = tensor(model, op.rescale)?;
    ensure(bias.dtype == DType::I32 && rescale.dtype == DType::I32, "bias or rescale has the wrong type")?;
    let fields = if residual.is_some() { 3 } else { 2 };
    ensure(rescale.dims == [1, 1, outputs, fields], "rescale shape does not fit")?;
    // Products of 8-bit weights and inputs of so many bits.
    ensure(terms << (7 + input.bits - 1) <= MAX_SUM, "sums are too long for 32 bits")?;
    let biases: &[i32] = model.tensor_data(op.bias);
    ensure(biases.iter().all(|b| b.unsigned_abs() <= MAX_BIAS), "a bias is larger than 2^30")?;
    let scales = model.tensor_data::<i32>(op.rescale).chunks_exact(fields as usize);
    let sound = |s: &[i32]| s[0] >= 0 && (1..=62).contains(&s[1]) && s.get(2).is_none_or(|&r| r >= 0);
    ensure(scales.clone().all(sound), "a multiplier is negative or a shift is not in 1..=62")
}

fn pixels(model: &Model, op: &OpRecord, input: &ValueRecord, output: &ValueRecord) -> Proof {
    ensure(op.activation != Activation::Relu, "pixels take no relu")?;
    ensure(input.shape == output.shape && output.dtype == DType::U8, "output has the wrong shape or type")?;
    if model.precision != Precision::Int8 {
        return ensure(op.weight == NONE && input.dtype == DType::F32, "input has the wrong type, or a table");
    }
    let table = tensor(model, op.weight)?;
    ensure(input.dtype == DType::I16 && table.dtype == DType::I16, "input or table has the wrong type")?;
    ensure(table.dims == [1, 1, 1, TABLE_LEN], "table shape does not fit")
}

fn tensor(model: &Model, index: u32) -> Result<TensorRecord, &'static str> {
    // Indices other than NONE were proved at the start of the operator.
    if index == NONE { Err("weight, bias or rescale missing") } else { Ok(model.tensor(index)) }
}

fn activations(model: &Model) -> DType {
    if model.precision == Precision::Int8 { DType::I8 } else { DType::F32 }
}

fn embeddings(model: &Model) -> DType {
    if model.precision == Precision::Int8 { DType::I16 } else { DType::F32 }
}

fn tables(model: &Model) -> DType {
    match model.precision {
        Precision::F32 => DType::F32,
        Precision::F16 => DType::F16,
        Precision::Int8 => DType::I16,
    }
}

fn is_vector(value: &ValueRecord) -> bool {
    value.shape[..2] == [1, 1]
}

fn ensure(holds: bool, problem: &'static str) -> Proof {
    if holds { Ok(()) } else { Err(problem) }
}
