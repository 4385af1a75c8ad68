//! Builds graphs with random weights, the same on every host: integers and correctly rounded operations only.

use std::borrow::Cow;
use std::string::ToString;
use std::vec::Vec;

use driftlet_quantize::graph::{Filter, Graph, Layout, Op, ValueId, Window};
use driftlet_runtime::format::{ConvMode, Function, NormMode};

/// Numbers of a generator (SplitMix64; Steele et al., 2014).
pub struct Random(pub u64);

impl Random {
    /// In `[-1, 1)`.
    pub fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// So many of them, up to `reach` in magnitude around `middle`.
    pub fn numbers(&mut self, count: usize, middle: f32, reach: f32) -> Vec<f32> {
        (0..count).map(|_| middle + reach * self.number()).collect()
    }
}

/// The form of a convolution.
#[derive(Clone, Copy)]
pub struct Form {
    pub kernel: usize,
    pub window: Window,
    pub relu: bool,
    pub residual: Option<ValueId>,
}

impl Form {
    /// Keeps the size of the map; the kernel is odd.
    pub fn same(kernel: usize) -> Self {
        Self { kernel, window: Window::same(kernel), relu: false, residual: None }
    }

    /// Any stride and padding.
    pub fn strided(kernel: usize, stride: u8, padding: u8) -> Self {
        Self { window: Window { stride, padding, ..Window::same(kernel) }, ..Self::same(kernel) }
    }

    /// Transposed, with rows and columns behind the kernel's reach.
    pub fn transposed(kernel: usize, stride: u8, padding: u8, behind: u8) -> Self {
        let window = Window { mode: ConvMode::Transposed, stride, upsample: 1, padding, behind };
        Self { window, ..Self::same(kernel) }
    }

    /// Every channel by itself.
    pub fn depthwise(self) -> Self {
        Self { window: Window { mode: ConvMode::Depthwise, ..self.window }, ..self }
    }

    /// On a map of twice the size.
    pub fn upsampled(self) -> Self {
        Self { window: Window { upsample: 2, ..self.window }, ..self }
    }

    /// With relu.
    pub fn relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Added to a value.
    pub fn onto(self, residual: ValueId) -> Self {
        Self { residual: Some(residual), ..self }
    }

    /// Length of the result along one axis.
    fn length(&self, input: usize) -> usize {
        let Window { mode, stride, upsample, padding, behind } = self.window;
        let [stride, upsample, padding, behind] = [stride, upsample, padding, behind].map(usize::from);
        if mode == ConvMode::Transposed {
            (input - 1) * stride + self.kernel + behind - 2 * padding
        } else {
            (input * upsample + 2 * padding - self.kernel) / stride + 1
        }
    }
}

/// A graph that grows.
pub struct Builder {
    pub graph: Graph<'static>,
    pub random: Random,
}

impl Builder {
    pub fn new(seed: u64) -> Self {
        Self { graph: Graph::default(), random: Random(seed) }
    }

    pub fn shape(&self, value: ValueId) -> [usize; 3] {
        self.graph.values[value]
    }

    pub fn push(&mut self, op: Op<'static>, inputs: &[ValueId], shape: [usize; 3]) -> ValueId {
        self.graph.push(op, inputs, shape)
    }

    pub fn noise(&mut self, shape: [usize; 3]) -> ValueId {
        self.push(Op::Noise, &[], shape)
    }

    /// A convolution to so many channels; depthwise ones keep theirs.
    pub fn conv(&mut self, x: ValueId, outputs: usize, form: Form) -> ValueId {
        let [height, width, channels] = self.shape(x);
        let inputs = if form.window.mode == ConvMode::Depthwise { 1 } else { channels };
        let filter = self.filter(outputs, form.kernel, inputs, form.relu);
        let shape = [form.length(height), form.length(width), outputs];
        let operands: Vec<ValueId> = [Some(x), form.residual].into_iter().flatten().collect();
        self.push(Op::Conv2d { filter, window: form.window }, &operands, shape)
    }

    /// A linear layer at every position.
    pub fn linear(&mut self, x: ValueId, outputs: usize) -> ValueId {
        let [height, width, inputs] = self.shape(x);
        let filter = self.filter(outputs, 1, inputs, false);
        self.push(Op::Linear(filter), &[x], [height, width, outputs])
    }

    /// A linear layer at every position, added to a value.
    pub fn linear_onto(&mut self, x: ValueId, residual: ValueId) -> ValueId {
        let ([_, _, inputs], shape) = (self.shape(x), self.shape(residual));
        let filter = self.filter(shape[2], 1, inputs, false);
        self.push(Op::Linear(filter), &[x, residual], shape)
    }

    /// A linear layer from a vector to a map, with relu.
    pub fn spread(&mut self, x: ValueId, shape: [usize; 3]) -> ValueId {
        let inputs = self.shape(x)[2];
        let filter = self.filter(shape.iter().product(), 1, inputs, true);
        self.push(Op::Linear(filter), &[x], shape)
    }

    pub fn lookup(&mut self, function: Function, x: ValueId) -> ValueId {
        self.push(Op::Lookup(function), &[x], self.shape(x))
    }

    /// A normalization with gain and shift of its own.
    pub fn norm(&mut self, mode: NormMode, groups: usize, x: ValueId) -> ValueId {
        let channels = self.shape(x)[2];
        let gain = Some(self.table(channels, 1.0, 0.5));
        let shift = (mode != NormMode::Rms).then(|| self.table(channels, 0.0, 0.3));
        self.push(Op::Norm { mode, groups, epsilon: 1e-5, gain, shift }, &[x], self.shape(x))
    }

    /// Random numbers as a table.
    pub fn table(&mut self, count: usize, middle: f32, reach: f32) -> Cow<'static, [f32]> {
        Cow::Owned(self.random.numbers(count, middle, reach))
    }

    /// The raw result.
    pub fn finish(mut self, output: ValueId) -> Graph<'static> {
        self.graph.output = output;
        self.graph
    }

    /// The raw result, and a picture of it.
    pub fn finish_with_pixels(mut self, output: ValueId, tanh: bool) -> Graph<'static> {
        let pixels = self.push(Op::Pixels { tanh }, &[output], self.shape(output));
        self.graph.pixels = Some(pixels);
        self.finish(output)
    }

    /// Weights that keep the variance on average, each channel in a range of its own. The fourth of nine and more channels
    /// has no weight at all.
    fn filter(&mut self, outputs: usize, kernel: usize, inputs: usize, relu: bool) -> Filter<'static> {
        let terms = kernel * kernel * inputs;
        let reach = (3.0 / terms as f32).sqrt();
        let row = |o: usize| {
            let size = if o == 3 && outputs > 8 { 0.0 } else { 1.0 + 0.5 * self.random.number() };
            self.random.numbers(terms, 0.0, reach * size)
        };
        let weight: Vec<f32> = (0..outputs).flat_map(row).collect();
        Filter {
            name: self.graph.nodes.len().to_string(),
            weight: weight.into(),
            layout: Layout::InputsLast,
            bias: self.table(outputs, 0.0, 0.2),
            outputs,
            kernel: [kernel; 2],
            inputs,
            relu,
        }
    }
}
