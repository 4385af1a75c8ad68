//! A network as a list of operators on values, in float, before any decision about numbers or memory.

/// Index of a value in [`Graph::values`].
pub type ValueId = usize;

/// A network.
#[derive(Debug, Default)]
pub struct Graph {
    /// Shapes `[height, width, channels]`; a vector is `[1, 1, n]`.
    pub values: Vec<[usize; 3]>,
    /// Operators in order of execution.
    pub nodes: Vec<Node>,
    /// The raw result: pictures before rounding (and before `tanh`), or logits.
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
pub struct Node {
    pub op: Op,
    pub input: Option<ValueId>,
    /// Added before the activation.
    pub residual: Option<ValueId>,
    pub output: ValueId,
}

/// What an operator does.
#[derive(Debug)]
pub enum Op {
    Noise,
    Input,
    /// `[classes, width]`.
    ClassEmbedding(Vec<f32>),
    /// `[knots, width]`.
    GuidanceEmbedding(Vec<f32>),
    Linear(Filter),
    Conv2d {
        filter: Filter,
        stride: u8,
        upsample: u8,
        padding: u8,
    },
    GlobalAvgPool,
    Pixels {
        tanh: bool,
    },
}

/// Weights of a linear layer or convolution.
#[derive(Debug)]
pub struct Filter {
    /// Name of the layer, for messages.
    pub name: String,
    /// `[outputs, kernel, kernel, inputs]`.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
    pub outputs: usize,
    pub kernel: usize,
    pub inputs: usize,
    pub relu: bool,
}

impl Filter {
    /// Products in one sum.
    pub fn terms(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }
}

impl Graph {
    /// Appends an operator that writes a new value of a shape.
    pub fn push(&mut self, op: Op, input: Option<ValueId>, residual: Option<ValueId>, shape: [usize; 3]) -> ValueId {
        let output = self.values.len();
        self.values.push(shape);
        self.nodes.push(Node { op, input, residual, output });
        output
    }
}
