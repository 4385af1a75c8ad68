//! A network as a list of operators on values, in float, before any decision about numbers or memory.
//!
//! Weights are borrowed from the checkpoint where they can be: the largest networks fill most of a small machine's memory.

use std::borrow::Cow;
use std::sync::Arc;

use driftlet_runtime::format::{ConcatMode, ConvMode, Function, NormMode, ResizeMode};

/// Index of a value in [`Graph::values`].
pub type ValueId = usize;
/// Numbers of a checkpoint, as they are or changed.
pub type Numbers<'a> = Cow<'a, [f32]>;

/// A network.
#[derive(Debug, Default)]
pub struct Graph<'a> {
    /// Shapes `[height, width, channels]`; a vector is `[1, 1, n]`, tokens are `[1, n, channels]` or a map.
    pub values: Vec<[usize; 3]>,
    /// Operators in order of execution.
    pub nodes: Vec<Node<'a>>,
    /// The raw result: pictures before rounding (and before `tanh`), latents, or logits.
    pub output: ValueId,
    /// The 8-bit picture.
    pub pixels: Option<ValueId>,
    /// The feature vector of a network that looks at pictures.
    pub features: Option<ValueId>,
    /// Number of classes that the network takes.
    pub classes: usize,
    /// Weakest and strongest guidance in 1/256.
    pub guidance: (u16, u16),
}

/// An operator with what it reads and writes.
#[derive(Debug)]
pub struct Node<'a> {
    pub op: Op<'a>,
    /// Operands at the places that the runtime's operator gives them.
    pub inputs: [Option<ValueId>; 3],
    pub output: ValueId,
}

/// What an operator does; `driftlet_runtime::format::OpKind` has the operands.
#[derive(Debug)]
pub enum Op<'a> {
    Noise,
    Input,
    /// `[classes, width]`.
    ClassEmbedding(Numbers<'a>),
    /// Tables `[rows, width]`, one after the other.
    StyleEmbedding {
        tables: Vec<Numbers<'a>>,
        rows: usize,
    },
    /// `[knots, width]`.
    GuidanceEmbedding(Numbers<'a>),
    Linear(Filter<'a>),
    Conv2d {
        filter: Filter<'a>,
        window: Window,
    },
    GlobalAvgPool,
    /// Gain and shift per channel, unless they are operands.
    Norm {
        mode: NormMode,
        groups: usize,
        epsilon: f32,
        gain: Option<Numbers<'a>>,
        shift: Option<Numbers<'a>>,
    },
    Lookup(Function),
    Mul(Function),
    Gate,
    /// A constant `[positions, channels]`, unless the second summand is an operand.
    Add(Option<Numbers<'a>>),
    Attention(Attention<'a>),
    Concat(ConcatMode),
    Slice {
        from: usize,
    },
    Resize(ResizeMode),
    SpaceToDepth {
        patch: usize,
    },
    DepthToSpace {
        patch: usize,
    },
    Pixels {
        tanh: bool,
    },
}

/// How a convolution moves over its input.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub mode: ConvMode,
    pub stride: u8,
    pub upsample: u8,
    pub padding: u8,
    /// Rows and columns of a transposed convolution behind the last that the kernel reaches.
    pub behind: u8,
}

impl Window {
    /// A kernel that keeps the size of its map.
    pub fn same(kernel: usize) -> Self {
        Self { mode: ConvMode::Dense, stride: 1, upsample: 1, padding: (kernel / 2) as u8, behind: 0 }
    }
}

/// Parameters of attention.
#[derive(Debug)]
pub struct Attention<'a> {
    pub heads: usize,
    /// Gains of the normalization of queries and keys, `[head]` each.
    pub gains: Option<[Numbers<'a>; 2]>,
    /// Added to the mean square of queries and keys.
    pub epsilon: f32,
    pub rotary: Option<Arc<Rotary>>,
}

/// Cosines and sines of rotary embedding, `[tokens, head / 2]` each.
#[derive(Debug)]
pub struct Rotary {
    pub cosines: Vec<f32>,
    pub sines: Vec<f32>,
}

/// Order of a filter's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[outputs, inputs, kernel, kernel]`, as checkpoints have convolutions.
    TapsLast,
    /// `[outputs, kernel, kernel, inputs]`.
    InputsLast,
}

/// Weights of a linear layer or convolution.
#[derive(Debug)]
pub struct Filter<'a> {
    /// Name of the layer, for messages.
    pub name: String,
    pub weight: Numbers<'a>,
    pub layout: Layout,
    /// `[outputs]`.
    pub bias: Numbers<'a>,
    pub outputs: usize,
    pub kernel: usize,
    /// Channels that one output reads.
    pub inputs: usize,
    pub relu: bool,
}

impl Filter<'_> {
    /// Products in one sum.
    pub fn terms(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }

    /// The weights as `[outputs, kernel, kernel, inputs]`.
    pub fn inputs_last(&self) -> Numbers<'_> {
        let taps = self.kernel * self.kernel;
        if self.layout == Layout::InputsLast || taps == 1 || self.inputs == 1 {
            return Cow::Borrowed(&self.weight);
        }
        let filters = self.weight.chunks_exact(self.inputs * taps);
        let ordered = |filter: &[f32]| -> Vec<f32> {
            (0..taps)
                .flat_map(|tap| (0..self.inputs).map(move |input| (tap, input)))
                .map(|(tap, input)| filter[input * taps + tap])
                .collect()
        };
        Cow::Owned(filters.flat_map(ordered).collect())
    }
}

impl<'a> Graph<'a> {
    /// Appends an operator that writes a new value of a shape.
    pub fn push(&mut self, op: Op<'a>, inputs: &[ValueId], shape: [usize; 3]) -> ValueId {
        let output = self.values.len();
        self.values.push(shape);
        let mut operands = [None; 3];
        for (operand, &input) in operands.iter_mut().zip(inputs) {
            *operand = Some(input);
        }
        self.nodes.push(Node { op, inputs: operands, output });
        output
    }
}
