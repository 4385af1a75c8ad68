//! Operators of integer models.

use bytemuck::{cast_slice, cast_slice_mut};

use super::{Inputs, Memory, Operator, channels};
use crate::format::{DType, Function, OpKind, ResizeMode};
use crate::kernels::int8;
use crate::kernels::moves;
use crate::pixels;

/// Runs one operator.
pub fn run(step: &Operator, memory: Memory, inputs: &Inputs) {
    let (op, output) = (&step.op, &step.output);
    let Memory { out, scratch, inputs: bytes } = memory;
    let width = channels(output);
    let fixed: &[i32] = step.optional(op.rescale).unwrap_or_default();
    match op.kind {
        OpKind::Noise => {
            let out: &mut [i8] = cast_slice_mut(out);
            inputs.start.steps(out.len(), |i, x| out[i] = x);
        }
        OpKind::ClassEmbedding => cast_slice_mut(out).copy_from_slice(step.class_row::<i16>(inputs)),
                OpKind::GuidanceEmbedding => {
            let at = step.guidance_position(inputs);
            int8::interpolate(step.model.tensor_data(op.weight), at, numbers(bytes[0]), cast_slice_mut(out));
        }
        OpKind::Pixels => {
            let table = step.model.tensor_data(op.weight);
            for (pixel, &v) in out.iter_mut().zip(numbers::<i16>(bytes[0])) {
                *pixel = pixels::from_table(v, table);
            }
        }
        OpKind::Linear | OpKind::Conv2d => conv(step, bytes, out),
        // Operators that move numbers, whatever their width.
        OpKind::Slice | OpKind::SpaceToDepth | OpKind::DepthToSpace => {
            if output.dtype == DType::I8 {
                shift_numbers::<i8>(step, numbers(bytes[0]), cast_slice_mut(out));
            } else {
                shift_numbers::<i16>(step, numbers(bytes[0]), cast_slice_mut(out));
            }
        }
        OpKind::Resize if op.mode == ResizeMode::Nearest as u8 => {
            if output.dtype == DType::I8 {
                shift_numbers::<i8>(step, numbers(bytes[0]), cast_slice_mut(out));
            } else {
                shift_numbers::<i16>(step, numbers(bytes[0]), cast_slice_mut(out));
            }
        }
        _ => {}
    }
    let _ = (scratch, width, fixed);
}

fn shift_numbers<T: Copy>(step: &Operator, x: &[T], out: &mut [T]) {
    let (op, shape) = (&step.op, step.operand(0).shape.map(|d| d as usize));
    match op.kind {
        OpKind::Slice => moves::slice(x, op.count as usize * shape[2], out),
        OpKind::Resize => moves::resize_nearest(x, shape, out),
        OpKind::SpaceToDepth => moves::space_to_depth(x, shape, op.count as usize, out),
        _ => moves::depth_to_space(x, step.output.shape.map(|d| d as usize), op.count as usize, out),
    }
}

/// Numbers of an operand that is not in the place of the result.
fn numbers<T: bytemuck::AnyBitPattern>(bytes: Option<&[u8]>) -> &[T] {
    cast_slice(bytes.unwrap_or_default())
}

fn conv(step: &Operator, bytes: [Option<&[u8]>; 3], out: &mut [u8]) {
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
    match (input.dtype == DType::I8, output.dtype == DType::I8) {
        (true, true) => int8::conv::<i8, i8>(g, cast_slice(x), zero as i8, w, e, cast_slice_mut(out)),
        (true, false) => int8::conv::<i8, i16>(g, cast_slice(x), zero as i8, w, e, cast_slice_mut(out)),
        (false, true) => int8::conv::<i16, i8>(g, cast_slice(x), zero, w, e, cast_slice_mut(out)),
        (false, false) => int8::conv::<i16, i16>(g, cast_slice(x), zero, w, e, cast_slice_mut(out)),
    }
}
