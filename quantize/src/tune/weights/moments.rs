//! What a layer reads, seen side by side in the float model and in integers: second moments, from which the error of any weights
//! follows.

use std::ops::ControlFlow;

use driftlet_runtime::format::ConvMode;
use driftlet_runtime::{Model, Step, View};
use rayon::prelude::*;

use crate::QuantizeError;
use crate::balance::Balance;
use crate::calibrate::pictures::{arena, make};
use crate::fidelity::numbers;
use crate::graph::{Filter, Graph, Node, Op, Window};
use crate::runnable::start;

/// Multiply-accumulates of the moments of all layers, for each picture of calibration.
const MOMENTS: u64 = 60_000_000;
/// Multiply-accumulates of the pictures of all layers, for each of calibration.
const PICTURES: u64 = 80_000_000;
/// Fewest pictures of a layer, and most for each of calibration: early layers take little time, and may have few positions.
const COUNT: (u64, u64) = (16, 8);
/// Larger inputs of the float model, in steps of the integers, are cut off.
const LARGEST: f32 = 65_536.0;

/// Means over positions of pictures, in the integer model's steps of the input, of which `x` are the integer model's and `y` the
/// float model's numbers, in the order of a filter's terms.
pub struct Moments {
    /// `E[x_i x_j]`, row by row; below the diagonal only.
    pub square: Vec<f64>,
    /// `E[y_i x_j]`.
    pub cross: Vec<f64>,
    /// `E[x_i]`.
    pub mean: Vec<f64>,
    /// `E[y_i]`.
    pub float_mean: Vec<f64>,
}

impl Moments {
    /// As if the float model had seen what the integer model saw.
    pub fn of_integers(&self) -> Self {
        let terms = self.mean.len();
        let whole = |at: usize| self.square[(at / terms).max(at % terms) * terms + (at / terms).min(at % terms)];
        let (square, cross) = (self.square.clone(), (0..terms * terms).map(whole).collect());
        Self { square, cross, mean: self.mean.clone(), float_mean: self.mean.clone() }
    }
}

/// Sums of whole numbers, all below `2^53`: equal in any order.
struct Sums {
    count: f64,
    square: Vec<f64>,
    cross: Vec<f64>,
    mean: Vec<f64>,
    float_mean: Vec<f64>,
}

impl Sums {
    fn new(terms: usize) -> Self {
        let square = || vec![0.0; terms * terms];
        Self { count: 0.0, square: square(), cross: square(), mean: vec![0.0; terms], float_mean: vec![0.0; terms] }
    }

    fn add(&mut self, weight: f64, x: &[f64], y: &[f64]) {
        let terms = x.len();
        self.count += weight;
        for i in 0..terms {
            let (a, b) = (weight * x[i], weight * y[i]);
            let row = &mut self.square[i * terms..][..=i];
            row.iter_mut().zip(x).for_each(|(sum, &x)| *sum += a * x);
            let row = &mut self.cross[i * terms..][..terms];
            row.iter_mut().zip(x).for_each(|(sum, &x)| *sum += b * x);
            self.mean[i] += a;
            self.float_mean[i] += b;
        }
    }

    fn merge(mut self, other: Self) -> Self {
        let add = |sums: &mut [f64], others: Vec<f64>| sums.iter_mut().zip(others).for_each(|(a, b)| *a += b);
        self.count += other.count;
        add(&mut self.square, other.square);
        add(&mut self.cross, other.cross);
        add(&mut self.mean, other.mean);
        add(&mut self.float_mean, other.float_mean);
        self
    }

    fn means(self) -> Moments {
        let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / self.count).collect();
        Moments {
            square: mean(self.square),
            cross: mean(self.cross),
            mean: mean(self.mean),
            float_mean: mean(self.float_mean),
        }
    }
}

/// Whether a layer is of a kind and size of which moments can be had.
pub fn can_be_had(node: &Node) -> bool {
    let (filter, window) = match &node.op {
        Op::Linear(filter) => (filter, None),
        Op::Conv2d { filter, window } => (filter, Some(window)),
        _ => return false,
    };
    filter.terms() <= 1536 && window.is_none_or(|window| window.mode == ConvMode::Dense)
}

/// Runs both models up to the layer. Where `tanh` makes the picture of the layer's result, positions count as much as it lets
/// through.
pub fn moments(
    (reference, candidate): (&Model, &Model),
    graph: &Graph,
    node: &Node,
    filter: &Filter,
    balance: &Balance,
    (first_seed, samples): (u64, u32),
) -> Result<Option<Moments>, QuantizeError> {
    let Some(input) = node.inputs[0] else { return Ok(None) };
    let Some(writer) = graph.nodes.iter().position(|node| node.output == input) else { return Ok(None) };
    let format = candidate.op_info(writer as u32).output;
    let terms = filter.terms();
    let macs: u64 = (0..=writer as u32).map(|i| reference.op_info(i).macs).sum();
    let (samples, layers) = (u64::from(samples), super::layers(graph).count().max(1) as u64);
    let pictures = (PICTURES * samples / layers / macs.max(1)).clamp(COUNT.0, COUNT.0.max(COUNT.1 * samples));
    let positions = positions(graph, node);
    let wanted = MOMENTS * samples / layers / (2 * (terms * terms) as u64).max(1);
    // One of so many positions.
    let apart = (pictures * positions.len() as u64).div_ceil(wanted.max(1));
    start(reference, &mut arena(reference))?;
    start(candidate, &mut arena(candidate))?;

    let tanh = |reader: &Node| reader.inputs[0] == Some(node.output) && matches!(reader.op, Op::Pixels { tanh: true });
    let layer = graph.nodes.iter().position(|other| other.output == node.output);
    let layer = layer.filter(|_| graph.nodes.iter().any(tanh));
    let seen = |model: &Model, memory: &mut aligned_vec::AVec<u8>, i: u32, writer: usize| {
        let mut found = Vec::new();
        if let Ok(mut sampler) = start(model, memory) {
            make(&mut sampler, model, first_seed, i, &mut |step: Step| {
                if step.index as usize != writer {
                    return ControlFlow::Continue(());
                }
                found = match step.output {
                    View::I8(q) => q.iter().map(|&q| f32::from(i16::from(q) - format.zero_point)).collect(),
                    View::I16(q) => q.iter().map(|&q| f32::from(q)).collect(),
                    view => numbers(view, None),
                };
                ControlFlow::Break(())
            });
        }
        found
    };
    // Whole numbers of finer steps where those are coarse.
    let fine = if format.bits == 8 { 64.0 } else { 1.0 };
    let scale = fine / format.scale();
    let record = |(mut sums, mut memory): (Sums, [aligned_vec::AVec<u8>; 2]), i: u32| {
        let float = seen(reference, &mut memory[0], i, writer);
        let float = balance.divide(input, &float);
        let integer = seen(candidate, &mut memory[1], i, writer);
        let shown = layer.map(|layer| seen(reference, &mut memory[0], i, layer)).unwrap_or_default();
        let channels = filter.outputs.max(1);
        let (mut x, mut y) = (vec![0.0; terms], vec![0.0; terms]);
        for (p, &[oy, ox]) in positions.iter().enumerate() {
            if !mixed((u64::from(i) << 32) + p as u64).is_multiple_of(apart) {
                continue;
            }
            let slope = |&z: &f32| (16.0 * (1.0 - libm::tanhf(z).powi(2))).round();
            let weight = match shown.get(p * channels..(p + 1) * channels) {
                Some(numbers) => f64::from(numbers.iter().map(slope).fold(0.0, f32::max)),
                None => 1.0,
            };
            if weight == 0.0 {
                continue;
            }
            x.fill(0.0);
            y.fill(0.0);
            taps(graph, node, [oy, ox], &mut |tap, at| {
                let (to, from) = (tap * filter.inputs, at * filter.inputs);
                for c in 0..filter.inputs {
                    x[to + c] = integer[from + c].into();
                    y[to + c] = (float[from + c] * scale).round().clamp(-LARGEST * fine, LARGEST * fine).into();
                }
            });
            sums.add(weight, &x, &y);
        }
        (sums, memory)
    };
    let sums = (0..pictures as u32)
        .into_par_iter()
        .with_min_len(8)
        .fold(|| (Sums::new(terms), [arena(reference), arena(candidate)]), record)
        .map(|(sums, _)| sums)
        .reduce(|| Sums::new(terms), Sums::merge);
    if sums.count == 0.0 {
        return Ok(None);
    }
    let mut moments = sums.means();
    moments.cross.iter_mut().chain(&mut moments.float_mean).for_each(|sum| *sum /= f64::from(fine));
    Ok(Some(moments))
}

/// Rows and columns of a layer's result, of which each reads its own terms.
fn positions(graph: &Graph, node: &Node) -> Vec<[usize; 2]> {
    let shape = match node.op {
        Op::Linear(_) => node.inputs[0].map_or([0; 3], |v| graph.values[v]),
        _ => graph.values[node.output],
    };
    (0..shape[0]).flat_map(|y| (0..shape[1]).map(move |x| [y, x])).collect()
}

/// Taps of a position that lie within the input, with the position there.
fn taps(graph: &Graph, node: &Node, [oy, ox]: [usize; 2], each: &mut dyn FnMut(usize, usize)) {
    let Some(input) = node.inputs[0] else { return };
    let [height, width, _] = graph.values[input];
    let (kernel, window) = match &node.op {
        Op::Conv2d { filter, window } => (filter.kernel, *window),
        _ => ([1, 1], Window { padding: 0, ..Window::same(1) }),
    };
    let [stride, upsample, padding] = [window.stride, window.upsample, window.padding].map(usize::from);
    for ky in 0..kernel[0] {
        for kx in 0..kernel[1] {
            let (Some(y), Some(x)) = ((oy * stride + ky).checked_sub(padding), (ox * stride + kx).checked_sub(padding))
            else {
                continue;
            };
            if y / upsample < height && x / upsample < width {
                each(ky * kernel[1] + kx, y / upsample * width + x / upsample);
            }
        }
    }
}

/// A number mixed well (the end of SplitMix64): positions are drawn without a rhythm.
fn mixed(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
