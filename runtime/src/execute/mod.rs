//! The loop over operators: borrows each operator's values from the arena and calls its kernel.

#[cfg(feature = "float")]
mod float;
mod integer;
mod memory;
mod pass;

use core::ops::ControlFlow;

use crate::format::{ConcatMode, ConvMode, DType, NONE, NormMode, OpKind, OpRecord, Precision, ValueRecord};
use crate::kernels::int8::{NormKind, Place, Position};
use crate::kernels::{Geometry, Kernels, padding_along};
use crate::model::Model;
use crate::start::Start;
use crate::validate::guidance_shift;
use crate::workers::Workers;
use bytemuck::cast_slice;
use memory::Memory;
pub(crate) use pass::Pass;

/// What one pass starts from.
pub(crate) struct Inputs<'i> {
    pub class: u32,
    /// In 1/65536.
    pub guidance: u32,
    pub start: Start<'i>,
    /// Pixels for networks that look at pictures.
    #[cfg_attr(not(feature = "float"), expect(dead_code))]
    pub image: &'i [u8],
}

/// What computes: kernels of an instruction set, and who shares their work.
#[derive(Clone, Copy)]
pub(crate) struct Engine<'e> {
    pub kernels: Kernels,
    pub workers: &'e dyn Workers,
}

/// An operator, or a part of one, that has just run, for observers: calibration, progress, profiles.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    /// Its place in the order of execution.
    pub index: u32,
    /// Number of operators.
    pub count: u32,
    /// The first row that it wrote: 0 but for an operator that runs in bands or in [`Pieces`](crate::Pieces), which is seen again
    /// and again.
    pub row: u32,
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

/// Runs the operators until the observer stops. The arena starts at a multiple of 16 and is as long as the model asks.
pub(crate) fn run(
    engine: Engine,
    model: &Model,
    arena: &mut [u8],
    inputs: &Inputs,
    observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut pass = Pass::new();
    while let Some(step) = pass.step(engine, model, arena, inputs, u32::MAX) {
        observe(step)?;
    }
    ControlFlow::Continue(())
}

/// An operator with the records of everything it touches.
struct Operator<'m> {
    model: &'m Model<'m>,
    op: OpRecord,
    output: ValueRecord,
    operands: [Option<ValueRecord>; 3],
    scratch: Option<ValueRecord>,
    /// Of a band, the first row that it makes, and the first that it has of its first operand.
    row: u32,
    first_read: u32,
}

fn run_operator(engine: Engine, step: &Operator, memory: Memory, inputs: &Inputs) {
    match step.model.precision() {
        Precision::Int8 => integer::run(engine, step, memory, inputs),
        #[cfg(feature = "float")]
        _ => float::run(engine, step, memory, inputs),
        // The parse refuses float models without the feature.
        #[cfg(not(feature = "float"))]
        _ => {}
    }
}

/// See [`Model::op_kernels`].
pub(crate) fn kernels_of(model: &Model, index: u32, kernels: Kernels) -> Kernels {
    let step = Operator::new(model, model.op(index));
    match model.precision() {
        Precision::Int8 => integer::kernels_of(kernels, &step),
        #[cfg(feature = "float")]
        _ => float::kernels_of(kernels, &step),
        #[cfg(not(feature = "float"))]
        _ => Kernels::PORTABLE,
    }
}

impl<'m> Operator<'m> {
    fn new(model: &'m Model<'m>, op: OpRecord) -> Self {
        let value = |index| (index != NONE).then(|| model.value(index));
        let (output, operands, scratch) = (model.value(op.output), op.inputs.map(value), value(op.scratch));
        Self { model, op, output, operands, scratch, row: 0, first_read: 0 }
    }

    /// The record of an operand that the parse proved to be there.
    fn operand(&self, index: usize) -> &ValueRecord {
        self.operands[index].as_ref().unwrap_or(&self.output)
    }

    /// The numbers of a tensor, `None` where the operator has none.
    fn optional<T: bytemuck::AnyBitPattern>(&self, index: u32) -> Option<&'m [T]> {
        (index != NONE).then(|| self.model.tensor_data(index))
    }

    /// The numbers of a sum's constant that belong to the rows of a band.
    fn constant<T: bytemuck::AnyBitPattern>(&self) -> Option<&'m [T]> {
        let constant: &[T] = self.optional(self.op.weight)?;
        // One position is added to all.
        let width = self.output.shape[1] as usize * channels(&self.output);
        Some(constant.get(self.row as usize * width..).unwrap_or_default()).map(|rows| {
            if constant.len() == channels(&self.output) { constant } else { &rows[..self.output.elements()] }
        })
    }

    /// The row of a table that the class chooses.
    fn class_row<T: bytemuck::AnyBitPattern>(&self, inputs: &Inputs) -> &'m [T] {
        // A class of another model may be too large for this one.
        let class = inputs.class.min(self.model.classes() - 1) as usize;
        let table: &[T] = self.model.tensor_data(self.op.weight);
        &table[class * self.output.elements()..][..self.output.elements()]
    }

    /// Rows of the style tables that are chosen, one of each, counted over all tables.
    fn style_rows(&self, inputs: &Inputs) -> impl Iterator<Item = usize> + Clone {
        let [_, styles, rows, _] = self.model.tensor(self.op.weight).dims;
        let start = inputs.start;
        (0..styles).map(move |i| (i * rows + start.style(i, rows)) as usize)
    }

    fn norm_kind(&self) -> NormKind {
        match NormMode::from_code(self.op.mode) {
            Some(NormMode::Layer) => NormKind::Layer,
            Some(NormMode::Group) => NormKind::Group(self.op.count as usize),
            _ => NormKind::Rms,
        }
    }

    /// Where the two parts of a concatenation go.
    fn places(&self) -> [Place; 2] {
        let (a, b, whole) = (self.operand(0), self.operand(1), &self.output);
        let [a, b, step] = if self.op.mode == ConcatMode::Positions as u8 {
            [a, b, whole].map(ValueRecord::elements)
        } else {
            [a, b, whole].map(channels)
        };
        [Place { first: 0, run: a, step }, Place { first: a, run: b, step }]
    }

    fn guidance_position(&self, inputs: &Inputs) -> Position {
        let knots = self.model.tensor(self.op.weight).dims[2];
        // Proved to exist; 8 bits more, since guidance has steps of 1/65536 and the header of 1/256.
        let shift = guidance_shift(self.model, knots).unwrap_or(0) + 8;
        let [low, high] = [self.model.header.guidance_min, self.model.header.guidance_max].map(|g| u32::from(g) << 8);
        let above = inputs.guidance.clamp(low, high) - low;
        // The largest guidance lies at the end of the last interval.
        let row = (above >> shift).min(knots - 2);
        Position { row: row as usize, fraction: above - (row << shift), shift }
    }

    fn geometry(&self) -> Geometry {
        let (op, input) = (&self.op, self.operand(0));
        let dims = self.model.tensor(op.weight).dims.map(|d| d as usize);
        let integer = self.model.is_integer();
        let [kernel_height, kernel_width] = if integer { [dims[1], dims[2]] } else { [dims[0], dims[1]] };
        let [in_height, in_width, in_channels] = input.shape.map(|d| d as usize);
        // A linear layer treats every position alike, whatever the shape of its result.
        let [out_height, out_width] = if op.kind == OpKind::Linear {
            [in_height, in_width]
        } else {
            [self.output.shape[0] as usize, self.output.shape[1] as usize]
        };
        let mode = ConvMode::from_code(op.mode).filter(|_| op.kind == OpKind::Conv2d);
        let transposed = mode == Some(ConvMode::Transposed);
        let (stride, upsample) = (isize::from(op.stride), isize::from(op.upsample));
        let (row, first) = (self.row as isize, self.first_read as isize);
        let moved = if transposed { row - first * stride } else { first * upsample - row * stride };
        Geometry {
            in_height,
            in_width,
            in_channels,
            out_height,
            out_width,
            out_channels: self.model.out_channels(op) as usize,
            kernel_height,
            kernel_width,
            stride: op.stride.into(),
            padding: op.padding.into(),
            top: padding_along(kernel_height, op.padding.into()) as isize + moved,
            upsample: op.upsample.into(),
            depthwise: mode == Some(ConvMode::Depthwise),
            transposed,
        }
    }
}

/// Positions and channels of a value.
fn positions(value: &ValueRecord) -> usize {
    value.shape[0] as usize * value.shape[1] as usize
}

fn channels(value: &ValueRecord) -> usize {
    value.shape[2] as usize
}
