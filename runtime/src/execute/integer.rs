//! Operators of integer models: those of edge-conv generators; others are in [`transformer`].

mod transformer;

use bytemuck::{cast_slice, cast_slice_mut};

use super::{Engine, Inputs, Memory, Operator, channels, positions};
use crate::format::{DType, Function, OpKind};
use crate::kernels::int8;
use crate::kernels::{Geometry, Kernels, matrix};
use crate::panels::{PANEL, QUAD};
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
        OpKind::Linear | OpKind::Conv2d => layer(engine, step, memory),
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

/// A linear layer or convolution. Weights of 4 bits are expanded, as many panels at a time as working memory holds.
fn layer(engine: Engine, step: &Operator, memory: Memory) {
    let Memory { out, scratch, inputs: bytes } = memory;
    let (model, op, geometry) = (step.model, &step.op, step.geometry());
    let (bias, rescale): (&[i32], &[i32]) = (model.tensor_data(op.bias), model.tensor_data(op.rescale));
    // The parse refuses 4 bits without the feature.
    if !cfg!(feature = "nibbles") || model.tensor(op.weight).dtype == DType::I8 {
        let weights = int8::Weights { weight: model.tensor_data(op.weight), first_panel: 0, bias, rescale };
        conv(engine, step, &geometry, &weights, bytes, out);
        return;
    }
    let panels = geometry.panels(QUAD);
    // One row of scales may serve all outputs: kernels read a row for each.
    let repeated = if panels.outputs > 1 && rescale.len() <= 3 { 4 * rescale.len() * panels.outputs } else { 0 };
    let (rows, scratch) = scratch.split_at_mut(repeated);
    let rows: &mut [i32] = cast_slice_mut(rows);
    rows.chunks_exact_mut(rescale.len()).for_each(|row| row.copy_from_slice(rescale));
    let rescale = if repeated > 0 { rows } else { rescale };
    let (count, at_once) = (panels.outputs.div_ceil(PANEL), (scratch.len() / (PANEL * panels.terms)).max(1));
    for first in (0..count).step_by(at_once) {
        let chosen = first..count.min(first + at_once);
        let len = (panels.outputs.min(chosen.end * PANEL) - first * PANEL) * panels.terms;
        let expanded: &mut [i8] = cast_slice_mut(&mut scratch[..len]);
        int8::expand(&panels, chosen, model.tensor_data(op.weight), model.tensor_data(op.shared), expanded);
        let weights = int8::Weights { weight: expanded, first_panel: first, bias, rescale };
        conv(engine, step, &geometry, &weights, bytes, out);
    }
}

fn conv(
    engine: Engine,
    step: &Operator,
    geometry: &Geometry,
    weights: &int8::Weights,
    bytes: [Option<&[u8]>; 3],
    out: &mut [u8],
) {
    let (op, output, input) = (&step.op, &step.output, step.operand(0));
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
    let x = bytes[0].unwrap_or_default();
    let (g, w, e, zero) = (geometry, weights, &epilogue, input.zero_point);
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
