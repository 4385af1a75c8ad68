//! Operators of integer models.

use bytemuck::{cast_slice, cast_slice_mut};

use super::{Engine, Inputs, Memory, Operator, channels, positions};
use crate::format::{DType, Function, OpKind, ResizeMode, ValueRecord};
use crate::kernels::int8::{self, Ints, IntsMut, Operand, Output};
use crate::kernels::{Kernels, matrix, moves};
use crate::pixels;

/// Runs one operator.
pub fn run(engine: Engine, step: &Operator, memory: Memory, inputs: &Inputs) {
    let (op, output) = (&step.op, &step.output);
    let Memory { out, scratch, inputs: bytes } = memory;
    // An absent operand is never read; one in the place of the result is read from there.
    let operand = |i: usize| operand(step.operand(i), bytes[i]);
    let fixed: &[i32] = step.optional(op.rescale).unwrap_or_default();
    let Engine { kernels, workers } = engine;
    match op.kind {
        OpKind::Noise => {
            let out: &mut [i8] = cast_slice_mut(out);
            inputs.start.steps(out.len(), |i, x| out[i] = x);
        }
        OpKind::ClassEmbedding => {
            cast_slice_mut(out).copy_from_slice(step.class_row::<i16>(inputs));
            saturate(cast_slice_mut(out), output.bits);
        }
        OpKind::StyleEmbedding => {
            let table = step.model.tensor_data(op.weight);
            int8::embed_styles(table, step.style_rows(inputs), numbers(bytes[0]), cast_slice_mut(out));
            saturate(cast_slice_mut(out), output.bits);
        }
        OpKind::GuidanceEmbedding => {
            let at = step.guidance_position(inputs);
            int8::interpolate(step.model.tensor_data(op.weight), at, numbers(bytes[0]), cast_slice_mut(out));
            saturate(cast_slice_mut(out), output.bits);
        }
        OpKind::Pixels => {
            let table = step.model.tensor_data(op.weight);
            for (pixel, &v) in out.iter_mut().zip(numbers::<i16>(bytes[0])) {
                *pixel = pixels::from_table(v, table);
            }
        }
        OpKind::Linear | OpKind::Conv2d => conv(engine, step, bytes, out),
        OpKind::Slice | OpKind::Resize | OpKind::SpaceToDepth | OpKind::DepthToSpace => {
            // Whatever their width.
            if output.dtype == DType::I8 {
                moved::<i8>(step, numbers(bytes[0]), cast_slice_mut(out));
            } else {
                moved::<i16>(step, numbers(bytes[0]), cast_slice_mut(out));
            }
        }
        OpKind::Norm => {
            let vector = |i: usize, tensor| match step.operands[i] {
                Some(_) => Some(numbers(bytes[i])),
                None => step.optional(tensor),
            };
            let norm = int8::Norm {
                kind: step.norm_kind(),
                epsilon: wide(&fixed[3..]),
                gain: vector(1, op.weight).unwrap_or_default(),
                shift: vector(2, op.bias),
                gain_multiplier: fixed[0],
                shift_multiplier: fixed[2],
                right: fixed[1] as u32,
            };
            int8::norm(kernels, workers, &operand(0), &norm, &mut output_of(output, out));
        }
        OpKind::Attention => attention(engine, step, bytes, scratch, out),
        // Operators on every number.
        OpKind::Lookup => {
            let table = int8::Table { entries: step.model.tensor_data(op.weight), exponent: op.count };
            int8::lookup(kernels, workers, &operand(0), &table, &mut output_of(output, out));
        }
        OpKind::Mul => {
            let table = int8::Table { entries: step.model.tensor_data(op.weight), exponent: 0 };
            let (operands, mut out) = ([&operand(0), &operand(1)], output_of(output, out));
            int8::mul(kernels, workers, operands, &table, scale(fixed), &mut out);
        }
        OpKind::Gate => {
            let (operands, mut out) = ([&operand(0), &operand(2), &operand(1)], output_of(output, out));
            int8::gate(kernels, workers, operands, scales(fixed), &mut out);
        }
        OpKind::Add => {
            let constant = step.constant();
            let b = match constant {
                Some(constant) => Operand { ints: Ints::I16(constant), zero: 0, bits: 16 },
                None => operand(1),
            };
            int8::add(kernels, workers, &operand(0), &b, scales(fixed), &mut output_of(output, out));
        }
        OpKind::Concat => {
            let scale = |multiplier| int8::Scale { multiplier, shift: fixed[1] as u32 };
            let ([first, second], mut out) = (step.places(), output_of(output, out));
            int8::requantize(kernels, &operand(0), scale(fixed[0]), first, &mut out);
            int8::requantize(kernels, &operand(1), scale(fixed[2]), second, &mut out);
        }
        OpKind::GlobalAvgPool => {
            int8::global_avg_pool(kernels, &operand(0), scale(fixed), &mut output_of(output, out));
        }
        // Pictures are for float models; the parse refused it.
        OpKind::Input | OpKind::Pool => {}
    }
}

/// Which kernels compute an operator, given some: these, or the portable ones where they are the only.
pub fn kernels_of(kernels: Kernels, step: &Operator) -> Kernels {
    let (op, output) = (&step.op, &step.output);
    match op.kind {
        OpKind::Linear | OpKind::Conv2d if matrix::takes(kernels, &step.geometry()) => kernels,
        OpKind::Attention => {
            let (tokens, head) = (positions(output), channels(output) / op.count as usize);
            let apart = [1, 2].iter().all(|&i| step.operand(i).range() != output.range());
            int8::attention_kernels(kernels, tokens, head, apart)
        }
        OpKind::Norm | OpKind::Lookup | OpKind::Mul | OpKind::Gate => kernels,
        OpKind::Add | OpKind::Concat | OpKind::GlobalAvgPool => kernels,
        _ => Kernels::PORTABLE,
    }
}

fn scale(fixed: &[i32]) -> int8::Scale {
    int8::Scale { multiplier: fixed[0], shift: fixed[1] as u32 }
}

fn scales(fixed: &[i32]) -> int8::Scales {
    int8::Scales { first: fixed[0], second: fixed[2], shift: fixed[1] as u32 }
}

fn attention(engine: Engine, step: &Operator, bytes: [Option<&[u8]>; 3], scratch: &mut [u8], out: &mut [u8]) {
    let (op, output) = (&step.op, &step.output);
    let fixed: &[i32] = step.optional(op.rescale).unwrap_or_default();
    let scale = |at: usize| int8::Scale { multiplier: fixed[at], shift: fixed[at + 1] as u32 };
    let (tokens, head) = (positions(output), channels(output) / op.count as usize);
    let length = int8::Length::new(head as u32);
    let projection = |at: usize, gain: u32| int8::Projection {
        scale: scale(at),
        norm: step.optional(gain).map(|gain| int8::HeadNorm { gain, epsilon: wide(&fixed[at + 2..]), length }),
    };
    let parameters = int8::Attention {
        tokens,
        heads: op.count as usize,
        head,
        query: projection(0, op.weight),
        key: projection(4, op.bias),
        // Cosines, then sines.
        rotary: step.optional(op.shared).map(|table: &[i16]| {
            let (cos, sin) = table.split_at(table.len() / 2);
            int8::Rotary { cos, sin }
        }),
        softmax: scale(8),
        output: scale(10),
    };
    let [queries, keys, values] = [0, 1, 2].map(|i| operand(step.operand(i), bytes[i]));
    let Engine { kernels, workers } = engine;
    let (operands, mut out) = ([&queries, &keys, &values], output_of(output, out));
    int8::attention(kernels, workers, &parameters, operands, scratch, &mut out);
}

/// 64 bits in two halves, the lower first.
fn wide(halves: &[i32]) -> u64 {
    u64::from(halves[0] as u32) | u64::from(halves[1] as u32) << 32
}

/// Operators that move numbers as they are.
fn moved<T: int8::Int>(step: &Operator, x: &[T], out: &mut [T]) {
    let (op, input) = (&step.op, step.operand(0).shape.map(|d| d as usize));
    let count = op.count as usize;
    match op.kind {
        OpKind::Slice => moves::slice(x, count, input[2], out),
        OpKind::Resize if op.mode == ResizeMode::Bilinear as u8 => int8::bilinear(x, input, out),
        OpKind::Resize => moves::resize_nearest(x, input, 2, out),
        OpKind::SpaceToDepth => moves::space_to_depth(x, input, count, out),
        _ => moves::depth_to_space(x, step.output.shape.map(|d| d as usize), count, out),
    }
}

/// Keeps embeddings within their bits, which sums of products that read them rely on.
fn saturate(numbers: &mut [i16], bits: u8) {
    let limit = 1i32 << (bits - 1);
    for x in numbers {
        *x = i32::from(*x).clamp(-limit, limit - 1) as i16;
    }
}

/// Numbers of an operand that is not in the place of the result.
fn numbers<T: bytemuck::AnyBitPattern>(bytes: Option<&[u8]>) -> &[T] {
    cast_slice(bytes.unwrap_or_default())
}

fn operand<'a>(value: &ValueRecord, bytes: Option<&'a [u8]>) -> Operand<'a> {
    let ints = match (bytes, value.dtype) {
        (None, _) => Ints::InPlace,
        (Some(bytes), DType::I8) => Ints::I8(cast_slice(bytes)),
        (Some(bytes), _) => Ints::I16(cast_slice(bytes)),
    };
    Operand { ints, zero: value.zero_point.into(), bits: value.bits }
}

fn output_of<'a>(value: &ValueRecord, bytes: &'a mut [u8]) -> Output<'a> {
    let ints = match value.dtype {
        DType::I8 => IntsMut::I8(cast_slice_mut(bytes)),
        _ => IntsMut::I16(cast_slice_mut(bytes)),
    };
    Output { ints, zero: value.zero_point.into(), bits: value.bits }
}

fn conv(engine: Engine, step: &Operator, bytes: [Option<&[u8]>; 3], out: &mut [u8]) {
    let (op, output, input) = (&step.op, &step.output, step.operand(0));
    let weights = int8::Weights {
        weight: step.model.tensor_data(op.weight),
        bias: step.model.tensor_data(op.bias),
        rescale: step.model.tensor_data(op.rescale),
    };
    let residual = match (&step.operands[1], bytes[1]) {
        (None, _) => int8::Residual::None,
        (Some(value), None) => int8::Residual::InPlace(value.zero_point.into()),
        (Some(value), Some(r)) if value.dtype == DType::I8 => {
            int8::Residual::I8(cast_slice(r), value.zero_point.into())
        }
        (Some(_), Some(r)) => int8::Residual::I16(cast_slice(r)),
    };
    let epilogue = int8::Epilogue {
        residual,
        relu: op.function == Function::Relu,
        zero_point: output.zero_point.into(),
        bits: output.bits,
    };
    let (geometry, x) = (step.geometry(), bytes[0].unwrap_or_default());
    let (g, w, e, zero) = (&geometry, &weights, &epilogue, input.zero_point);
    if matrix::takes(engine.kernels, g) {
        let Engine { kernels, workers } = engine;
        match (input.dtype == DType::I8, output.dtype == DType::I8) {
            (true, eight) => {
                let layer = matrix::Layer { g, x: cast_slice(x), in_zero: zero as i8, w, epilogue: e };
                match eight {
                    true => matrix::bytes::<i8>(kernels, workers, &layer, cast_slice_mut(out)),
                    false => matrix::bytes::<i16>(kernels, workers, &layer, cast_slice_mut(out)),
                }
            }
            (false, eight) => {
                let layer = matrix::Layer { g, x: cast_slice(x), in_zero: zero, w, epilogue: e };
                match eight {
                    true => matrix::words::<i8>(kernels, workers, &layer, cast_slice_mut(out)),
                    false => matrix::words::<i16>(kernels, workers, &layer, cast_slice_mut(out)),
                }
            }
        }
        return;
    }
    match (input.dtype == DType::I8, output.dtype == DType::I8) {
        (true, true) => int8::conv::<i8, i8>(g, cast_slice(x), zero as i8, w, e, cast_slice_mut(out)),
        (true, false) => int8::conv::<i8, i16>(g, cast_slice(x), zero as i8, w, e, cast_slice_mut(out)),
        (false, true) => int8::conv::<i16, i8>(g, cast_slice(x), zero, w, e, cast_slice_mut(out)),
        (false, false) => int8::conv::<i16, i16>(g, cast_slice(x), zero, w, e, cast_slice_mut(out)),
    }
}
