//! Operators of integer models: those of edge-conv generators; others are in [`transformer`].

mod transformer;

use bytemuck::{cast_slice, cast_slice_mut};

use super::{Engine, Inputs, Memory, Operator, channels, positions};
use crate::format::{DType, Function, OpKind};
use crate::kernels::int8;
use crate::kernels::{Kernels, matrix};
use crate::pixels;

/// Runs one operator.
pub fn run(engine: Engine, step: &Operator, memory: Memory, inputs: &Inputs) {
    let (op, output, bytes) = (&step.op, &step.output, memory.inputs);
    match op.kind {
        OpKind::Noise => {
            let out: &mut [i8] = cast_slice_mut(memory.out);
            inputs.start.steps(out.len(), |i, x| out[i] = x);
        }
        OpKind::ClassEmbedding => {
            let out = cast_slice_mut(memory.out);
            out.copy_from_slice(step.class_row::<i16>(inputs));
            saturate(out, output.bits);
        }
        OpKind::GuidanceEmbedding => {
            let (at, out) = (step.guidance_position(inputs), cast_slice_mut(memory.out));
            int8::interpolate(step.model.tensor_data(op.weight), at, numbers(bytes[0]), out);
            saturate(out, output.bits);
        }
        OpKind::Pixels => {
            let table = step.model.tensor_data(op.weight);
            for (pixel, &v) in memory.out.iter_mut().zip(numbers::<i16>(bytes[0])) {
                *pixel = pixels::from_table(v, table);
            }
        }
        OpKind::Linear | OpKind::Conv2d => conv(engine, step, bytes, memory.out),
        // The parse refuses them without the feature.
        _ if cfg!(feature = "transformer") => transformer::run(engine, step, memory, inputs),
        _ => {}
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
