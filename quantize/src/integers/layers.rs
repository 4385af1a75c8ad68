//! Linear layers and convolutions in integers.

use std::borrow::Cow;

use driftlet_runtime::format::DType;
use driftlet_runtime::panels::QUAD;

use super::Choice;
use super::fixed::fixed_point;
use super::rounding::{Grid, in_panels, nibbles};
use crate::QuantizeError;
use crate::bias::correction;
use crate::graph::{Filter, Graph, Node};
use crate::program::{Bytes, Program, Shared, Tensor, Tensors, row, tensor};

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
    let rounded = choice.rounded[node.output].clone();
    let grid = match &rounded {
        Some(rounded) => rounded.grid.clone(),
        None => Grid::new(choice.weights[node.output], filter, &weights, &bias, input_scale),
    };
    let integers = match &rounded {
        Some(rounded) => &rounded.integers,
        None => &grid.nearest(filter, &weights),
    };
    // What kernels multiply with.
    let steps: Vec<i8> =
        integers.iter().enumerate().map(|(i, &integer)| integer * grid.multiplier(filter, i)).collect();
    let rows = || steps.chunks_exact(filter.terms()).zip(&grid.scales);
    let stored = rows().flat_map(|(row, scale)| row.iter().map(move |&w| f64::from(w) * scale));
    let mean = |value: usize, channel: usize| choice.means[value][channel] / choice.balance.factor(value, channel);
    let biases: Vec<f64> = match rounded.as_ref().and_then(|rounded| rounded.bias.clone()) {
        Some(bias) => bias,
        None if !choice.corrects_bias => bias.iter().map(|&bias| bias.into()).collect(),
        None => {
            let correction = correction(graph, node, filter, (&weights, &stored.collect::<Vec<f64>>()), mean);
            bias.iter().zip(correction).map(|(&bias, correction)| f64::from(bias) + correction).collect()
        }
    };
    drop(weights);

    let (mut folded, mut factors) = (Vec::new(), Vec::<i32>::new());
    for (o, ((row, scale), bias)) in rows().zip(biases).enumerate() {
        let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
        let bias = (bias / (scale * input_scale)).round() as i64 - sum * i64::from(input_zero);
        folded.push(i32::try_from(bias).map_err(|_| too_extreme(filter))?);
        let pair = [scale * input_scale / output, residual.unwrap_or(0.0) * turned(o)];
        let ([multiplier, of_residual], shift) = fixed_point(pair, [31; 2]).ok_or_else(|| too_extreme(filter))?;
        factors.extend([multiplier, shift]);
        factors.extend(residual.map(|_| of_residual));
    }
    let depthwise = node.op.depthwise();
    let four = !grid.multipliers.is_empty();
    let fields = factors.len() / filter.outputs;
    // One row is enough for equal ones.
    if grid.one_scale() && factors.chunks_exact(fields).all(|row| row == &factors[..fields]) {
        factors.truncate(fields);
    }
    let rows_of_factors = factors.len() / fields;
    let inputs = if depthwise { filter.inputs } else { filter.inputs.next_multiple_of(QUAD) };
    let (dtype, inputs) = if four { (DType::U8, inputs / 2) } else { (DType::I8, inputs) };
    let dims = [filter.outputs, filter.kernel[0], filter.kernel[1], inputs];
    let multipliers = grid.packed();
    let shared = if four { Shared::New(row(DType::U8, &multipliers)) } else { Shared::None };
    Ok(Tensors {
        // Made again when they are written: those of all layers may not fit in memory.
        weight: Some(Tensor {
            dtype,
            dims,
            bytes: Bytes::Later(Box::new(move || {
                let integers = match &rounded {
                    Some(rounded) => Cow::Borrowed(&rounded.integers),
                    None => Cow::Owned(grid.nearest(filter, &balance.weights(graph, node, filter))),
                };
                match (depthwise, four) {
                    (true, _) => bytemuck::cast_slice(&integers).to_vec(),
                    (_, false) => bytemuck::cast_slice(&in_panels(filter, &integers)).to_vec(),
                    (_, true) => nibbles(&in_panels(filter, &integers)),
                }
            })),
        }),
        shared,
        bias: Some(tensor(DType::I32, [1, 1, 1, filter.outputs], &folded)),
        rescale: Some(tensor(DType::I32, [1, 1, rows_of_factors, fields], &factors)),
    })
}

fn too_extreme(filter: &Filter) -> QuantizeError {
    QuantizeError::parameter(&filter.name, "weights too extreme for 8-bit integers; quantize to f16 or f32")
}
