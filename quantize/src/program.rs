//! A network in the numbers of one precision: what the file will hold, before memory is planned.

use std::borrow::Cow;

use driftlet_runtime::format::{DType, Function, NONE, OpKind, OpRecord, Precision};
use serde::Serialize;

use crate::graph::{Graph, Node, Op};

/// Weights, values and operators of one precision.
pub struct Program<'g> {
    pub precision: Precision,
    pub tensors: Vec<Tensor<'g>>,
    pub values: Vec<Value>,
    pub ops: Vec<OpRecord>,
    pub output: usize,
    pub pixels: Option<usize>,
    pub features: Option<usize>,
    pub classes: usize,
    pub guidance: (u16, u16),
}

/// A weight tensor with its bytes.
pub struct Tensor<'g> {
    pub dtype: DType,
    pub dims: [usize; 4],
    pub bytes: Bytes<'g>,
}

/// The numbers of a tensor, or how to make them: the weights of large networks are made while the file is written.
pub enum Bytes<'g> {
    Made(Vec<u8>),
    Later(Box<dyn Fn() -> Vec<u8> + 'g>),
}

impl Tensor<'_> {
    /// Length in the file.
    pub fn len(&self) -> usize {
        self.dims.iter().product::<usize>() * self.dtype.size() as usize
    }

    /// The bytes.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match &self.bytes {
            Bytes::Made(bytes) => Cow::Borrowed(bytes),
            Bytes::Later(make) => Cow::Owned(make()),
        }
    }
}

/// An activation in integers: `real = scale * (stored - zero_point)`; for floats scale 1 and zero point 0.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub dtype: DType,
    /// Bits of the numbers stored, at most those of the type.
    pub bits: u8,
    pub zero_point: i16,
    pub scale: f32,
    pub shape: [usize; 3],
}

impl Value {
    /// Bytes in the arena.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size() as usize
    }

    /// Bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.bytes() / self.shape[0].max(1)
    }

    /// Working memory of so many bytes.
    pub fn scratch(bytes: usize) -> Self {
        Self { dtype: DType::U8, bits: 8, zero_point: 0, scale: 1.0, shape: [1, 1, bytes] }
    }
}

/// Tensors of an operator; absent ones are `None`.
#[derive(Default)]
pub struct Tensors<'g> {
    pub weight: Option<Tensor<'g>>,
    pub bias: Option<Tensor<'g>>,
    pub rescale: Option<Tensor<'g>>,
    pub shared: Shared<'g>,
}

/// A table that several operators may share.
#[derive(Default)]
pub enum Shared<'g> {
    #[default]
    None,
    New(Tensor<'g>),
    /// Index of a tensor that an earlier operator brought.
    Again(u32),
}

/// What the file says about itself, as JSON.
#[derive(Clone, Serialize)]
pub struct Metadata {
    pub name: String,
    pub precision: String,
    pub data: String,
    pub class_names: Vec<String>,
    pub quantizer: String,
    /// In the order of the operators.
    pub layers: Vec<Layer>,
    /// Least arena that any plan of these operators could have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena_bound: Option<usize>,
    /// The arena if nothing ran in bands, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena_whole: Option<usize>,
    /// The operator that needs so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena_bound_op: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationSummary>,
}

/// What a file says about an operator.
#[derive(Clone, Serialize)]
pub struct Layer {
    /// The name of its weights in the checkpoint; empty where it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Signal-to-quantization-noise ratio of its result against the float file, in decibels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqnr: Option<f64>,
}

/// How the ranges of activations were found.
#[derive(Clone, Serialize)]
pub struct CalibrationSummary {
    pub samples: u32,
    pub first_seed: u64,
    pub method: &'static str,
}

impl<'g> Program<'g> {
    /// An empty program for the values of a graph.
    pub fn new(graph: &Graph, precision: Precision, values: Vec<Value>) -> Self {
        Self {
            precision,
            tensors: Vec::new(),
            values,
            ops: Vec::new(),
            output: graph.output,
            pixels: graph.pixels,
            features: graph.features,
            classes: graph.classes,
            guidance: graph.guidance,
        }
    }

    /// Appends an operator with its tensors, and working memory of so many bytes.
    pub fn push(&mut self, node: &Node, tensors: Tensors<'g>, scratch: usize) {
        let mut op = record(&node.op);
        for (input, value) in op.inputs.iter_mut().zip(node.inputs) {
            *input = value.map_or(NONE, |v| v as u32);
        }
        if self.precision == Precision::Int8 && matches!(node.op, Op::Lookup(_) | Op::Mul(_)) {
            // Integer functions are in their tables.
            op.function = Function::Identity;
        }
        op.output = node.output as u32;
        if scratch > 0 {
            op.scratch = self.values.len() as u32;
            self.values.push(Value::scratch(scratch));
        }
        op.weight = self.keep(tensors.weight);
        op.bias = self.keep(tensors.bias);
        op.rescale = self.keep(tensors.rescale);
        op.shared = match tensors.shared {
            Shared::None => NONE,
            Shared::New(tensor) => self.keep(Some(tensor)),
            Shared::Again(index) => index,
        };
        self.ops.push(op);
    }

    fn keep(&mut self, tensor: Option<Tensor<'g>>) -> u32 {
        let Some(tensor) = tensor else { return NONE };
        self.tensors.push(tensor);
        self.tensors.len() as u32 - 1
    }
}

/// What an operator is, without values and tensors.
fn record(op: &Op) -> OpRecord {
    let plain = OpRecord::new;
    let relu = |relu| if relu { Function::Relu } else { Function::Identity };
    match op {
        Op::Noise => plain(OpKind::Noise),
        Op::Input => plain(OpKind::Input),
        Op::ClassEmbedding(_) => plain(OpKind::ClassEmbedding),
        Op::StyleEmbedding { .. } => plain(OpKind::StyleEmbedding),
        Op::GuidanceEmbedding(_) => plain(OpKind::GuidanceEmbedding),
        Op::Linear(filter) => OpRecord { function: relu(filter.relu), ..plain(OpKind::Linear) },
        Op::Conv2d { filter, window } => OpRecord {
            function: relu(filter.relu),
            mode: window.mode as u8,
            stride: window.stride,
            upsample: window.upsample,
            padding: window.padding,
            count: window.behind.into(),
            ..plain(OpKind::Conv2d)
        },
        Op::GlobalAvgPool => plain(OpKind::GlobalAvgPool),
        Op::Norm { mode, groups, .. } => OpRecord { mode: *mode as u8, count: *groups as u32, ..plain(OpKind::Norm) },
        Op::Lookup(function) => OpRecord { function: *function, ..plain(OpKind::Lookup) },
        Op::Mul(function) => OpRecord { function: *function, ..plain(OpKind::Mul) },
        Op::Gate => plain(OpKind::Gate),
        Op::Add(_) => plain(OpKind::Add),
        Op::Attention(attention) => OpRecord { count: attention.heads as u32, ..plain(OpKind::Attention) },
        Op::Concat(mode) => OpRecord { mode: *mode as u8, ..plain(OpKind::Concat) },
        Op::Slice { from } => OpRecord { count: *from as u32, ..plain(OpKind::Slice) },
        Op::Pool { mode, side, stride, padding } => OpRecord {
            mode: *mode as u8,
            stride: *stride,
            padding: *padding,
            count: *side as u32,
            ..plain(OpKind::Pool)
        },
        Op::Resize(mode) => OpRecord { mode: *mode as u8, ..plain(OpKind::Resize) },
        Op::SpaceToDepth { patch } => OpRecord { count: *patch as u32, ..plain(OpKind::SpaceToDepth) },
        Op::DepthToSpace { patch } => OpRecord { count: *patch as u32, ..plain(OpKind::DepthToSpace) },
        Op::Pixels { tanh } => {
            OpRecord { function: if *tanh { Function::Tanh } else { Function::Identity }, ..plain(OpKind::Pixels) }
        }
    }
}

/// A tensor of numbers that are stored as they are.
pub fn tensor<'g, T: bytemuck::NoUninit>(dtype: DType, dims: [usize; 4], data: &[T]) -> Tensor<'g> {
    Tensor { dtype, dims, bytes: Bytes::Made(bytemuck::cast_slice(data).to_vec()) }
}

/// A tensor `[1, 1, 1, n]`.
pub fn row<'g, T: bytemuck::NoUninit>(dtype: DType, data: &[T]) -> Tensor<'g> {
    tensor(dtype, [1, 1, 1, data.len()], data)
}
