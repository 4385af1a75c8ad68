//! The proof of operators: order, shapes, types and fixed-point parameters, so that the executor needs no check.

mod attention;
mod elementwise;
mod layers;
mod moves;
mod norm;
mod sources;

pub use sources::guidance_shift;

use super::problem::Problem;
use crate::format::{DType, NONE, OpKind, OpRecord, Precision, TensorRecord, ValueRecord};
use crate::model::{Model, ParseError};

type Proof = Result<(), Problem>;

/// An operator with everything it touches, decoded.
struct Context<'m> {
    model: &'m Model<'m>,
    op: OpRecord,
    index: u32,
    output: ValueRecord,
    inputs: [Option<ValueRecord>; 3],
    scratch: Option<ValueRecord>,
}

/// Fields of a record that only some kinds use, as bits; the others must be empty.
mod field {
    pub const FUNCTION: u16 = 1;
    pub const MODE: u16 = 2;
    pub const WINDOW: u16 = 4;
    pub const SCRATCH: u16 = 8;
    pub const WEIGHT: u16 = 16;
    pub const BIAS: u16 = 32;
    pub const RESCALE: u16 = 64;
    pub const SHARED: u16 = 128;
    pub const COUNT: u16 = 256;
}

/// What an operator of a kind takes: so many operands, so many more that may be absent, and these fields.
fn takes(kind: OpKind) -> (u8, u8, u16) {
    use field::*;
    match kind {
        OpKind::Noise | OpKind::Input => (0, 0, 0),
        OpKind::ClassEmbedding => (0, 0, WEIGHT),
        OpKind::StyleEmbedding | OpKind::GuidanceEmbedding => (1, 0, WEIGHT),
        OpKind::Linear => (1, 1, FUNCTION | WEIGHT | BIAS | RESCALE | SHARED | SCRATCH),
        OpKind::Conv2d => (1, 1, FUNCTION | WEIGHT | BIAS | RESCALE | SHARED | SCRATCH | MODE | WINDOW | COUNT),
        OpKind::GlobalAvgPool => (1, 0, RESCALE),
        OpKind::Norm => (1, 2, MODE | WEIGHT | BIAS | RESCALE | COUNT),
        OpKind::Lookup => (1, 0, FUNCTION | WEIGHT | COUNT),
        OpKind::Mul => (2, 0, FUNCTION | WEIGHT | RESCALE),
        OpKind::Gate => (3, 0, RESCALE),
        OpKind::Add => (1, 1, WEIGHT | RESCALE),
        OpKind::Attention => (3, 0, WEIGHT | BIAS | RESCALE | SHARED | COUNT | SCRATCH),
        OpKind::Concat => (2, 0, MODE | RESCALE),
        OpKind::Slice | OpKind::SpaceToDepth | OpKind::DepthToSpace => (1, 0, COUNT),
        OpKind::Resize => (1, 0, MODE),
        OpKind::Pixels => (1, 0, FUNCTION | WEIGHT),
        OpKind::Pool => (1, 0, MODE | WINDOW | COUNT),
    }
}

/// Proves every operator.
pub fn prove(model: &Model) -> Result<(), ParseError> {
    let mut next_tensor = 0;
    for index in 0..model.op_count() {
        let op = model.op(index);
        if !cfg!(feature = "transformer") && op.kind.needs_transformer() {
            return Err(ParseError::NotBuilt { feature: "transformer" });
        }
        op_is_sound(model, op, index, &mut next_tensor)
            .map_err(|problem| ParseError::Op { index, problem: problem.text() })?;
    }
    if next_tensor != model.header.tensors.count {
        return Err(super::header_error("a tensor belongs to no operator"));
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
    context.usage()?;
    match op.kind {
        OpKind::Noise => sources::noise(&context),
        OpKind::ClassEmbedding => sources::class_embedding(&context),
        OpKind::GuidanceEmbedding => sources::guidance_embedding(&context),
        OpKind::Linear => layers::linear(&context),
        OpKind::Conv2d => layers::conv(&context),
        OpKind::Pixels => elementwise::pixels(&context),
        _ if cfg!(feature = "transformer") => transformer(&context),
        _ => Err("unknown kind".into()),
    }
}

/// Operators that plain convolutional generators do without.
fn transformer(context: &Context) -> Proof {
    match context.op.kind {
        OpKind::StyleEmbedding => sources::style_embedding(context),
        OpKind::GlobalAvgPool => elementwise::global_avg_pool(context),
        OpKind::Norm => norm::norm(context),
        OpKind::Lookup => elementwise::lookup(context),
        OpKind::Mul => elementwise::mul(context),
        OpKind::Gate => elementwise::gate(context),
        OpKind::Add => elementwise::add(context),
        OpKind::Attention => attention::attention(context),
        OpKind::Concat => moves::concat(context),
        OpKind::Slice => moves::slice(context),
        OpKind::Resize => moves::resize(context),
        OpKind::SpaceToDepth => moves::patches(context, false),
        OpKind::DepthToSpace => moves::patches(context, true),
        OpKind::Input | OpKind::Pool if context.integer() => {
            Err("integer models have no pools and look at no pictures".into())
        }
        OpKind::Input => sources::image(context),
        OpKind::Pool => moves::pool(context),
        // All others are proved by `op_is_sound`.
        _ => Err("unknown kind".into()),
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
    /// As many operands as the kind takes, and no field set that it does not use.
    fn usage(&self) -> Proof {
        use field::*;
        let (op, (needed, more, fields)) = (&self.op, takes(self.op.kind));
        let set = [
            (FUNCTION, op.function as u8 != 0),
            (MODE, op.mode != 0),
            (WINDOW, op.stride != 1 || op.upsample != 1 || op.padding != 0),
            (SCRATCH, op.scratch != NONE),
            (WEIGHT, op.weight != NONE),
            (BIAS, op.bias != NONE),
            (RESCALE, op.rescale != NONE),
            (SHARED, op.shared != NONE),
            (COUNT, op.count != 0),
        ];
        let set = set.into_iter().fold(0, |all, (field, set)| if set { all | field } else { all });
        ensure(set & !fields == 0, "a field is set that the operator does not use")?;
        for (i, input) in (0..).zip(&self.inputs) {
            ensure(input.is_some() || i >= needed, "an input is missing")?;
            ensure(input.is_none() || i < needed + more, "an input too many")?;
        }
        Ok(())
    }

    /// An operand that the kind takes.
    fn operand(&self, index: usize) -> &ValueRecord {
        self.inputs[index].as_ref().unwrap_or(&self.output)
    }

    fn integer(&self) -> bool {
        self.model.is_integer()
    }

    /// Whether the weights are of 4 bits, two a byte.
    fn nibbles(&self) -> bool {
        cfg!(feature = "nibbles")
            && self.integer()
            && self.any_tensor(self.op.weight).is_ok_and(|tensor| tensor.dtype == DType::U8)
    }

    /// A tensor that must be there, of a type and shape.
    fn tensor(&self, index: u32, dtype: DType, dims: [u32; 4]) -> Result<TensorRecord, Problem> {
        let tensor = self.any_tensor(index)?;
        ensure(tensor.dtype == dtype, "weight, bias, table or rescale has the wrong type")?;
        ensure(tensor.dims == dims, "weight, bias, table or rescale has the wrong shape")?;
        Ok(tensor)
    }

    fn any_tensor(&self, index: u32) -> Result<TensorRecord, Problem> {
        // Indices other than NONE were proved at the start of the operator.
        if index == NONE { Err("weight, bias, table or rescale missing".into()) } else { Ok(self.model.tensor(index)) }
    }

    /// Fixed-point parameters: pairs of multiplier and shift, or further multipliers; nothing in float models.
    fn fixed_point(&self, fields: u32, shift: usize) -> Result<&[i32], Problem> {
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
    if holds { Ok(()) } else { Err(problem.into()) }
}
