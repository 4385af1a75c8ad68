//! Linear layers and convolutions.

use super::{Context, Problem, Proof, ensure, is_shift, positions};
use crate::format::{ConvMode, DType, Function, NONE, Precision, ValueRecord};
use crate::panels::{PANEL, QUAD, SHARE};

/// Largest sum of products, and what no bias reaches: together they stay below `2^31`.
const MAX_SUM: u64 = 1 << 30;
const MAX_BIAS: u32 = 1 << 30;

pub fn linear(c: &Context) -> Proof {
    let (input, residual) = (c.operand(0), &c.inputs[1]);
    let dims = filter_dims(c)?;
    let outputs = if c.integer() {
        ensure(dims[1..] == [1, 1, stored_inputs(c, input.shape[2])], "weight shape does not fit the input")?;
        dims[0]
    } else {
        ensure(dims[..3] == [1, 1, input.shape[2]], "weight shape does not fit the input")?;
        dims[3]
    };
    let fits = c.output.elements() as u64 == positions(input) * u64::from(outputs);
    ensure(fits, "output shape does not fit the weight")?;
    accumulation(c, input, residual, outputs, input.shape[2].into())?;
    expansion(c, outputs, stored_inputs(c, input.shape[2]).into())?;
    zeros_fill_up(c, input.shape[2], outputs)
}

pub fn conv(c: &Context) -> Proof {
    let (input, residual) = (c.operand(0), &c.inputs[1]);
    let mode = ConvMode::from_code(c.op.mode).ok_or("unknown kind of convolution")?;
    ensure(mode != ConvMode::Depthwise || !c.nibbles(), "depthwise filters have 8 bits")?;
    let dims = filter_dims(c)?;
    let [kernel_height, kernel_width, ins, outs] =
        if c.integer() { [dims[1], dims[2], dims[3], dims[0]] } else { dims };
    let (in_channels, out_channels) = (input.shape[2], c.output.shape[2]);
    // Zeros that fill a group up are no terms.
    let depth = u64::from(if mode == ConvMode::Depthwise { 1 } else { in_channels });
    let channels_fit = match mode {
        ConvMode::Depthwise => ins == 1 && outs == in_channels && in_channels == out_channels,
        ConvMode::Dense | ConvMode::Transposed => ins == stored_inputs(c, in_channels) && outs == out_channels,
    };
    ensure(channels_fit, "weight shape does not fit input and output")?;
    let stride = u64::from(c.op.stride);
    ensure(stride >= 1, "stride is zero")?;
    ensure(c.op.upsample == 1 || c.op.upsample == 2, "upsampling is neither 1 nor 2")?;
    let transposed = mode == ConvMode::Transposed;
    ensure(!transposed || c.op.upsample == 1, "a transposed convolution has no upsampling")?;
    // Rows and columns behind the last that the kernel reaches: their result is the bias.
    let behind = u64::from(c.op.count);
    ensure(if transposed { behind < stride } else { behind == 0 }, "output padding does not fit the stride")?;
    for (axis, kernel) in [kernel_height, kernel_width].into_iter().enumerate() {
        // The float kernels leave a single tap without padding.
        let padding = if kernel == 1 && !c.integer() { 0 } else { c.op.padding };
        let (kernel, padding, len) = (u64::from(kernel), u64::from(padding), u64::from(input.shape[axis]));
        ensure(padding < kernel, "padding is not smaller than the kernel")?;
        // No dimension is zero.
        let found = u64::from(c.output.shape[axis]);
        let fits = if transposed {
            (len - 1) * stride + kernel + behind == found + 2 * padding
        } else {
            let padded = len * u64::from(c.op.upsample) + 2 * padding;
            let steps = padded.checked_sub(kernel).ok_or("kernel is larger than the padded input")?;
            // A division of 64 bits is more code than this on small processors.
            ((found - 1) * stride..found * stride).contains(&steps)
        };
        ensure(fits, "output size does not fit")?;
    }
    let taps = u64::from(kernel_height) * u64::from(kernel_width);
    accumulation(c, input, residual, outs, taps * depth)?;
    expansion(c, outs, taps * u64::from(ins))?;
    if mode == ConvMode::Depthwise { Ok(()) } else { zeros_fill_up(c, in_channels, outs) }
}

/// Dimensions of the filter: a byte holds two weights of 4 bits.
fn filter_dims(c: &Context) -> Result<[u32; 4], Problem> {
    let [a, b, d, bytes] = c.any_tensor(c.op.weight)?.dims;
    // A tensor has fewer than 2^31 bytes.
    Ok([a, b, d, if c.nibbles() { 2 * bytes } else { bytes }])
}

/// Weights of 4 bits bring multipliers, and working memory for some panels of weights of 8 bits, and for the scales of all outputs
/// where one row serves them; others need neither.
fn expansion(c: &Context, outputs: u32, terms: u64) -> Proof {
    if !c.nibbles() {
        return ensure(c.op.shared == NONE && c.op.scratch == NONE, "multipliers or working memory without need");
    }
    let multipliers = (u64::from(outputs) * terms.div_ceil(SHARE as u64)).div_ceil(2);
    ensure(u64::from(outputs) * terms <= i32::MAX as u64, "a filter has more than 2^31 weights")?;
    c.tensor(c.op.shared, DType::U8, [1, 1, 1, multipliers as u32])?;
    let [_, _, rows, fields] = c.any_tensor(c.op.rescale)?.dims;
    let scales = if rows < outputs { 4 * u64::from(outputs) * u64::from(fields) } else { 0 };
    let panel = scales + u64::from(outputs).min(PANEL as u64) * terms;
    let room = c.scratch.as_ref().map_or(0, |v| v.range().len() as u64);
    ensure(room >= panel, "working memory holds no panel of weights")
}

/// Input channels of a stored filter: those of int8 models are filled up to whole groups.
fn stored_inputs(c: &Context, channels: u32) -> u32 {
    // A value has fewer than 2^31 channels.
    if c.integer() { channels.next_multiple_of(QUAD as u32) } else { channels }
}

/// Weights that fill groups up are zero: kernels multiply them with whatever lies beside the inputs.
fn zeros_fill_up(c: &Context, channels: u32, outputs: u32) -> Proof {
    let (channels, outputs) = (channels as usize, outputs as usize);
    let used = channels % QUAD;
    if !c.integer() || used == 0 {
        return Ok(());
    }
    // A group has 4 bytes, or in 4 bits 2.
    let (weights, group) = (c.model.tensor_bytes(c.op.weight), if c.nibbles() { QUAD / 2 } else { QUAD });
    let (terms, tap) = (weights.len() / outputs, channels.div_ceil(QUAD) * group);
    for panel in weights.chunks(terms.saturating_mul(PANEL)) {
        let width = panel.len() / terms;
        // Of every tap the last group.
        let last = panel.chunks_exact(tap * width).flat_map(|tap| tap[tap.len() - group * width..].chunks_exact(group));
        let zero = |bytes: &[u8]| match *bytes {
            [a, b] => u16::from_le_bytes([a, b]) >> (4 * used) == 0,
            _ => bytes[used..].iter().all(|&weight| weight == 0),
        };
        ensure(last.into_iter().all(zero), "a weight that fills a group up is not zero")?;
    }
    Ok(())
}

/// What linear layers and convolutions share: types, bias, residual, fixed-point scales and the accumulator's width.
fn accumulation(c: &Context, input: &ValueRecord, residual: &Option<ValueRecord>, outputs: u32, terms: u64) -> Proof {
    ensure(matches!(c.op.function, Function::Identity | Function::Relu), "layers apply relu or nothing")?;
    c.numbers(&[input, &c.output])?;
    if let Some(residual) = residual {
        c.numbers(&[residual])?;
        ensure(residual.elements() == c.output.elements(), "residual shape does not fit")?;
    }
    let (weight_type, bias_type) = match c.model.precision {
        Precision::F32 => (DType::F32, DType::F32),
        Precision::F16 => (DType::F16, DType::F32),
        Precision::Int8 => (DType::I8, DType::I32),
    };
    let four = c.integer() && c.any_tensor(c.op.weight)?.dtype == DType::U8;
    ensure(!four || c.nibbles(), "weights of 4 bits, which this runtime was built without (feature `nibbles`)")?;
    ensure(c.nibbles() || c.any_tensor(c.op.weight)?.dtype == weight_type, "weight has the wrong type")?;
    c.tensor(c.op.bias, bias_type, [1, 1, 1, outputs])?;
    if !c.integer() {
        return ensure(c.op.rescale == NONE, "float layers have no fixed-point scales");
    }
    let fields = if residual.is_some() { 3 } else { 2 };
    // With weights of 4 bits one row may serve all outputs.
    let one = c.nibbles() && c.any_tensor(c.op.rescale)?.dims[2] == 1;
    c.tensor(c.op.rescale, DType::I32, [1, 1, if one { 1 } else { outputs }, fields])?;
    // Products of 8-bit weights and inputs of so many bits.
    ensure(terms <= MAX_SUM && terms << (7 + input.bits - 1) <= MAX_SUM, "sums are too long for 32 bits")?;
    let biases: &[i32] = c.model.tensor_data(c.op.bias);
    ensure(biases.iter().all(|b| b.unsigned_abs() < MAX_BIAS), "a bias is not below 2^30")?;
    let scales = c.model.tensor_data::<i32>(c.op.rescale).chunks_exact(fields as usize);
    let sound = |s: &[i32]| s[0] >= 0 && is_shift(s[1]) && s.get(2).is_none_or(|&r| r >= 0);
    ensure(scales.clone().all(sound), "a multiplier is negative or a shift is not in 1..=62")
}
