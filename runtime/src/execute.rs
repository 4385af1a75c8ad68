//! The loop over operators: borrows each operator's values from the arena and calls its kernel.

use crate::format::{Activation, DType, NONE, OpKind, OpRecord, Precision, ValueRecord};
use crate::kernels::{Geometry, int8};
use crate::model::Model;
use crate::noise::Gaussian;
use crate::pixels;
use crate::validate::guidance_shift;
use bytemuck::{cast_slice, cast_slice_mut};

#[cfg(feature = "float")]
use crate::kernels::float;

/// What one pass starts from.
pub(crate) struct Inputs<'i> {
    pub class: u32,
    pub guidance: u16,
    pub noise: Noise<'i>,
    /// Pixels for networks that look at pictures.
    #[cfg_attr(not(feature = "float"), expect(dead_code))]
    pub image: &'i [u8],
}

/// Where the noise comes from.
pub(crate) enum Noise<'i> {
    Seed(u64),
    #[cfg_attr(not(feature = "float"), expect(dead_code))]
    Given(&'i [f32]),
}

/// An operator that has just run, for observers: calibration, progress, profiles.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    /// Its place in the order of execution.
    pub index: u32,
    /// The numbers that it wrote.
    pub output: View<'s>,
}

/// A value in the arena.
#[derive(Clone, Copy, Debug)]
pub enum View<'s> {
    /// Single precision.
    F32(&'s [f32]),
    /// 8-bit integers.
    I8(&'s [i8]),
    /// 16-bit integers.
    I16(&'s [i16]),
    /// Pixels.
    U8(&'s [u8]),
}

/// A value's numbers in the arena.
pub(crate) fn view<'s>(arena: &'s [u8], value: &ValueRecord) -> View<'s> {
    let bytes = &arena[value.range()];
    match value.dtype {
        DType::F32 => View::F32(cast_slice(bytes)),
        DType::I8 => View::I8(cast_slice(bytes)),
        DType::I16 => View::I16(cast_slice(bytes)),
        // No value has another type.
        DType::U8 | DType::F16 | DType::I32 => View::U8(bytes),
    }
}

/// Runs every operator. The arena starts at a multiple of 16 and is as long as the model asks.
pub(crate) fn run(model: &Model, arena: &mut [u8], inputs: &Inputs, observe: &mut dyn FnMut(Step)) {
    for index in 0..model.op_count() {
        let op = model.op(index);
        step(model, &op, arena, inputs);
        observe(Step { index, output: view(arena, &model.value(op.output)) });
    }
}

fn step(model: &Model, op: &OpRecord, arena: &mut [u8], inputs: &Inputs) {
    let output = model.value(op.output);
    let value = |index| (index != NONE).then(|| model.value(index));
    let (input, residual) = (value(op.input), value(op.residual));
    let (out, [x, r]) = borrow(arena, &output, [input, residual]);
    let integer = model.precision() == Precision::Int8;
    match op.kind {
        OpKind::Noise if integer => noise_int8(&inputs.noise, cast_slice_mut(out)),
        OpKind::ClassEmbedding if integer => {
            class_row::<i16>(model, op, inputs, &output, |row| cast_slice_mut(out).copy_from_slice(row));
        }
        OpKind::GuidanceEmbedding if integer => {
            let at = guidance_position(model, op, inputs);
            int8::interpolate(model.tensor_data(op.weight), at, cast_slice(x), cast_slice_mut(out));
        }
        OpKind::Pixels if integer => {
            let table = model.tensor_data(op.weight);
            for (pixel, &v) in out.iter_mut().zip(cast_slice(x)) {
                *pixel = pixels::from_table(v, table);
            }
        }
        OpKind::Linear | OpKind::Conv2d if integer => {
            let Some(input) = input else { return };
            conv_int8(model, op, &input, x, residual.as_ref(), r, &output, out);
        }
        #[cfg(feature = "float")]
        _ => step_float(model, op, inputs, input.as_ref(), x, (op.residual != NONE).then_some(r), &output, out),
        #[cfg(not(feature = "float"))]
        // The parse refused every other operator.
        _ => {}
    }
}

#[cfg(feature = "float")]
#[expect(clippy::too_many_arguments, reason = "an operator with everything it touches")]
fn step_float(
    model: &Model,
    op: &OpRecord,
    inputs: &Inputs,
    input: Option<&ValueRecord>,
    x: &[u8],
    residual: Option<&[u8]>,
    output: &ValueRecord,
    out: &mut [u8],
) {
    let half = model.precision() == Precision::F16;
    match op.kind {
        OpKind::Noise => noise_float(&inputs.noise, cast_slice_mut(out)),
        OpKind::Input => {
            for (x, &pixel) in cast_slice_mut::<u8, f32>(out).iter_mut().zip(inputs.image) {
                *x = f32::from(pixel) / 127.5 - 1.0;
            }
        }
        OpKind::ClassEmbedding if half => {
            class_row::<u16>(model, op, inputs, output, |row| float::widen(row, cast_slice_mut(out)));
        }
        OpKind::ClassEmbedding => {
            class_row::<f32>(model, op, inputs, output, |row| float::widen(row, cast_slice_mut(out)));
        }
        OpKind::GuidanceEmbedding => {
            let at = guidance_position(model, op, inputs);
            let (x, out) = (cast_slice(x), cast_slice_mut(out));
            if half {
                float::interpolate::<u16>(model.tensor_data(op.weight), at, x, out);
            } else {
                float::interpolate::<f32>(model.tensor_data(op.weight), at, x, out);
            }
        }
        OpKind::Linear | OpKind::Conv2d => {
            let Some(input) = input else { return };
            let geometry = geometry(model, op, input, output);
            let residual = residual.map_or(float::Residual::None, |r| float::Residual::Given(cast_slice(r)));
            let (x, out) = (cast_slice(x), cast_slice_mut(out));
            let (bias, relu) = (model.tensor_data(op.bias), op.activation == Activation::Relu);
            if half {
                let weights = float::Weights::<u16> { weight: model.tensor_data(op.weight), bias };
                float::conv(&geometry, x, &weights, residual, relu, out);
            } else {
                let weights = float::Weights::<f32> { weight: model.tensor_data(op.weight), bias };
                float::conv(&geometry, x, &weights, residual, relu, out);
            }
        }
        OpKind::GlobalAvgPool => float::global_avg_pool(cast_slice(x), cast_slice_mut(out)),
        OpKind::Pixels => {
            let tanh = op.activation == Activation::Tanh;
            for (pixel, &y) in out.iter_mut().zip(cast_slice::<u8, f32>(x)) {
                *pixel = pixels::from_unit(if tanh { libm::tanhf(y) } else { y });
            }
        }
    }
}

/// Borrows an operator's output for writing and its inputs for reading. The parse proved that they do not overlap; an
/// absent input is an empty slice.
fn borrow<'a>(
    arena: &'a mut [u8],
    output: &ValueRecord,
    inputs: [Option<ValueRecord>; 2],
) -> (&'a mut [u8], [&'a [u8]; 2]) {
    let written = output.range();
    let (before, rest) = arena.split_at_mut(written.start);
    let (out, after) = rest.split_at_mut(written.end - written.start);
    let (before, after): (&[u8], &[u8]) = (before, after);
    let read = inputs.map(|input| {
        let Some(range) = input.map(|value| value.range()) else { return &[][..] };
        if range.start < written.start {
            &before[range]
        } else {
            &after[range.start - written.end..range.end - written.end]
        }
    });
    (out, read)
}

fn noise_int8(noise: &Noise, out: &mut [i8]) {
    match noise {
        Noise::Seed(seed) => {
            for (x, noise) in out.iter_mut().zip(Gaussian::new(*seed)) {
                *x = noise;
            }
        }
        #[cfg(feature = "float")]
        Noise::Given(given) => {
            for (x, &noise) in out.iter_mut().zip(*given) {
                *x = libm::rintf(noise * crate::noise::STEPS_PER_SIGMA as f32).clamp(-127.0, 127.0) as i8;
            }
        }
        #[cfg(not(feature = "float"))]
        Noise::Given(_) => {}
    }
}

#[cfg(feature = "float")]
fn noise_float(noise: &Noise, out: &mut [f32]) {
    match noise {
        Noise::Seed(seed) => {
            for (x, noise) in out.iter_mut().zip(Gaussian::new(*seed)) {
                *x = f32::from(noise) / crate::noise::STEPS_PER_SIGMA as f32;
            }
        }
        Noise::Given(given) => out.copy_from_slice(given),
    }
}

fn class_row<T: bytemuck::AnyBitPattern>(
    model: &Model,
    op: &OpRecord,
    inputs: &Inputs,
    output: &ValueRecord,
    store: impl FnOnce(&[T]),
) {
    // A class of another model may be too large for this one.
    let class = inputs.class.min(model.classes() - 1) as usize;
    let table: &[T] = model.tensor_data(op.weight);
    store(&table[class * output.elements()..][..output.elements()]);
}

fn guidance_position(model: &Model, op: &OpRecord, inputs: &Inputs) -> int8::Position {
    let knots = model.tensor(op.weight).dims[2];
    // Proved to exist.
    let shift = guidance_shift(model, knots).unwrap_or(0);
    let (low, high) = (model.header.guidance_min, model.header.guidance_max);
    let above = u32::from(inputs.guidance.clamp(low, high) - low);
    // The largest guidance lies at the end of the last interval.
    let row = (above >> shift).min(knots - 2);
    int8::Position { row: row as usize, fraction: above - (row << shift), shift }
}

#[expect(clippy::too_many_arguments, reason = "an operator with everything it touches")]
fn conv_int8(
    model: &Model,
    op: &OpRecord,
    input: &ValueRecord,
    x: &[u8],
    residual: Option<&ValueRecord>,
    r: &[u8],
    output: &ValueRecord,
    out: &mut [u8],
) {
    let geometry = geometry(model, op, input, output);
    let weights = int8::Weights {
        weight: model.tensor_data(op.weight),
        bias: model.tensor_data(op.bias),
        rescale: model.tensor_data(op.rescale),
    };
    let residual = match residual {
        None => int8::Residual::None,
        Some(v) if v.dtype == DType::I8 => int8::Residual::I8(cast_slice(r), v.zero_point.into()),
        Some(_) => int8::Residual::I16(cast_slice(r)),
    };
    let epilogue = int8::Epilogue {
        residual,
        relu: op.activation == Activation::Relu,
        zero_point: output.zero_point.into(),
        bits: output.bits,
    };
    let (g, w, e) = (&geometry, &weights, &epilogue);
    let zero = input.zero_point;
    match (input.dtype == DType::I8, output.dtype == DType::I8) {
        (true, true) => int8::conv::<i8, i8>(g, cast_slice(x), zero as i8, w, e, cast_slice_mut(out)),
        (true, false) => int8::conv::<i8, i16>(g, cast_slice(x), zero as i8, w, e, cast_slice_mut(out)),
        (false, true) => int8::conv::<i16, i8>(g, cast_slice(x), zero, w, e, cast_slice_mut(out)),
        (false, false) => int8::conv::<i16, i16>(g, cast_slice(x), zero, w, e, cast_slice_mut(out)),
    }
}

fn geometry(model: &Model, op: &OpRecord, input: &ValueRecord, output: &ValueRecord) -> Geometry {
    let dims = model.tensor(op.weight).dims.map(|d| d as usize);
    let [kernel_height, kernel_width] =
        if model.precision() == Precision::Int8 { [dims[1], dims[2]] } else { [dims[0], dims[1]] };
    let [in_height, in_width, in_channels] = input.shape.map(|d| d as usize);
    let out_channels = model.out_channels(op) as usize;
    // A linear layer treats every position alike, whatever the shape of its result.
    let [out_height, out_width] = if op.kind == OpKind::Linear {
        [in_height, in_width]
    } else {
        [output.shape[0] as usize, output.shape[1] as usize]
    };
    Geometry {
        in_height,
        in_width,
        in_channels,
        out_height,
        out_width,
        out_channels,
        kernel_height,
        kernel_width,
        stride: op.stride.into(),
        padding: op.padding.into(),
        upsample: op.upsample.into(),
        depthwise: false,
        transposed: false,
    }
}
