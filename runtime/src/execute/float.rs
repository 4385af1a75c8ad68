//! Operators of float models.

use bytemuck::{cast_slice, cast_slice_mut};

use super::{Engine, Inputs, Memory, Operator, channels, positions};
use crate::format::{Function, NONE, OpKind, PoolMode, Precision, ResizeMode};
use crate::kernels::Kernels;
use crate::kernels::float;
use crate::kernels::float::lanes::{self, matrix};
use crate::kernels::moves;
use crate::pixels;
use crate::workers::Alone;

/// Runs one operator.
pub fn run(engine: Engine, step: &Operator, memory: Memory, inputs: &Inputs) {
    if step.model.precision() == Precision::F16 {
        run_with::<u16>(engine, step, memory, inputs);
    } else {
        run_with::<f32>(engine, step, memory, inputs);
    }
}

/// Which kernels compute an operator, given some: these, or the portable ones where they are the only.
pub fn kernels_of(kernels: Kernels, step: &Operator) -> Kernels {
    let taken = match step.op.kind {
        OpKind::Linear | OpKind::Conv2d => matrix::takes(kernels, &step.geometry()),
        OpKind::Lookup | OpKind::Mul | OpKind::Pixels => lanes::has_lanes(kernels),
        OpKind::Attention => {
            let (tokens, head) = (positions(&step.output), channels(&step.output) / step.op.count as usize);
            lanes::takes_attention(kernels, tokens, head)
        }
        _ => false,
    };
    if taken { kernels } else { Kernels::PORTABLE }
}

/// Runs one operator with weights of a type.
fn run_with<W: matrix::Stored + bytemuck::AnyBitPattern>(
    engine: Engine,
    step: &Operator,
    memory: Memory,
    inputs: &Inputs,
) {
    let (op, output) = (&step.op, &step.output);
    let read = memory.inputs.map(|bytes| bytes.map(cast_slice::<u8, f32>));
    // Operands that are not in the place of the result.
    let [x, y, z] = read.map(Option::unwrap_or_default);
    let width = channels(output);
    let Engine { kernels, workers } = engine;
    let portable = !lanes::has_lanes(kernels);
    if op.kind == OpKind::Pixels {
        let f = if op.function == Function::Tanh { Function::Tanh } else { Function::Identity };
        let mut unit = [0.0; 64];
        for (made, x) in memory.out.chunks_mut(64).zip(x.chunks(64)) {
            let unit = &mut unit[..x.len()];
            if portable {
                float::lookup(Some(x), f, unit);
            } else {
                lanes::map(kernels, &Alone, Some(x), f, unit);
            }
            for (pixel, &y) in made.iter_mut().zip(&*unit) {
                *pixel = pixels::from_unit(y);
            }
        }
        return;
    }
    let out: &mut [f32] = cast_slice_mut(memory.out);
    match op.kind {
        OpKind::Noise => inputs.start.numbers(out.len(), |i, x| out[i] = x),
        OpKind::Input => {
            for (x, &pixel) in out.iter_mut().zip(inputs.image) {
                *x = f32::from(pixel) / 127.5 - 1.0;
            }
        }
        OpKind::ClassEmbedding => float::widen(step.class_row::<W>(inputs), out),
        OpKind::StyleEmbedding => {
            let table: &[W] = step.model.tensor_data(op.weight);
            float::embed_styles(x, step.style_rows(inputs).map(|row| &table[row * width..][..width]), out);
        }
        OpKind::GuidanceEmbedding => {
            float::interpolate::<W>(step.model.tensor_data(op.weight), step.guidance_position(inputs), x, out);
        }
        OpKind::Linear | OpKind::Conv2d => {
            let bias = step.model.tensor_data(op.bias);
            let weights = float::Weights::<W> { weight: step.model.tensor_data(op.weight), bias };
            let residual = match (step.operands[1], read[1]) {
                (None, _) => float::Residual::None,
                (Some(_), Some(numbers)) => float::Residual::Given(numbers),
                (Some(_), None) => float::Residual::InPlace,
            };
            let (g, relu) = (&step.geometry(), op.function == Function::Relu);
            if matrix::takes(kernels, g) {
                let layer = matrix::Layer { g, x, w: &weights, residual, relu };
                matrix::conv(kernels, workers, &layer, out);
            } else {
                float::conv(g, x, &weights, residual, relu, out);
            }
        }
        OpKind::GlobalAvgPool => float::global_avg_pool(x, out),
        OpKind::Norm => {
            let norm = float::Norm {
                kind: step.norm_kind(),
                epsilon: step.model.tensor_data(op.rescale)[0],
                gain: if step.operands[1].is_some() { y } else { step.model.tensor_data(op.weight) },
                shift: if step.operands[2].is_some() { Some(z) } else { step.optional(op.bias) },
            };
            float::norm(read[0], &norm, out);
        }
        OpKind::Lookup if !portable => lanes::map(kernels, workers, read[0], op.function, out),
        OpKind::Lookup => float::lookup(read[0], op.function, out),
        OpKind::Mul if !portable => lanes::mul(kernels, workers, read[0], op.function, read[1], out),
        OpKind::Mul => float::mul(read[0], op.function, read[1], out),
        OpKind::Gate => float::gate(read[1], read[0], z, out),
        OpKind::Add if op.weight != NONE => {
            float::add_weights::<W>(read[0], step.constant().unwrap_or_default(), out);
        }
        OpKind::Add => float::add(read[0], read[1], out),
        OpKind::Attention => {
            // Cosines, then sines.
            let rotary = step.optional(op.shared).map(|table: &[f32]| table.split_at(table.len() / 2));
            let parameters = float::Attention {
                tokens: positions(output),
                heads: op.count as usize,
                head: width / op.count as usize,
                query_gain: step.optional(op.weight),
                key_gain: step.optional(op.bias),
                epsilon: step.model.tensor_data(op.rescale)[0],
                rotary: rotary.map(|(cos, sin)| float::Rotary { cos, sin }),
            };
            let (p, scratch) = (&parameters, cast_slice_mut(memory.scratch));
            if lanes::takes_attention(kernels, p.tokens, p.head) {
                lanes::attention(kernels, workers, p, read[0], [y, z], scratch, out);
            } else {
                float::attention(p, read[0], y, z, scratch, out);
            }
        }
        OpKind::Concat => {
            let [first, second] = step.places();
            float::concat(x, first, out);
            float::concat(y, second, out);
        }
        OpKind::Slice => moves::slice(x, op.count as usize, width, out),
        OpKind::Resize if op.mode == ResizeMode::Bilinear as u8 => {
            float::resize_bilinear(x, step.operand(0).shape.map(|d| d as usize), out);
        }
        OpKind::Resize if op.mode == ResizeMode::Stretch as u8 => {
            let size = [output.shape[0] as usize, output.shape[1] as usize];
            float::stretch(x, step.operand(0).shape.map(|d| d as usize), size, out);
        }
        OpKind::Pool => {
            let mode = if op.mode == PoolMode::Max as u8 { PoolMode::Max } else { PoolMode::Average };
            let (side, stride, padding) = (op.count as usize, op.stride.into(), op.padding.into());
            let window = float::Window { side, stride, padding };
            float::pool(x, step.operand(0).shape.map(|d| d as usize), window, mode, out);
        }
        OpKind::Resize => moves::resize_nearest(x, step.operand(0).shape.map(|d| d as usize), 2, out),
        OpKind::SpaceToDepth => {
            moves::space_to_depth(x, step.operand(0).shape.map(|d| d as usize), op.count as usize, out);
        }
        OpKind::DepthToSpace => moves::depth_to_space(x, output.shape.map(|d| d as usize), op.count as usize, out),
        // Done above.
        OpKind::Pixels => {}
    }
}
