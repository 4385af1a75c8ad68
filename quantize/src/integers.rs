//! Integer programs: 8-bit weights per output channel, 8- or 16-bit activations, 16-bit embeddings and raw pictures, and the
//! fixed-point factors between them. `docs/arithmetic.md` states the arithmetic that these numbers feed.

use driftlet_runtime::format::{DType, Precision};
use driftlet_runtime::noise::STEPS_PER_SIGMA;

use crate::bias::correction;
use crate::calibrate::Range;
use crate::graph::{Filter, Graph, Node, Op, ValueId};
use crate::program::{Program, Tensor, Value, tensor};
use crate::{Activations, QuantizeError};

/// Largest bias in integers: half of what the runtime admits, so that folding the input's zero point in cannot exceed it.
const MAX_BIAS: f64 = (1 << 29) as f64;
/// 16-bit activations have bits to spare for what calibration did not see.
const HEADROOM: f64 = 1.25;
/// `tanh` of 4 rounds to the same pixel as `tanh` of infinity: raw pictures need no wider range.
const TANH_RANGE: f64 = 4.0;

/// The integer program of a graph with calibrated ranges and means.
pub fn program(
    graph: &Graph,
    ranges: &[Range],
    means: &[Vec<f64>],
    activations: Activations,
) -> Result<Program, QuantizeError> {
    let values = values(graph, ranges, activations)?;
    let mut program = Program::new(graph, Precision::Int8, values);
    for node in &graph.nodes {
        let output = program.values[node.output];
        let width = output.shape[2];
        let tensors = match &node.op {
            Op::ClassEmbedding(table) | Op::GuidanceEmbedding(table) => {
                let steps: Vec<i16> =
                    table.iter().map(|&x| (f64::from(x) / f64::from(output.scale)).round() as i16).collect();
                [Some(tensor(DType::I16, [1, 1, table.len() / width, width], &steps)), None, None]
            }
            Op::Linear(filter) | Op::Conv2d { filter, .. } => layer(graph, &program, node, filter, means)?.map(Some),
            Op::Pixels { tanh } => {
                let input = node.input.map_or(1.0, |v| f64::from(program.values[v].scale));
                let table = pixel_table(input, *tanh);
                [Some(tensor(DType::I16, [1, 1, 1, table.len()], &table)), None, None]
            }
            Op::Noise | Op::Input | Op::GlobalAvgPool => [None, None, None],
        };
        program.push(node, tensors);
    }
    Ok(program)
}

/// Chooses the integers that stand for each value.
fn values(graph: &Graph, ranges: &[Range], activations: Activations) -> Result<Vec<Value>, QuantizeError> {
    let embedding_scale = embedding_scale(graph);
    let tanh = graph.nodes.iter().any(|n| matches!(n.op, Op::Pixels { tanh: true }));
    let mut values = Vec::with_capacity(graph.values.len());
    for node in &graph.nodes {
        let (range, shape) = (ranges[node.output], graph.values[node.output]);
        let (dtype, bits, scale, zero_point) = match node.op {
            Op::Noise => (DType::I8, 8, 1.0 / f64::from(STEPS_PER_SIGMA), 0),
            Op::ClassEmbedding(_) | Op::GuidanceEmbedding(_) => (DType::I16, 16, embedding_scale, 0),
            Op::Pixels { .. } => (DType::U8, 8, 1.0, 0),
            Op::Linear(_) | Op::Conv2d { .. } if node.output == graph.output => {
                let reach = if tanh { range.peak.min(TANH_RANGE) } else { range.peak };
                (DType::I16, 16, positive(reach / 32767.0), 0)
            }
            Op::Linear(_) | Op::Conv2d { .. } if activations == Activations::Sixteen => {
                let bits = bits_that_fit(graph, node.output);
                let largest = f64::from((1i32 << (bits - 1)) - 1);
                (DType::I16, bits, positive(HEADROOM * range.peak / largest), 0)
            }
            Op::Linear(_) | Op::Conv2d { .. } => {
                let scale = positive((range.high - range.low) / 255.0);
                (DType::I8, 8, scale, (-128.0 - range.low / scale).round() as i16)
            }
            Op::Input | Op::GlobalAvgPool => return Err(QuantizeError::Unsupported("classifier in int8")),
        };
        values.push(Value { dtype, bits, zero_point, scale: scale as f32, shape });
    }
    Ok(values)
}

/// Bits of a 16-bit activation such that the longest sum of products that reads it stays below `2^30`.
fn bits_that_fit(graph: &Graph, value: ValueId) -> u8 {
    let terms = graph.nodes.iter().filter(|node| node.input == Some(value)).map(|node| match &node.op {
        Op::Linear(filter) | Op::Conv2d { filter, .. } => filter.terms() as u64,
        _ => 1,
    });
    let terms = terms.max().unwrap_or(1);
    // With fewer than 9 bits left the runtime refuses the file.
    (9..=16).rev().find(|bits| terms << (7 + bits - 1) <= 1 << 30).unwrap_or(9)
}

/// One step for all embeddings, so that they add without rescaling, and no sum of rows leaves 16 bits.
fn embedding_scale(graph: &Graph) -> f64 {
    let tables = graph.nodes.iter().filter_map(|node| match &node.op {
        Op::ClassEmbedding(table) | Op::GuidanceEmbedding(table) => Some(table),
        _ => None,
    });
    let reach: f64 = tables.map(|t| t.iter().fold(0.0, |max: f64, &x| max.max(f64::from(x).abs()))).sum();
    positive(reach / 32767.0)
}

/// A scale may not be zero, nor vanish in single precision; where all numbers are zero any step will do.
fn positive(scale: f64) -> f64 {
    if scale > 1e-30 { scale } else { 1.0 }
}

/// Weights, biases and fixed-point factors of a linear layer or convolution.
fn layer(
    graph: &Graph,
    program: &Program,
    node: &Node,
    filter: &Filter,
    means: &[Vec<f64>],
) -> Result<[Tensor; 3], QuantizeError> {
    let value = |id: Option<usize>| id.map(|v| program.values[v]);
    let output = f64::from(program.values[node.output].scale);
    let (input_scale, input_zero) = value(node.input).map_or((1.0, 0), |v| (f64::from(v.scale), v.zero_point));
    let residual = value(node.residual).map_or(0.0, |v| f64::from(v.scale) / output);
    let fields = if node.residual.is_some() { 3 } else { 2 };

    let rows = || filter.weight.chunks_exact(filter.terms());
    let scale = |(row, &bias): (&[f32], &f32)| {
        let reach = row.iter().fold(0.0, |max: f64, &w| max.max(f64::from(w).abs()));
        // A channel with hardly any weight would turn its bias into a huge integer.
        positive((reach / 127.0).max(f64::from(bias).abs() / (input_scale * MAX_BIAS)))
    };
    let scales: Vec<f64> = rows().zip(&filter.bias).map(scale).collect();
    let quantize =
        |(row, scale): (&[f32], f64)| row.iter().map(move |&w| (f64::from(w) / scale).round() as i8).collect();
    let weights: Vec<Vec<i8>> = rows().zip(scales.iter().copied()).map(quantize).collect();
    let stored = weights.iter().zip(&scales).flat_map(|(row, scale)| row.iter().map(move |&w| f64::from(w) * scale));
    let correction = correction(graph, node, filter, &stored.collect::<Vec<f64>>(), means);

    let (mut biases, mut factors) = (Vec::new(), Vec::<i32>::new());
    for (((row, scale), &bias), correction) in weights.iter().zip(&scales).zip(&filter.bias).zip(correction) {
        let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
        let bias =
            ((f64::from(bias) + correction) / (scale * input_scale)).round() as i64 - sum * i64::from(input_zero);
        biases.push(i32::try_from(bias).map_err(|_| too_extreme(filter))?);
        let fixed = fixed_point(scale * input_scale / output, residual).ok_or_else(|| too_extreme(filter))?;
        factors.extend(&fixed[..fields]);
    }
    let dims = [filter.outputs, filter.kernel, filter.kernel, filter.inputs];
    Ok([
        tensor(DType::I8, dims, &weights.concat()),
        tensor(DType::I32, [1, 1, 1, filter.outputs], &biases),
        tensor(DType::I32, [1, 1, filter.outputs, fields], &factors),
    ])
}

fn too_extreme(filter: &Filter) -> QuantizeError {
    QuantizeError::parameter(&filter.name, "weights too extreme for 8-bit integers; quantize to f16 or f32")
}

/// Factors of the sum and of the residual as `[multiplier, shift, residual multiplier]`, with as many bits as fit.
fn fixed_point(sum: f64, residual: f64) -> Option<[i32; 3]> {
    let largest = sum.max(residual);
    if !largest.is_finite() {
        return None;
    }
    // The largest factor becomes a number in 2^30..2^31.
    let mut shift = (30 - largest.max(f64::MIN_POSITIVE).log2().floor() as i32).clamp(i32::MIN, 62);
    let scaled = |factor: f64, shift: i32| (factor * 2f64.powi(shift)).round();
    if scaled(largest, shift) > f64::from(i32::MAX) {
        shift -= 1;
    }
    (shift >= 1).then(|| [scaled(sum, shift) as i32, shift, scaled(residual, shift) as i32])
}

/// Pixels in 1/128 for every 256th raw 16-bit value of a scale.
fn pixel_table(scale: f64, tanh: bool) -> Vec<i16> {
    let entry = |i: i32| {
        let y = f64::from(i * 256 - 32768) * scale;
        let y = if tanh { y.tanh() } else { y.clamp(-1.0, 1.0) };
        ((y + 1.0) * 127.5 * 128.0).round() as i16
    };
    (0..=256).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_keep_thirty_bits() {
        for (sum, residual) in [(0.5, 0.0), (1.0, 0.3), (1e-9, 1e-12), (0.999_999_999_99, 0.0), (1e6, 2.0)] {
            let [m, shift, r] = fixed_point(sum, residual).expect("in range");
            let back = |m: i32| f64::from(m) * 2f64.powi(-shift);
            assert!((back(m) - sum).abs() <= sum * 1e-9, "{sum} became {}", back(m));
            assert!((back(r) - residual).abs() <= 2f64.powi(-shift), "{residual} became {}", back(r));
        }
        assert_eq!(fixed_point(1e10, 0.0), None);
        assert_eq!(fixed_point(0.0, 0.0), Some([0, 62, 0]));
        assert_eq!(fixed_point(f64::NAN, f64::INFINITY), None);
    }

    #[test]
    fn the_pixel_table_meets_the_pixel_rule() {
        let table = pixel_table(4.0 / 32767.0, true);
        assert_eq!((table[0], table[128], table[256]), (11, 16320, 32629));
    }
}
