//! Which integers stand for each value of a graph.

use driftlet_runtime::format::DType;
use driftlet_runtime::noise::STEPS_PER_SIGMA;

use super::fixed::positive;
use crate::calibrate::Range;
use crate::graph::{Graph, Node, Op, ValueId};
use crate::program::Value;

/// 16-bit activations have bits to spare for what calibration did not see.
const HEADROOM: f64 = 1.25;
/// `tanh` of 4 rounds to the same pixel as `tanh` of infinity: raw pictures need no wider range.
const TANH_RANGE: f64 = 4.0;

/// Type, bits, step and zero point of every value.
pub fn formats(graph: &Graph, ranges: &[Range], narrow: &[bool]) -> Vec<Value> {
    let (embedding_bits, embedding_scale) = embeddings(graph);
    let tanh = graph.nodes.iter().any(|n| matches!(n.op, Op::Pixels { tanh: true }));
    let mut values: Vec<Value> = Vec::with_capacity(graph.values.len());
    for node in &graph.nodes {
        let (range, shape) = (ranges[node.output], graph.values[node.output]);
        let sixteen = |bits: u8, reach: f64| {
            let largest = f64::from((1i32 << (bits - 1)) - 1);
            (DType::I16, bits, positive(reach / largest), 0)
        };
        let (dtype, bits, scale, zero_point) = match (&node.op, node.inputs[0]) {
            (Op::Noise, _) => (DType::I8, 8, 1.0 / f64::from(STEPS_PER_SIGMA), 0),
            (Op::ClassEmbedding(_) | Op::StyleEmbedding { .. } | Op::GuidanceEmbedding(_), _) => {
                (DType::I16, embedding_bits, embedding_scale, 0)
            }
            (Op::Pixels { .. }, _) => (DType::U8, 8, 1.0, 0),
            (op, Some(input)) if keeps_format(op) => {
                let Value { dtype, bits, scale, zero_point, .. } = values[input];
                (dtype, bits, scale.into(), zero_point)
            }
            _ if node.output == graph.output => sixteen(16, if tanh { range.peak.min(TANH_RANGE) } else { range.peak }),
            _ if !narrow[node.output] => sixteen(bits_that_fit(graph, node.output), HEADROOM * range.peak),
            _ => {
                let scale = positive((range.high - range.low) / 255.0);
                (DType::I8, 8, scale, (-128.0 - range.low / scale).round() as i16)
            }
        };
        values.push(Value { dtype, bits, zero_point, scale: scale as f32, shape });
    }
    values
}

/// Operators that move integers as they are.
fn keeps_format(op: &Op) -> bool {
    matches!(op, Op::Slice { .. } | Op::Resize(_) | Op::SpaceToDepth { .. } | Op::DepthToSpace { .. })
}

/// Whether a value may have 8 bits, where its format is not given: linear layers and convolutions read it, and nothing that adds up many layers, such as
/// the residual stream of a transformer, writes it.
pub fn eight_bits_do(graph: &Graph, node: &Node) -> bool {
    let own = matches!(
        node.op,
        Op::Noise | Op::ClassEmbedding(_) | Op::StyleEmbedding { .. } | Op::GuidanceEmbedding(_) | Op::Pixels { .. }
    );
    if own || keeps_format(&node.op) || node.output == graph.output {
        return false;
    }
    let stream = matches!(node.op, Op::Gate | Op::Add(_) | Op::Concat(_));
    !stream
        && readers(graph, node.output).all(|(reader, operand)| {
            matches!(
                (&reader.op, operand),
                (Op::Linear(_) | Op::Conv2d { .. }, _) | (Op::Mul(_), 1) | (Op::GlobalAvgPool, _)
            )
        })
}

/// Operators that read a value, directly or moved, with the place among their operands.
fn readers<'g>(graph: &'g Graph, value: ValueId) -> Box<dyn Iterator<Item = (&'g Node<'g>, usize)> + 'g> {
    Box::new(graph.nodes.iter().flat_map(move |node| {
        let places = (0..3).filter(move |&i| node.inputs[i] == Some(value));
        places.flat_map(move |i| -> Box<dyn Iterator<Item = (&'g Node<'g>, usize)>> {
            if keeps_format(&node.op) { readers(graph, node.output) } else { Box::new(std::iter::once((node, i))) }
        })
    }))
}

/// Bits of a 16-bit activation such that the longest sum of products that reads it stays below `2^30`.
fn bits_that_fit(graph: &Graph, value: ValueId) -> u8 {
    let terms = readers(graph, value).map(|(node, operand)| match &node.op {
        Op::Linear(filter) | Op::Conv2d { filter, .. } if operand == 0 => filter.terms() as u64,
        _ => 1,
    });
    let terms = terms.max().unwrap_or(1);
    // With fewer than 9 bits left the runtime refuses the file.
    (9..=16).rev().find(|bits| terms << (7 + bits - 1) <= 1 << 30).unwrap_or(9)
}

/// Bits and step of all embeddings: the same, so that they add without rescaling, and such that no sum of rows leaves them.
fn embeddings(graph: &Graph) -> (u8, f64) {
    let mut reach: Vec<f64> = Vec::new();
    let mut bits = 16;
    let mut cover = |table: &[f32], width: usize| {
        reach.resize(width, 0.0);
        let mut largest = vec![0.0; width];
        for row in table.chunks_exact(width) {
            largest.iter_mut().zip(row).for_each(|(max, &x): (&mut f64, _)| *max = max.max(f64::from(x).abs()));
        }
        reach.iter_mut().zip(largest).for_each(|(sum, max)| *sum += max);
    };
    for node in &graph.nodes {
        let width = graph.values[node.output][2];
        match &node.op {
            Op::ClassEmbedding(table) | Op::GuidanceEmbedding(table) => cover(table, width),
            Op::StyleEmbedding { tables, .. } => tables.iter().for_each(|table| cover(table, width)),
            _ => continue,
        }
        bits = bits.min(bits_that_fit(graph, node.output));
    }
    (bits, positive(reach.into_iter().fold(0.0, f64::max) / f64::from((1i32 << (bits - 1)) - 1)))
}
