//! Bias correction (Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019).
//!
//! Rounded weights shift the mean of a layer's sums by their error times the mean of the input. The bias takes the shift
//! back, so that only noise remains.

use crate::graph::{Filter, Graph, Node, Op};

/// What to add to each bias: `SUM (weight - stored weight) * mean input`. Weights `[outputs, kernel, kernel, inputs]`; taps
/// in the padding are counted like the others, which is exact but for the border.
pub fn correction(graph: &Graph, node: &Node, filter: &Filter, stored: &[f64], means: &[Vec<f64>]) -> Vec<f64> {
    let zero = || vec![0.0; filter.outputs];
    let Some(input) = node.inputs[0] else { return zero() };
    // The noise has mean zero whatever the calibration happened to draw.
    if graph.nodes.iter().any(|source| source.output == input && matches!(source.op, Op::Noise)) {
        return zero();
    }
    // Where `tanh` makes the picture, the mean is that of numbers far out, which it flattens: setting it right would
    // shift those that show.
    let tanh = graph
        .nodes
        .iter()
        .any(|reader| reader.inputs[0] == Some(node.output) && matches!(reader.op, Op::Pixels { tanh: true }));
    if tanh {
        return zero();
    }
    let terms = filter.terms();
    let weights = filter.inputs_last();
    let rows = weights.chunks_exact(terms).zip(stored.chunks_exact(terms));
    let depthwise = node.op.depthwise();
    let shift = |(channel, (weights, stored)): (usize, (&[f32], &[f64]))| {
        let inputs = if depthwise { &means[input][channel..=channel] } else { &means[input] };
        let pairs = weights.iter().zip(stored).zip(inputs.iter().cycle());
        pairs.map(|((&w, &s), mean)| (f64::from(w) - s) * mean).sum()
    };
    rows.enumerate().map(shift).collect()
}
