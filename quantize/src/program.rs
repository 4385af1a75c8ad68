//! A network in the numbers of one precision: what the file will hold, before memory is planned.

use driftlet_runtime::format::{Activation, DType, NONE, OpKind, OpRecord, Precision};
use serde::Serialize;

use crate::graph::{Graph, Node, Op};

/// Weights, values and operators of one precision.
pub struct Program {
    pub precision: Precision,
    pub tensors: Vec<Tensor>,
    pub values: Vec<Value>,
    pub ops: Vec<OpRecord>,
    pub output: usize,
    pub pixels: Option<usize>,
    pub features: Option<usize>,
    pub classes: usize,
    pub guidance: (u16, u16),
}

/// A weight tensor with its bytes.
pub struct Tensor {
    pub dtype: DType,
    pub dims: [usize; 4],
    pub bytes: Vec<u8>,
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
}

/// What the file says about itself, as JSON.
#[derive(Serialize)]
pub struct Metadata {
    pub name: String,
    pub precision: String,
    pub data: String,
    pub class_names: Vec<String>,
    pub quantizer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationSummary>,
}

/// How the ranges of activations were found.
#[derive(Serialize)]
pub struct CalibrationSummary {
    pub samples: u32,
    pub first_seed: u64,
    pub method: &'static str,
}

impl Program {
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

    /// Appends an operator with its weight, bias and scales, in this order.
    pub fn push(&mut self, node: &Node, tensors: [Option<Tensor>; 3]) {
        let [weight, bias, rescale] = tensors.map(|tensor| match tensor {
            Some(tensor) => {
                self.tensors.push(tensor);
                self.tensors.len() as u32 - 1
            }
            None => NONE,
        });
        let relu = |relu| if relu { Activation::Relu } else { Activation::None };
        let (kind, activation, [stride, upsample, padding]) = match &node.op {
            Op::Noise => (OpKind::Noise, Activation::None, [1, 1, 0]),
            Op::Input => (OpKind::Input, Activation::None, [1, 1, 0]),
            Op::ClassEmbedding(_) => (OpKind::ClassEmbedding, Activation::None, [1, 1, 0]),
            Op::GuidanceEmbedding(_) => (OpKind::GuidanceEmbedding, Activation::None, [1, 1, 0]),
            Op::Linear(filter) => (OpKind::Linear, relu(filter.relu), [1, 1, 0]),
            Op::Conv2d { filter, stride, upsample, padding } => {
                (OpKind::Conv2d, relu(filter.relu), [*stride, *upsample, *padding])
            }
            Op::GlobalAvgPool => (OpKind::GlobalAvgPool, Activation::None, [1, 1, 0]),
            Op::Pixels { tanh } => (OpKind::Pixels, if *tanh { Activation::Tanh } else { Activation::None }, [1, 1, 0]),
        };
        let index = |value: Option<usize>| value.map_or(NONE, |v| v as u32);
        self.ops.push(OpRecord {
            kind,
            activation,
            stride,
            upsample,
            padding,
            input: index(node.input),
            residual: index(node.residual),
            output: node.output as u32,
            weight,
            bias,
            rescale,
        });
    }
}

/// A tensor of numbers that are stored as they are.
pub fn tensor<T: bytemuck::NoUninit>(dtype: DType, dims: [usize; 4], data: &[T]) -> Tensor {
    Tensor { dtype, dims, bytes: bytemuck::cast_slice(data).to_vec() }
}
