//! The paper's transformer; `driftlet_checkpoint::Dit` has the equations.
//!
//! Three things are folded here, exactly: the guidance network depends on one number only and becomes a table; the gain of
//! each normalization goes into the modulation behind it, `norm(x) g (1 + s) + b` with `s = W c + a` is a gain
//! `(g W) c + g (1 + a)`; patches and their linear layer are a convolution.

use std::borrow::Cow;
use std::sync::Arc;

use driftlet_checkpoint::{CheckpointView, Dit};
use driftlet_runtime::format::{ConcatMode, ConvMode, Function, NormMode};

use super::{filter, part};
use crate::QuantizeError;
use crate::graph::{Attention, Filter, Graph, Layout, Op, Rotary, ValueId, Window};

/// Added to every mean square; the constant of the paper's code.
const EPSILON: f32 = 1e-6;
/// Weight of the guidance embedding in the condition.
const GUIDANCE_WEIGHT: f64 = 0.02;
/// Base of the wavelengths of guidance and position.
const BASE: f64 = 10_000.0;
/// Guidance that the paper trains with.
const GUIDANCE: (u16, u16) = (256, 1024);
/// Largest error of the guidance table between its rows.
const TABLE_ERROR: f64 = 1e-6;

pub fn lower<'a>(net: &Dit, checkpoint: &'a CheckpointView) -> Result<Graph<'a>, QuantizeError> {
    let mut graph = Graph { classes: net.classes, guidance: GUIDANCE, ..Graph::default() };
    let patch = u8::try_from(net.patch)
        .map_err(|_| QuantizeError::parameter("config.json: architecture.patch", "must be below 256"))?;
    let table = |name: &str| Cow::Borrowed(&checkpoint.tensor(name).data[..]);
    let vector = [1, 1, net.cond_dim];
    let side = net.size / net.patch;
    let picture = [net.size, net.size, net.channels];

    let class = graph.push(Op::ClassEmbedding(table("class.weight")), &[], vector);
    let styles = match net.styles {
        0 => class,
        styles => {
            let tables = (0..styles).map(|i| table(&format!("styles.{i}.weight"))).collect();
            graph.push(Op::StyleEmbedding { tables, rows: net.style_values }, &[class], vector)
        }
    };
    let guidance = Op::GuidanceEmbedding(Cow::Owned(guidance_table(net, checkpoint)));
    let condition = graph.push(guidance, &[styles], vector);
    let context = graph.push(Op::Linear(filter(checkpoint, "context", false)), &[condition], [1, 1, net.dim]);
    let context_position = Op::Add(Some(table("context_position.weight")));
    let context = graph.push(context_position, &[context], [1, net.context, net.dim]);
    let condition = graph.push(Op::Lookup(Function::Silu), &[condition], vector);

    let noise = graph.push(Op::Noise, &[], picture);
    let tokens = graph.push(patches(net, patch, checkpoint), &[noise], [side, side, net.dim]);
    let tokens = graph.push(Op::Add(Some(table("position.weight"))), &[tokens], [side, side, net.dim]);
    let count = net.context + net.tokens();
    let mut x = graph.push(Op::Concat(ConcatMode::Positions), &[context, tokens], [1, count, net.dim]);

    let rotary = Arc::new(rotary(count, net.dim / net.heads));
    for i in 0..net.depth {
        x = block(&mut graph, net, checkpoint, i, (x, condition), &rotary);
    }
    let x = graph.push(Op::Slice { from: net.context }, &[x], [side, side, net.dim]);
    let gain = gain(checkpoint, "final.modulation", "final.norm", 1, 2);
    let shift = part(checkpoint, "final.modulation", 0, 2);
    let x = modulated(&mut graph, x, condition, gain, shift);
    let out = filter(checkpoint, "out", false);
    let x = graph.push(Op::Linear(out), &[x], [side, side, net.patch_len()]);
    graph.output = graph.push(Op::DepthToSpace { patch: net.patch }, &[x], picture);
    // Four channels are a latent, which another network turns into a picture.
    if matches!(net.channels, 1 | 3) {
        graph.pixels = Some(graph.push(Op::Pixels { tanh: false }, &[graph.output], picture));
    }
    Ok(graph)
}

/// Attention and multilayer perceptron on the residual stream `x` under the condition.
fn block<'a>(
    graph: &mut Graph<'a>,
    net: &Dit,
    checkpoint: &'a CheckpointView,
    index: usize,
    (x, condition): (ValueId, ValueId),
    rotary: &Arc<Rotary>,
) -> ValueId {
    let name = |part: &str| format!("blocks.{index}.{part}");
    let modulation = name("modulation");
    let shape = graph.values[x];
    let linear = |graph: &mut Graph<'a>, filter: Filter<'a>, input: ValueId| {
        let [height, width, _] = graph.values[input];
        let shape = [height, width, filter.outputs];
        graph.push(Op::Linear(filter), &[input], shape)
    };

    let gain1 = gain(checkpoint, &modulation, &name("norm1"), 1, 6);
    let y = modulated(graph, x, condition, gain1, part(checkpoint, &modulation, 0, 6));
    let [query, key, value] = [0, 1, 2].map(|i| linear(graph, part(checkpoint, &name("attention.qkv"), i, 3), y));
    let norm_gain =
        |which: &str| Cow::Borrowed(&checkpoint.tensor(&name(&format!("attention.{which}_norm.weight"))).data[..]);
    let attention = Op::Attention(Attention {
        heads: net.heads,
        gains: Some([norm_gain("query"), norm_gain("key")]),
        epsilon: EPSILON,
        rotary: Some(Arc::clone(rotary)),
    });
    let mixed = graph.push(attention, &[query, key, value], shape);
    let mixed = linear(graph, filter(checkpoint, &name("attention.out"), false), mixed);
    let gate1 = linear(graph, part(checkpoint, &modulation, 2, 6), condition);
    let x = graph.push(Op::Gate, &[mixed, x, gate1], shape);

    let gain2 = gain(checkpoint, &modulation, &name("norm2"), 4, 6);
    let y = modulated(graph, x, condition, gain2, part(checkpoint, &modulation, 3, 6));
    let gate = linear(graph, filter(checkpoint, &name("mlp.gate"), false), y);
    let up = linear(graph, filter(checkpoint, &name("mlp.up"), false), y);
    let inner = graph.push(Op::Mul(Function::Silu), &[gate, up], graph.values[gate]);
    let down = linear(graph, filter(checkpoint, &name("mlp.down"), false), inner);
    let gate2 = linear(graph, part(checkpoint, &modulation, 5, 6), condition);
    graph.push(Op::Gate, &[down, x, gate2], shape)
}

/// `rmsnorm(x) * gain(condition) + shift(condition)`.
fn modulated<'a>(
    graph: &mut Graph<'a>,
    x: ValueId,
    condition: ValueId,
    gain: Filter<'a>,
    shift: Filter<'a>,
) -> ValueId {
    let vector = [1, 1, gain.outputs];
    let gain = graph.push(Op::Linear(gain), &[condition], vector);
    let shift = graph.push(Op::Linear(shift), &[condition], vector);
    let norm = Op::Norm { mode: NormMode::Rms, groups: 0, epsilon: EPSILON, gain: None, shift: None };
    graph.push(norm, &[x, gain, shift], graph.values[x])
}

/// The part of a modulation that is a scale, as the whole gain of a normalization: `g (1 + W c + a)`.
fn gain<'a>(checkpoint: &'a CheckpointView, modulation: &str, norm: &str, index: usize, count: usize) -> Filter<'a> {
    let mut filter = part(checkpoint, modulation, index, count);
    let gains = &checkpoint.tensor(&format!("{norm}.weight")).data[..];
    filter.bias = filter.bias.iter().zip(gains).map(|(&a, &g)| g * (1.0 + a)).collect();
    if gains.iter().any(|&g| g != 1.0) {
        let rows = filter.weight.chunks_exact(filter.inputs).zip(gains);
        filter.weight = rows.flat_map(|(row, &g)| row.iter().map(move |&w| g * w)).collect();
    }
    filter
}

/// The linear layer on patches as a convolution: its inputs are (row, column, channel) already.
fn patches<'a>(net: &Dit, patch: u8, checkpoint: &'a CheckpointView) -> Op<'a> {
    let filter = filter(checkpoint, "patch", false);
    let filter = Filter { layout: Layout::InputsLast, kernel: [net.patch; 2], inputs: net.channels, ..filter };
    let window = Window { mode: ConvMode::Dense, stride: patch, upsample: 1, padding: 0, behind: 0 };
    Op::Conv2d { filter, window }
}

/// Angles `position * 10000^(-k / (head / 2))`.
fn rotary(tokens: usize, head: usize) -> Rotary {
    let half = head / 2;
    let frequency = |k: usize| f64::from(BASE.powf(-(k as f64) / half as f64) as f32);
    let angles: Vec<f64> = (0..tokens * half).map(|i| (i / half) as f64 * frequency(i % half)).collect();
    let table = |f: fn(f64) -> f64| angles.iter().map(|&a| f(a) as f32).collect();
    Rotary { cosines: table(f64::cos), sines: table(f64::sin) }
}

/// `0.02 rmsnorm(linear2(silu(linear1(waves(a)))))` at evenly spaced strengths, as few as linear interpolation allows.
fn guidance_table(net: &Dit, checkpoint: &CheckpointView) -> Vec<f32> {
    let (weakest, strongest) = GUIDANCE;
    let row = |q8: usize| guidance_row(net, checkpoint, q8 as f64 / 256.0);
    // 256 divides the range: every power of two up to it is a step.
    let mut step = 256;
    loop {
        let rows: Vec<Vec<f64>> = (weakest.into()..=strongest.into()).step_by(step).map(row).collect();
        // Linear interpolation is worst half way.
        let between = |(i, pair): (usize, &[Vec<f64>])| {
            let middle = row(usize::from(weakest) + i * step + step / 2);
            let ends = pair[0].iter().zip(&pair[1]).zip(middle);
            ends.map(|((a, b), m)| (0.5 * (a + b) - m).abs()).fold(0.0, f64::max)
        };
        let error = rows.windows(2).enumerate().map(between).fold(0.0, f64::max);
        if error <= TABLE_ERROR || step <= 4 {
            return rows.into_iter().flatten().map(|x| x as f32).collect();
        }
        step /= 2;
    }
}

fn guidance_row(net: &Dit, checkpoint: &CheckpointView, strength: f64) -> Vec<f64> {
    let layer = |name: &str, input: &[f64]| -> Vec<f64> {
        let weight = &checkpoint.tensor(&format!("guidance.{name}.weight")).data;
        let bias = &checkpoint.tensor(&format!("guidance.{name}.bias")).data[..];
        let dot = |row: &[f32]| row.iter().zip(input).map(|(&w, &x)| f64::from(w) * x).sum::<f64>();
        weight.chunks_exact(input.len()).zip(bias).map(|(row, &b)| f64::from(b) + dot(row)).collect()
    };
    let count = Dit::FREQUENCIES;
    let angle = |k: usize| strength * f64::from(BASE.powf(-(k as f64) / count as f64) as f32);
    let waves: Vec<f64> =
        (0..2 * count).map(|i| if i < count { angle(i).cos() } else { angle(i - count).sin() }).collect();
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let inner: Vec<f64> = layer("linear1", &waves).into_iter().map(silu).collect();
    let outer = layer("linear2", &inner);
    let mean_square = outer.iter().map(|x| x * x).sum::<f64>() / net.cond_dim as f64;
    let factor = GUIDANCE_WEIGHT / (mean_square + f64::from(EPSILON)).sqrt();
    let gains = &checkpoint.tensor("guidance.norm.weight").data[..];
    outer.iter().zip(gains).map(|(x, &g)| x * factor * f64::from(g)).collect()
}
