//! Bias correction (Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019).
//!
//! Rounded weights shift the mean of a layer's sums by their error times the mean of the input. The bias takes the shift
//! back, so that only noise remains.

use crate::graph::{Filter, Graph, Node, Op};

/// What to add to each bias: `SUM (weight - stored weight) * mean input`. Weights `[outputs, kernel, kernel, inputs]`; taps
/// in the padding are counted like the others, which is exact but for the border.
pub fn correction(graph: &Graph, node: &Node, filter: &Filter, stored: &[f64], means: &[Vec<f64>]) -> Vec<f64> {
    let zero = || vec![0.0; filter.outputs];
    let Some(input) = node.input else { return zero() };
    // The noise has mean zero whatever the calibration happened to draw.
    if graph.nodes.iter().any(|source| source.output == input && matches!(source.op, Op::Noise)) {
        return zero();
    }
    let terms = filter.terms();
    let rows = filter.weight.chunks_exact(terms).zip(stored.chunks_exact(terms));
    let shift = |(weights, stored): (&[f32], &[f64])| {
        let pairs = weights.iter().zip(stored).zip(means[input].iter().cycle());
        pairs.map(|((&w, &s), mean)| (f64::from(w) - s) * mean).sum()
    };
    rows.map(shift).collect()
}
