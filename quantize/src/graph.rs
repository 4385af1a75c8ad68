//! A network as a list of operators on values, in float, before any decision about numbers or memory.
//!
//! Weights are borrowed from the checkpoint where they can be: the largest networks fill most of a small machine's memory.

use std::borrow::Cow;
use std::sync::Arc;

use driftlet_runtime::format::{ConcatMode, ConvMode, Function, NormMode, PoolMode, ResizeMode};

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
    /// What it does.
    pub op: Op<'a>,
    /// Operands at the places that the runtime's operator gives them.
    pub inputs: [Option<ValueId>; 3],
    /// The value written.
    pub output: ValueId,
}

/// What an operator does; `driftlet_runtime::format::OpKind` has the operands.
#[derive(Debug)]
pub enum Op<'a> {
    /// Standard normal noise of the value's shape.
    Noise,
    /// Pictures, for networks that look at them.
    Input,
    /// The row of the class: `[classes, width]`.
    ClassEmbedding(Numbers<'a>),
    /// The operand plus a row of each table.
    StyleEmbedding {
        /// `[rows, width]` each.
        tables: Vec<Numbers<'a>>,
        /// Rows of each.
        rows: usize,
    },
    /// The operand plus a row between two of the knots: `[knots, width]`.
    GuidanceEmbedding(Numbers<'a>),
    /// Matrix product at every position; a second operand is added.
    Linear(Filter<'a>),
    /// Convolution; a second operand is added.
    Conv2d {
        /// Its weights.
        filter: Filter<'a>,
        /// Its way over the map.
        window: Window,
    },
    /// Mean over positions.
    GlobalAvgPool,
    /// Normalization. Gain and shift per channel, unless they are operands.
    Norm {
        /// Which numbers share their statistics.
        mode: NormMode,
        /// Groups of channels; 0 for other modes.
        groups: usize,
        /// Added to the mean square or variance.
        epsilon: f32,
        /// `[channels]`.
        gain: Option<Numbers<'a>>,
        /// `[channels]`.
        shift: Option<Numbers<'a>>,
    },
    /// A function of every number.
    Lookup(Function),
    /// A function of the first operand times the second.
    Mul(Function),
    /// First operand times the third, a factor per channel, plus the second.
    Gate,
    /// Sum; one position is added to all. A constant `[positions, channels]`, unless the second summand is an operand.
    Add(Option<Numbers<'a>>),
    /// Attention of queries, keys and values.
    Attention(Attention<'a>),
    /// Two values, one after the other.
    Concat(ConcatMode),
    /// Some positions.
    Slice {
        /// The first of them.
        from: usize,
    },
    /// Map of twice the size, or of the value's.
    Resize(ResizeMode),
    /// Largest or mean number of every window; float models only.
    Pool {
        /// Which.
        mode: PoolMode,
        /// Side of the window.
        side: usize,
        /// Positions from one window to the next.
        stride: u8,
        /// Positions outside the map on every side, which do not count.
        padding: u8,
    },
    /// Squares of positions become channels.
    SpaceToDepth {
        /// Side of a square.
        patch: usize,
    },
    /// Channels become squares of positions.
    DepthToSpace {
        /// Side of a square.
        patch: usize,
    },
    /// Rounding to 8-bit pixels.
    Pixels {
        /// Whether `tanh` is applied before.
        tanh: bool,
    },
}

impl Op<'_> {
    /// Whether it is a convolution in which every output channel reads one input channel.
    pub fn depthwise(&self) -> bool {
        matches!(self, Self::Conv2d { window, .. } if window.mode == ConvMode::Depthwise)
    }

    /// The name of its weights; empty where it has none of a name.
    pub fn name(&self) -> &str {
        match self {
            Op::Linear(filter) | Op::Conv2d { filter, .. } => &filter.name,
            _ => "",
        }
    }
}

/// How a convolution moves over its input.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Dense, depthwise or transposed.
    pub mode: ConvMode,
    /// Positions from one output to the next.
    pub stride: u8,
    /// Nearest upsampling of the input, 1 or 2.
    pub upsample: u8,
    /// Zeros on every side; in float models none along an axis with a single tap.
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
    /// Number of heads.
    pub heads: usize,
    /// Gains of the normalization of queries and keys, `[head]` each.
    pub gains: Option<[Numbers<'a>; 2]>,
    /// Added to the mean square of queries and keys.
    pub epsilon: f32,
    /// Rotary embedding; operators share one table.
    pub rotary: Option<Arc<Rotary>>,
}

/// Cosines and sines of rotary embedding, `[tokens, head / 2]` each.
#[derive(Debug)]
pub struct Rotary {
    /// Cosines.
    pub cosines: Vec<f32>,
    /// Sines.
    pub sines: Vec<f32>,
}

/// Order of a filter's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[outputs, inputs, rows, columns]`, as checkpoints have convolutions.
    TapsLast,
    /// `[outputs, rows, columns, inputs]`.
    InputsLast,
}

/// Weights of a linear layer or convolution.
#[derive(Debug)]
pub struct Filter<'a> {
    /// Name of the layer, for messages.
    pub name: String,
    /// The weights.
    pub weight: Numbers<'a>,
    /// Their order.
    pub layout: Layout,
    /// `[outputs]`.
    pub bias: Numbers<'a>,
    /// Output channels.
    pub outputs: usize,
    /// Rows and columns of the kernel; 1 and 1 for linear layers.
    pub kernel: [usize; 2],
    /// Channels that one output reads.
    pub inputs: usize,
    /// Whether negative results become zero.
    pub relu: bool,
}

impl Filter<'_> {
    /// Products in one sum.
    pub fn terms(&self) -> usize {
        self.taps() * self.inputs
    }

    /// Positions of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The weights as `[outputs, rows, columns, inputs]`.
    pub fn inputs_last(&self) -> Numbers<'_> {
        let taps = self.taps();
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
