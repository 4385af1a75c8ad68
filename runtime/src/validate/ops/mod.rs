//! The proof of operators: order, shapes, types and fixed-point parameters, so that the executor needs no check.

mod attention;
mod elementwise;
mod layers;
mod moves;
mod norm;
mod sources;

pub use sources::guidance_shift;

use crate::format::{DType, NONE, OpKind, OpRecord, Precision, TensorRecord, ValueRecord};
use crate::model::{Model, ParseError};

type Proof = Result<(), &'static str>;

/// An operator with everything it touches, decoded.
struct Context<'m> {
    model: &'m Model<'m>,
    op: OpRecord,
    index: u32,
    output: ValueRecord,
    inputs: [Option<ValueRecord>; 3],
    scratch: Option<ValueRecord>,
}

/// Fields of a record that only some kinds use; the others must be empty.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Function,
    Mode,
    Window,
    Scratch,
    Weight,
    Bias,
    Rescale,
    Shared,
    Count,
}

/// Proves every operator.
pub fn prove(model: &Model) -> Result<(), ParseError> {
    let mut next_tensor = 0;
    for index in 0..model.op_count() {
        let op = model.op(index);
        op_is_sound(model, op, index, &mut next_tensor).map_err(|problem| ParseError::Op { index, problem })?;
    }
    if next_tensor != model.header.tensors.count {
        return Err(ParseError::Header("a tensor belongs to no operator"));
    }
    Ok(())
}

fn op_is_sound(model: &Model, op: OpRecord, index: u32, next_tensor: &mut u32) -> Proof {
    tensors_in_order(model, &op, next_tensor)?;
    let values = model.header.values.count;
    let born_here = |value: u32| value < values && model.value(value).first == index;
    ensure(born_here(op.output), "output is not a value that is born here")?;
    let scratch = (op.scratch != NONE).then_some(op.scratch);
    if let Some(scratch) = scratch {
        ensure(born_here(scratch) && scratch != op.output, "working memory is not a value that is born here")?;
        let value = model.value(scratch);
        ensure(value.last == index && value.dtype == DType::U8, "working memory outlives its operator, or has a type")?;
    }
    for input in op.inputs.into_iter().filter(|&input| input != NONE) {
        ensure(input < values, "an input is not a value")?;
        let value = model.value(input);
        let written = value.first < index && model.op(value.first).output == input;
        ensure(written && index <= value.last, "an input is not alive")?;
    }
    let context = Context {
        model,
        op,
        index,
        output: model.value(op.output),
        inputs: op.inputs.map(|input| (input != NONE).then(|| model.value(input))),
        scratch: scratch.map(|scratch| model.value(scratch)),
    };
    match op.kind {
        OpKind::Noise => sources::noise(&context),
        OpKind::Input => sources::image(&context),
        OpKind::ClassEmbedding => sources::class_embedding(&context),
        OpKind::StyleEmbedding => sources::style_embedding(&context),
        OpKind::GuidanceEmbedding => sources::guidance_embedding(&context),
        OpKind::Linear => layers::linear(&context),
        OpKind::Conv2d => layers::conv(&context),
        OpKind::GlobalAvgPool => elementwise::global_avg_pool(&context),
        OpKind::Norm => norm::norm(&context),
        OpKind::Lookup => elementwise::lookup(&context),
        OpKind::Mul => elementwise::mul(&context),
        OpKind::Gate => elementwise::gate(&context),
        OpKind::Add => elementwise::add(&context),
        OpKind::Attention => attention::attention(&context),
        OpKind::Concat => moves::concat(&context),
        OpKind::Slice => moves::slice(&context),
        OpKind::Resize => moves::resize(&context),
        OpKind::SpaceToDepth => moves::patches(&context, false),
        OpKind::DepthToSpace => moves::patches(&context, true),
        OpKind::Pixels => elementwise::pixels(&context),
        OpKind::Pool => moves::pool(&context),
    }
}

/// Each tensor whose numbers are proved belongs to one operator, in order: this bounds the work of the proof by the size
/// of the file. A shared table comes with its first user.
fn tensors_in_order(model: &Model, op: &OpRecord, next: &mut u32) -> Proof {
    let known = *next;
    for (tensor, may_be_known) in [(op.weight, false), (op.bias, false), (op.rescale, false), (op.shared, true)] {
        if tensor == NONE || may_be_known && tensor < known {
            continue;
        }
        ensure(tensor == *next && tensor < model.header.tensors.count, "tensors are not used in order")?;
        *next += 1;
    }
    Ok(())
}

impl Context<'_> {
    /// The operands, of which this kind takes so many; and no field set that it does not use.
    fn operands<const N: usize>(&self, fields: &[Field]) -> Result<[ValueRecord; N], &'static str> {
        let (operands, rest) = self.operands_and::<N, 0>(fields)?;
        debug_assert!(rest.is_empty());
        Ok(operands)
    }

    /// As [`Context::operands`], with some more that may be absent.
    fn operands_and<const N: usize, const M: usize>(
        &self,
        fields: &[Field],
    ) -> Result<([ValueRecord; N], [Option<ValueRecord>; M]), &'static str> {
        let op = &self.op;
        for (field, unset) in [
            (Field::Function, op.function as u8 == 0),
            (Field::Mode, op.mode == 0),
            (Field::Window, op.stride == 1 && op.upsample == 1 && op.padding == 0),
            (Field::Scratch, op.scratch == NONE),
            (Field::Weight, op.weight == NONE),
            (Field::Bias, op.bias == NONE),
            (Field::Rescale, op.rescale == NONE),
            (Field::Shared, op.shared == NONE),
            (Field::Count, op.count == 0),
        ] {
            ensure(unset || fields.contains(&field), "a field is set that the operator does not use")?;
        }
        ensure(self.inputs[N + M..].iter().all(Option::is_none), "an input too many")?;
        let mut operands = [self.output; N];
        for (operand, input) in operands.iter_mut().zip(&self.inputs) {
            *operand = input.ok_or("an input is missing")?;
        }
        let mut rest = [None; M];
        rest.copy_from_slice(&self.inputs[N..N + M]);
        Ok((operands, rest))
    }

    fn integer(&self) -> bool {
        self.model.precision == Precision::Int8
    }

    /// A tensor that must be there, of a type and shape.
    fn tensor(&self, index: u32, dtype: DType, dims: [u32; 4]) -> Result<TensorRecord, &'static str> {
        let tensor = self.any_tensor(index)?;
        ensure(tensor.dtype == dtype, "weight, bias, table or rescale has the wrong type")?;
        ensure(tensor.dims == dims, "weight, bias, table or rescale has the wrong shape")?;
        Ok(tensor)
    }

    fn any_tensor(&self, index: u32) -> Result<TensorRecord, &'static str> {
        // Indices other than NONE were proved at the start of the operator.
        if index == NONE { Err("weight, bias, table or rescale missing") } else { Ok(self.model.tensor(index)) }
    }

    /// Fixed-point parameters: pairs of multiplier and shift, or further multipliers; nothing in float models.
    fn fixed_point(&self, fields: u32, shift: usize) -> Result<&[i32], &'static str> {
        if !self.integer() {
            ensure(self.op.rescale == NONE, "float operators have no fixed-point scales")?;
            return Ok(&[]);
        }
        self.tensor(self.op.rescale, DType::I32, [1, 1, 1, fields])?;
        let numbers: &[i32] = self.model.tensor_data(self.op.rescale);
        let sound = |(i, &v): (usize, &i32)| if i == shift { is_shift(v) } else { v >= 0 };
        ensure(numbers.iter().enumerate().all(sound), "a multiplier is negative or a shift is not in 1..=62")?;
        Ok(numbers)
    }

    /// Types of values that arithmetic runs on.
    fn numbers(&self, values: &[&ValueRecord]) -> Proof {
        let fits = |v: &&ValueRecord| match v.dtype {
            DType::F32 => !self.integer(),
            DType::I8 | DType::I16 => self.integer(),
            _ => false,
        };
        ensure(values.iter().all(fits), "a value has the wrong type")
    }

    /// Whether the result lies on the bytes of an operand; the proof of values allows it where the kind does.
    fn same_format(&self, a: &ValueRecord, b: &ValueRecord) -> Proof {
        let same = a.dtype == b.dtype && a.bits == b.bits && a.zero_point == b.zero_point;
        ensure(same, "values differ in type, bits or zero point")
    }

    /// Type of a per-channel vector or constant tensor in weights.
    fn table_type(&self) -> DType {
        match self.model.precision {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Int8 => DType::I16,
        }
    }

    /// Type of embeddings and of gains and shifts made at run time.
    fn vector_type(&self) -> DType {
        if self.integer() { DType::I16 } else { DType::F32 }
    }
}

fn is_shift(v: i32) -> bool {
    (1..=62).contains(&v)
}

fn is_vector(value: &ValueRecord) -> bool {
    value.shape[..2] == [1, 1]
}

fn positions(value: &ValueRecord) -> u64 {
    u64::from(value.shape[0]) * u64::from(value.shape[1])
}

fn ensure(holds: bool, problem: &'static str) -> Proof {
    if holds { Ok(()) } else { Err(problem) }
}
