//! Operators of integer models that plain convolutional generators do without.

use bytemuck::{cast_slice, cast_slice_mut};

use super::{numbers, saturate};
use crate::execute::{Engine, Inputs, Memory, Operator, channels, positions};
use crate::format::{DType, OpKind, ResizeMode, ValueRecord};
use crate::kernels::int8::{self, Ints, IntsMut, Operand, Output};
use crate::kernels::moves;

/// Runs one operator.
pub fn run(engine: Engine, step: &Operator, memory: Memory, inputs: &Inputs) {
    let (op, output, bytes) = (&step.op, &step.output, memory.inputs);
    let Engine { kernels, workers } = engine;
    match op.kind {
        OpKind::Attention => attention(engine, step, memory),
        OpKind::StyleEmbedding => {
            let (table, out) = (step.model.tensor_data(op.weight), cast_slice_mut(memory.out));
            int8::embed_styles(table, step.style_rows(inputs), numbers(bytes[0]), out);
            saturate(out, output.bits);
        }
        OpKind::Resize => resize(step, memory),
        OpKind::Slice | OpKind::SpaceToDepth | OpKind::DepthToSpace => moved(step, memory),
        _ => {
            let (fixed, out) = (fixed(step), &mut output_of(output, memory.out));
            let [a, b, c] = [0, 1, 2].map(|index| operand(step, bytes, index));
            match op.kind {
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
                    int8::norm(kernels, workers, &a, &norm, out);
                }
                OpKind::Lookup => {
                    let table = int8::Table { entries: step.model.tensor_data(op.weight), exponent: op.count };
                    int8::lookup(kernels, workers, &a, &table, out);
                }
                OpKind::Add => {
                    let constant = step.constant().map(|rows| Operand { ints: Ints::I16(rows), zero: 0, bits: 16 });
                    int8::add(kernels, workers, &a, &constant.unwrap_or(b), scales(fixed), out);
                }
                OpKind::Mul => {
                    let table = int8::Table { entries: step.model.tensor_data(op.weight), exponent: 0 };
                    int8::mul(kernels, workers, [&a, &b], &table, scale(fixed), out);
                }
                OpKind::Gate => int8::gate(kernels, workers, [&a, &c, &b], scales(fixed), out),
                OpKind::Concat => {
                    let [first, second] = step.places();
                    for (part, multiplier, place) in [(&a, fixed[0], first), (&b, fixed[2], second)] {
                        let scale = int8::Scale { multiplier, shift: fixed[1] as u32 };
                        int8::requantize(kernels, part, scale, place, out);
                    }
                }
                OpKind::GlobalAvgPool => int8::global_avg_pool(kernels, &a, scale(fixed), out),
                // Pictures are for float models; the parse refused the others.
                _ => {}
            }
        }
    }
}

fn scales(fixed: &[i32]) -> int8::Scales {
    int8::Scales { first: fixed[0], second: fixed[2], shift: fixed[1] as u32 }
}

/// Fixed-point parameters of an operator, none of one that has none.
fn fixed<'m>(step: &Operator<'m>) -> &'m [i32] {
    step.optional(step.op.rescale).unwrap_or_default()
}

fn scale(fixed: &[i32]) -> int8::Scale {
    int8::Scale { multiplier: fixed[0], shift: fixed[1] as u32 }
}

fn attention(engine: Engine, step: &Operator, memory: Memory) {
    let (op, output) = (&step.op, &step.output);
    let fixed = fixed(step);
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
    let [queries, keys, values] = [0, 1, 2].map(|i| operand(step, memory.inputs, i));
    let (operands, mut out) = ([&queries, &keys, &values], output_of(output, memory.out));
    int8::attention(engine.kernels, engine.workers, &parameters, operands, memory.scratch, &mut out);
}

/// 64 bits in two halves, the lower first.
fn wide(halves: &[i32]) -> u64 {
    u64::from(halves[0] as u32) | u64::from(halves[1] as u32) << 32
}

/// A map of twice the size.
fn resize(step: &Operator, memory: Memory) {
    let (input, out, bytes) = (step.operand(0).shape.map(|d| d as usize), memory.out, numbers(memory.inputs[0]));
    match (step.op.mode == ResizeMode::Bilinear as u8, step.output.dtype) {
        (true, DType::I8) => int8::bilinear::<i8>(cast_slice(bytes), input, cast_slice_mut(out)),
        (true, _) => int8::bilinear::<i16>(cast_slice(bytes), input, cast_slice_mut(out)),
        (false, _) => moves::resize_nearest(bytes, in_bytes(step, input), 2, out),
    }
}

/// Operators that move numbers as they are, whatever their width.
fn moved(step: &Operator, memory: Memory) {
    let (x, out, count) = (numbers(memory.inputs[0]), memory.out, step.op.count as usize);
    let [input, output] = [step.operand(0), &step.output].map(|value| in_bytes(step, value.shape.map(|d| d as usize)));
    match step.op.kind {
        OpKind::Slice => moves::slice(x, count, input[2], out),
        OpKind::SpaceToDepth => moves::space_to_depth(x, input, count, out),
        _ => moves::depth_to_space(x, output, count, out),
    }
}

/// The shape of a map whose numbers are moved as they are: with bytes for channels.
fn in_bytes(step: &Operator, [height, width, channels]: [usize; 3]) -> [usize; 3] {
    [height, width, channels * step.output.dtype.size() as usize]
}

/// An operand; an absent one is never read, and one in the place of the result is read from there.
fn operand<'a>(step: &Operator, bytes: [Option<&'a [u8]>; 3], index: usize) -> Operand<'a> {
    let value = step.operand(index);
    let ints = match (bytes[index], value.dtype) {
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
