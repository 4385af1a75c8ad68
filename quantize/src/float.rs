//! Float programs: f32 weights, or f16 weights with f32 activations.

use driftlet_runtime::format::{DType, Precision};
use half::f16;

use crate::QuantizeError;
use crate::bias::correction;
use crate::graph::{Filter, Graph, Op};
use crate::program::{Program, Tensor, Value, tensor};

/// The program of a graph in [`Precision::F32`] or [`Precision::F16`]; with the means of its values, biases are corrected.
pub fn program(graph: &Graph, precision: Precision, means: Option<&[Vec<f64>]>) -> Result<Program, QuantizeError> {
    let values = graph.values.iter().enumerate().map(|(i, &shape)| {
        let dtype = if graph.pixels == Some(i) { DType::U8 } else { DType::F32 };
        Value { dtype, bits: dtype.size() as u8 * 8, zero_point: 0, scale: 1.0, shape }
    });
    let mut program = Program::new(graph, precision, values.collect());
    for node in &graph.nodes {
        let width = graph.values[node.output][2];
        let tensors = match &node.op {
            Op::Noise | Op::Input | Op::GlobalAvgPool | Op::Pixels { .. } => [None, None, None],
            Op::ClassEmbedding(table) => {
                [Some(stored(precision, "class", [1, 1, table.len() / width, width], table)?), None, None]
            }
            Op::GuidanceEmbedding(table) => {
                [Some(stored(precision, "guidance", [1, 1, table.len() / width, width], table)?), None, None]
            }
            Op::Linear(filter) | Op::Conv2d { filter, .. } => {
                let dims = [filter.kernel, filter.kernel, filter.inputs, filter.outputs];
                let weight = stored(precision, &filter.name, dims, &outputs_last(filter))?;
                let mut bias = filter.bias.clone();
                if let (Precision::F16, Some(means)) = (precision, means) {
                    let halves: Vec<f64> = filter.weight.iter().map(|&w| f16::from_f32(w).to_f64()).collect();
                    let correction = correction(graph, node, filter, &halves, means);
                    bias.iter_mut().zip(correction).for_each(|(b, c)| *b += c as f32);
                }
                [Some(weight), Some(tensor(DType::F32, [1, 1, 1, filter.outputs], &bias)), None]
            }
        };
        program.push(node, tensors);
    }
    Ok(program)
}

/// Weights with the output channel fastest, as float kernels read them.
fn outputs_last(filter: &Filter) -> Vec<f32> {
    let terms = filter.terms();
    let by_term = |term| (0..filter.outputs).map(move |o| filter.weight[o * terms + term]);
    (0..terms).flat_map(by_term).collect()
}

fn stored(precision: Precision, name: &str, dims: [usize; 4], data: &[f32]) -> Result<Tensor, QuantizeError> {
    if precision == Precision::F32 {
        return Ok(tensor(DType::F32, dims, data));
    }
    let halves: Vec<u16> = data.iter().map(|&w| f16::from_f32(w).to_bits()).collect();
    if halves.iter().any(|&bits| !f16::from_bits(bits).is_finite()) {
        let problem = "a weight is larger than 65504, the largest half-precision number; quantize to f32";
        return Err(QuantizeError::parameter(format!("{name}.weight"), problem));
    }
    Ok(tensor(DType::F16, dims, &halves))
}
