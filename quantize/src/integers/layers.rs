//! Linear layers and convolutions in integers.

use driftlet_runtime::format::DType;
use driftlet_runtime::panels::{Panels, QUAD};

use super::Choice;
use super::fixed::{fixed_point, positive};
use crate::QuantizeError;
use crate::bias::correction;
use crate::graph::{Filter, Graph, Node};
use crate::program::{Bytes, Program, Tensor, Tensors, tensor};

/// Largest bias in integers: half of what the runtime admits, so that folding the input's zero point in cannot exceed it.
const MAX_BIAS: f64 = (1 << 29) as f64;

/// Weights, biases and fixed-point factors.
pub fn layer<'g>(
    graph: &'g Graph<'g>,
    program: &Program,
    node: &'g Node<'g>,
    filter: &'g Filter<'g>,
    choice: &Choice,
) -> Result<Tensors<'g>, QuantizeError> {
    let value = |id: Option<usize>| id.map(|v| program.values[v]);
    let output = f64::from(program.values[node.output].scale);
    let (input_scale, input_zero) = value(node.inputs[0]).map_or((1.0, 0), |v| (f64::from(v.scale), v.zero_point));
    let residual = value(node.inputs[1]).map(|v| f64::from(v.scale) / output);
    let balance = choice.balance.clone();
    let channels = graph.values[node.output][2];
    // Of a residual, from its own balanced units to those of the output.
    let turned = |o: usize| {
        let factor = |value| choice.balance.factor(value, o % channels);
        node.inputs[1].map_or(0.0, |v| factor(v) / factor(node.output))
    };

    let weights = balance.weights(graph, node, filter);
    let bias = balance.divide(node.output, &filter.bias);
    let scales = channel_scales(filter, &weights, &bias, input_scale);
    let steps = quantized(filter, &weights, &scales);
    let rows = || steps.chunks_exact(filter.terms()).zip(&scales);
    let stored = rows().flat_map(|(row, scale)| row.iter().map(move |&w| f64::from(w) * scale));
    let mean = |value: usize, channel: usize| choice.means[value][channel] / choice.balance.factor(value, channel);
    let correction = correction(graph, node, filter, (&weights, &stored.collect::<Vec<f64>>()), mean);
    drop(weights);

    let (mut biases, mut factors) = (Vec::new(), Vec::<i32>::new());
    for (o, (((row, scale), &bias), correction)) in rows().zip(bias.iter()).zip(correction).enumerate() {
        let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
        let bias =
            ((f64::from(bias) + correction) / (scale * input_scale)).round() as i64 - sum * i64::from(input_zero);
        biases.push(i32::try_from(bias).map_err(|_| too_extreme(filter))?);
        let pair = [scale * input_scale / output, residual.unwrap_or(0.0) * turned(o)];
        let ([multiplier, of_residual], shift) = fixed_point(pair, [31; 2]).ok_or_else(|| too_extreme(filter))?;
        factors.extend([multiplier, shift]);
        factors.extend(residual.map(|_| of_residual));
    }
    let depthwise = node.op.depthwise();
    let inputs = if depthwise { filter.inputs } else { filter.inputs.next_multiple_of(QUAD) };
    let dims = [filter.outputs, filter.kernel[0], filter.kernel[1], inputs];
    let fields = factors.len() / filter.outputs;
    Ok(Tensors {
        // Made again when they are written: those of all layers may not fit in memory.
        weight: Some(Tensor {
            dtype: DType::I8,
            dims,
            bytes: Bytes::Later(Box::new(move || {
                let weights = quantized(filter, &balance.weights(graph, node, filter), &scales);
                let stored = if depthwise { weights } else { in_panels(filter, &weights) };
                bytemuck::cast_slice(&stored).to_vec()
            })),
        }),
        bias: Some(tensor(DType::I32, [1, 1, 1, filter.outputs], &biases)),
        rescale: Some(tensor(DType::I32, [1, 1, filter.outputs, fields], &factors)),
        ..Tensors::default()
    })
}

/// Step of each output channel's weights: the largest becomes 127.
fn channel_scales(filter: &Filter, weights: &[f32], bias: &[f32], input_scale: f64) -> Vec<f64> {
    let scale = |(row, &bias): (&[f32], &f32)| {
        let reach = row.iter().fold(0.0, |max: f64, &w| max.max(f64::from(w).abs()));
        // A channel with hardly any weight would turn its bias into a huge integer.
        positive((reach / 127.0).max(f64::from(bias).abs() / (input_scale * MAX_BIAS)))
    };
    weights.chunks_exact(filter.terms()).zip(bias).map(scale).collect()
}

/// Weights in steps of their channels.
fn quantized(filter: &Filter, weights: &[f32], scales: &[f64]) -> Vec<i8> {
    let rows = weights.chunks_exact(filter.terms()).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |&w| (f64::from(w) / scale).round() as i8)).collect()
}

/// Weights `[outputs, kernel, kernel, inputs]` in the order of the file.
fn in_panels(filter: &Filter, weights: &[i8]) -> Vec<i8> {
    let (taps, inputs) = (filter.taps(), filter.inputs.next_multiple_of(QUAD));
    let panels = Panels { outputs: filter.outputs, terms: taps * inputs, group: QUAD };
    let mut stored = vec![0; panels.outputs * panels.terms];
    for (o, row) in weights.chunks_exact(filter.terms()).enumerate() {
        for (tap, weights) in row.chunks_exact(filter.inputs).enumerate() {
            for (quad, weights) in weights.chunks(QUAD).enumerate() {
                let at = panels.at(o, tap * inputs + quad * QUAD);
                stored[at..at + weights.len()].copy_from_slice(weights);
            }
        }
    }
    stored
}

fn too_extreme(filter: &Filter) -> QuantizeError {
    QuantizeError::parameter(&filter.name, "weights too extreme for 8-bit integers; quantize to f16 or f32")
}
