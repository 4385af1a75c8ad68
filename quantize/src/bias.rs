//! Bias correction (Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019).
//!
//! Rounded weights shift the mean of a layer's sums by their error times the mean of the input. The bias takes the shift
//! back, so that only noise remains.

use crate::graph::{Filter, Graph, Node, Op, ValueId};

/// What to add to each bias: `SUM (weight - stored weight) * mean input`. Weights `[outputs, kernel, kernel, inputs]`; taps
/// in the padding are counted like the others, which is exact but for the border.
pub fn correction(
    graph: &Graph,
    node: &Node,
    filter: &Filter,
    (weights, stored): (&[f32], &[f64]),
    mean: impl Fn(ValueId, usize) -> f64,
) -> Vec<f64> {
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
    let rows = weights.chunks_exact(terms).zip(stored.chunks_exact(terms));
    let depthwise = node.op.depthwise();
    let shift = |(channel, (weights, stored)): (usize, (&[f32], &[f64]))| {
        let input_channel = |term: usize| if depthwise { channel } else { term % filter.inputs };
        let pairs = weights.iter().zip(stored).enumerate();
        pairs.map(|(t, (&w, &s))| (f64::from(w) - s) * mean(input, input_channel(t))).sum()
    };
    rows.enumerate().map(shift).collect()
}
