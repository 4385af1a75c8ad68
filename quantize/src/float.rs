//! Float programs: f32 weights, or f16 weights with f32 activations.

use driftlet_runtime::attention_scratch_len;
use driftlet_runtime::format::{DType, Precision};
use driftlet_runtime::panels::Panels;
use half::f16;

use crate::QuantizeError;
use crate::bias::correction;
use crate::graph::{Filter, Graph, Node, Op};
use crate::program::{Bytes, Program, Shared, Tensor, Tensors, Value, row, tensor};
use crate::sharing::Sharing;

/// The program of a graph in [`Precision::F32`] or [`Precision::F16`]; with the means of its values, biases are corrected.
pub fn program<'g>(
    graph: &'g Graph<'g>,
    precision: Precision,
    means: Option<&[Vec<f64>]>,
) -> Result<Program<'g>, QuantizeError> {
    let values = graph.values.iter().enumerate().map(|(i, &shape)| {
        let dtype = if graph.pixels == Some(i) { DType::U8 } else { DType::F32 };
        Value { dtype, bits: dtype.size() as u8 * 8, zero_point: 0, scale: 1.0, shape }
    });
    let mut program = Program::new(graph, precision, values.collect());
    let mut sharing = Sharing::default();
    for node in &graph.nodes {
        let tensors = tensors(graph, node, precision, means, &mut sharing, program.tensors.len())?;
        program.push(node, tensors, scratch_len(graph, node, Precision::F32));
    }
    Ok(program)
}

/// Bytes of working memory that an operator needs.
pub fn scratch_len(graph: &Graph, node: &Node, precision: Precision) -> usize {
    let Op::Attention(attention) = &node.op else { return 0 };
    let [height, width, channels] = graph.values[node.output];
    attention_scratch_len(precision, height * width, channels / attention.heads)
}

fn tensors<'g>(
    graph: &'g Graph<'g>,
    node: &'g Node<'g>,
    precision: Precision,
    means: Option<&[Vec<f64>]>,
    sharing: &mut Sharing,
    next: usize,
) -> Result<Tensors<'g>, QuantizeError> {
    let width = graph.values[node.output][2];
    let floats = |data: &[f32]| Some(row(DType::F32, data));
    let table = |name, data: &[f32]| stored(precision, name, [1, 1, data.len() / width, width], data).map(Some);
    Ok(match &node.op {
        Op::ClassEmbedding(data) => Tensors { weight: table("class", data)?, ..Tensors::default() },
        Op::GuidanceEmbedding(data) => Tensors { weight: table("guidance", data)?, ..Tensors::default() },
        Op::StyleEmbedding { tables, rows } => {
            let weight = stored(precision, "styles", [1, tables.len(), *rows, width], &tables.concat())?;
            Tensors { weight: Some(weight), ..Tensors::default() }
        }
        Op::Add(Some(data)) => Tensors { weight: table("position", data)?, ..Tensors::default() },
        Op::Linear(filter) | Op::Conv2d { filter, .. } => {
            let mut bias = filter.bias.to_vec();
            if let (Precision::F16, Some(means)) = (precision, means) {
                let weights = filter.inputs_last();
                let halves = weights.iter().map(|&w| f16::from_f32(w).to_f64()).collect::<Vec<_>>();
                let mean = |value: usize, channel: usize| means[value][channel];
                let correction = correction(graph, node, filter, (&weights, &halves), mean);
                bias.iter_mut().zip(correction).for_each(|(b, c)| *b += c as f32);
            }
            Tensors {
                weight: Some(weights(precision, filter, node.op.depthwise())?),
                bias: floats(&bias),
                ..Tensors::default()
            }
        }
        Op::Norm { epsilon, gain, shift, .. } => Tensors {
            weight: gain.as_deref().and_then(floats),
            bias: shift.as_deref().and_then(floats),
            rescale: floats(&[*epsilon]),
            ..Tensors::default()
        },
        Op::Attention(attention) => Tensors {
            weight: attention.gains.as_ref().and_then(|gains| floats(&gains[0])),
            bias: attention.gains.as_ref().and_then(|gains| floats(&gains[1])),
            rescale: floats(&[attention.epsilon]),
            shared: match &attention.rotary {
                None => Shared::None,
                // The rotary table comes behind the tensors of the operator itself.
                Some(rotary) => sharing.table(rotary, next + if attention.gains.is_some() { 3 } else { 1 }, || {
                    let half = width / attention.heads / 2;
                    let dims = [1, 2, rotary.cosines.len() / half, half];
                    tensor(DType::F32, dims, &[&rotary.cosines[..], &rotary.sines].concat())
                }),
            },
        },
        _ => Tensors::default(),
    })
}

/// Weights in the order of the file, made when they are written.
fn weights<'g>(precision: Precision, filter: &'g Filter<'g>, depthwise: bool) -> Result<Tensor<'g>, QuantizeError> {
    let dims = [filter.kernel[0], filter.kernel[1], filter.inputs, filter.outputs];
    if precision == Precision::F32 {
        let make = move || bytemuck::cast_slice(&in_order(filter, depthwise)).to_vec();
        return Ok(Tensor { dtype: DType::F32, dims, bytes: Bytes::Later(Box::new(make)) });
    }
    finite_halves(&filter.name, &filter.weight)?;
    let make = move || halves(&in_order(filter, depthwise));
    Ok(Tensor { dtype: DType::F16, dims, bytes: Bytes::Later(Box::new(make)) })
}

/// Panels; of a depthwise filter, all outputs side by side.
fn in_order(filter: &Filter, depthwise: bool) -> Vec<f32> {
    let (terms, weight) = (filter.terms(), filter.inputs_last());
    let panels = Panels { outputs: filter.outputs, terms, group: 1 };
    let mut ordered = vec![0.0; weight.len()];
    for (o, row) in weight.chunks_exact(terms).enumerate() {
        for (term, &w) in row.iter().enumerate() {
            ordered[if depthwise { term * filter.outputs + o } else { panels.at(o, term) }] = w;
        }
    }
    ordered
}

fn stored<'g>(precision: Precision, name: &str, dims: [usize; 4], data: &[f32]) -> Result<Tensor<'g>, QuantizeError> {
    if precision == Precision::F32 {
        return Ok(tensor(DType::F32, dims, data));
    }
    finite_halves(name, data)?;
    Ok(Tensor { dtype: DType::F16, dims, bytes: Bytes::Made(halves(data)) })
}

fn halves(data: &[f32]) -> Vec<u8> {
    data.iter().flat_map(|&w| f16::from_f32(w).to_le_bytes()).collect()
}

fn finite_halves(name: &str, data: &[f32]) -> Result<(), QuantizeError> {
    if data.iter().all(|&w| f16::from_f32(w).is_finite()) {
        return Ok(());
    }
    let problem = "a weight is larger than 65504, the largest half-precision number; quantize to f32";
    Err(QuantizeError::parameter(format!("{name}.weight"), problem))
}
