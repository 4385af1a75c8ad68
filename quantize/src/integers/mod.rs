//! Integer programs: 8-bit weights per output channel, 8- or 16-bit activations, 16-bit vectors and constants, and the
//! fixed-point factors between them. `docs/arithmetic.md` states the arithmetic that these numbers feed.

mod attention;
mod fixed;
pub mod formats;
mod functions;
mod layers;
pub mod rounding;

use std::sync::Arc;

use driftlet_runtime::format::{DType, NormMode, Precision, ResizeMode};
use driftlet_runtime::panels::PANEL;

use crate::QuantizeError;
use crate::balance::Balance;
use crate::calibrate::Range;
use crate::float::scratch_len;
use crate::graph::{Graph, Node, Numbers, Op};
use crate::program::{Program, Tensor, Tensors, row, tensor};
use crate::sharing::Sharing;
use fixed::{fixed_point, sixteen_bits};
use rounding::{Rounded, WeightBits};

/// What calibration and search decided about a graph.
#[derive(Clone)]
pub struct Choice<'c> {
    /// Of every value, in its balanced units.
    pub ranges: Vec<Range>,
    /// Of every channel of every value.
    pub means: &'c [Vec<f64>],
    /// Whether biases take back what rounded weights shift.
    pub corrects_bias: bool,
    /// Factors of channels.
    pub balance: Balance,
    /// Which values have 8 bits.
    pub narrow: Vec<bool>,
    /// Bits of the weights of the layer that writes a value.
    pub weights: Vec<WeightBits>,
    /// Weights of the layer that writes a value, where they are not the nearest.
    pub rounded: Vec<Option<Arc<Rounded>>>,
}

/// The integer program of a graph.
pub fn program<'g>(graph: &'g Graph<'g>, choice: &Choice) -> Result<Program<'g>, QuantizeError> {
    let values = formats::formats(graph, &choice.ranges, &choice.narrow);
    let mut program = Program::new(graph, Precision::Int8, values);
    let mut sharing = Sharing::default();
    for node in &graph.nodes {
        let tensors = match &node.op {
            Op::Linear(filter) | Op::Conv2d { filter, .. } => layers::layer(graph, &program, node, filter, choice)?,
            Op::Attention(attention) => attention::tensors(&program, node, attention, &mut sharing)?,
            _ => tensors(&program, node, &choice.balance)?,
        };
        let panel = match (&node.op, &tensors.weight, &tensors.rescale) {
            (Op::Linear(filter) | Op::Conv2d { filter, .. }, Some(weight), Some(rescale))
                if weight.dtype == DType::U8 =>
            {
                repeated(filter.outputs, rescale.dims) + PANEL.min(filter.outputs) * rounding::stored_terms(filter)
            }
            _ => 0,
        };
        program.push(node, tensors, panel + scratch_len(graph, node, Precision::Int8));
        if let (Op::Lookup(_), Some(op)) = (&node.op, program.ops.last_mut()) {
            op.count = functions::extra_bits(&program.values[node.output]);
        }
    }
    Ok(program)
}

/// Bytes for the scales of all outputs where the file has one row for them, of these dimensions.
pub fn repeated(outputs: usize, [_, _, rows, fields]: [usize; 4]) -> usize {
    if rows < outputs { 4 * outputs * fields } else { 0 }
}

fn tensors<'g>(program: &Program, node: &Node, balance: &Balance) -> Result<Tensors<'g>, QuantizeError> {
    let output = &program.values[node.output];
    let operand = |i: usize| node.inputs[i].map(|v| &program.values[v]);
    let scale = |i: usize| operand(i).map_or(1.0, |v| f64::from(v.scale));
    let (out, width) = (f64::from(output.scale), output.shape[2]);
    let table = |numbers: &[f32]| {
        let steps: Vec<i16> = numbers.iter().map(|&x| (f64::from(x) / out).round() as i16).collect();
        Some(tensor(DType::I16, [1, 1, numbers.len() / width, width], &steps))
    };
    Ok(match &node.op {
        Op::ClassEmbedding(numbers) | Op::GuidanceEmbedding(numbers) => {
            Tensors { weight: table(numbers), ..Tensors::default() }
        }
        Op::StyleEmbedding { tables, rows } => {
            let weight = table(&tables.concat()).map(|t| Tensor { dims: [1, tables.len(), *rows, width], ..t });
            Tensors { weight, ..Tensors::default() }
        }
        Op::Lookup(function) => {
            let input = operand(0).ok_or_else(|| missing(node))?;
            let table = functions::table(*function, input, out, functions::extra_bits(output));
            Tensors { weight: Some(row(DType::I16, &table)), ..Tensors::default() }
        }
        Op::Mul(function) => {
            let input = operand(0).ok_or_else(|| missing(node))?;
            let factor = fixed::positive(functions::reach(*function, input) / 32767.0);
            let table = functions::table(*function, input, factor, 0);
            let rescale = scales(node, [factor * scale(1) / out])?;
            Tensors { weight: Some(row(DType::I16, &table)), rescale, ..Tensors::default() }
        }
        Op::Gate => {
            Tensors { rescale: scales(node, [scale(0) * scale(2) / out, scale(1) / out])?, ..Tensors::default() }
        }
        Op::Add(constant) => {
            let (weight, second) = match constant {
                None => (None, scale(1)),
                Some(numbers) => {
                    let (steps, scale) = sixteen_bits(numbers);
                    (Some(tensor(DType::I16, [1, 1, numbers.len() / width, width], &steps)), scale)
                }
            };
            Tensors { weight, rescale: scales(node, [scale(0) / out, second / out])?, ..Tensors::default() }
        }
        Op::Concat(_) => Tensors { rescale: scales(node, [scale(0) / out, scale(1) / out])?, ..Tensors::default() },
        Op::GlobalAvgPool => {
            let input = operand(0).ok_or_else(|| missing(node))?;
            let positions = (input.shape[0] * input.shape[1]) as f64;
            Tensors { rescale: scales(node, [scale(0) / out / positions])?, ..Tensors::default() }
        }
        Op::Norm { mode, groups, epsilon, gain, shift } => {
            let input = operand(0).ok_or_else(|| missing(node))?;
            let vector = |numbers: &Option<Numbers>, i: usize| match numbers {
                None => (None, scale(i)),
                Some(numbers) => {
                    let (steps, scale) = sixteen_bits(&balance.divide(node.output, numbers));
                    (Some(row(DType::I16, &steps)), scale)
                }
            };
            let ((weight, gain), (bias, shift)) = (vector(gain, 1), vector(shift, 2));
            let [height, width, channels] = input.shape;
            let count = match mode {
                NormMode::Rms | NormMode::Layer => channels,
                NormMode::Group => height * width * channels / groups,
            };
            // The normalized number has 14 bits behind the point.
            let factors = fixed_point([gain / out / 16384.0, shift / out], [17, 31]);
            let ([gain, shift], bits) = factors.ok_or_else(|| extreme(node))?;
            let epsilon = (count as f64 * f64::from(*epsilon) / f64::from(input.scale).powi(2)).round() as i64;
            let numbers = [gain, bits, shift, epsilon as i32, (epsilon >> 32) as i32];
            Tensors { weight, bias, rescale: Some(row(DType::I32, &numbers)), ..Tensors::default() }
        }
        Op::Pixels { tanh } => {
            let table = pixel_table(scale(0), *tanh);
            Tensors { weight: Some(row(DType::I16, &table)), ..Tensors::default() }
        }
        Op::Input => return Err(QuantizeError::Unsupported("classifier in int8")),
        Op::Pool { .. } => return Err(QuantizeError::NotInIntegers("pools")),
        Op::Resize(ResizeMode::Stretch) => return Err(QuantizeError::NotInIntegers("resizing to any size")),
        Op::Noise
        | Op::Linear(_)
        | Op::Conv2d { .. }
        | Op::Attention(_)
        | Op::Slice { .. }
        | Op::Resize(_)
        | Op::SpaceToDepth { .. }
        | Op::DepthToSpace { .. } => Tensors::default(),
    })
}

/// `[multiplier, shift, further multipliers]`, 31 bits each.
fn scales<'g, const N: usize>(node: &Node, factors: [f64; N]) -> Result<Option<Tensor<'g>>, QuantizeError> {
    let (multipliers, shift) = fixed_point(factors, [31; N]).ok_or_else(|| extreme(node))?;
    let mut numbers = multipliers.to_vec();
    numbers.insert(1, shift);
    Ok(Some(row(DType::I32, &numbers)))
}

fn extreme(node: &Node) -> QuantizeError {
    QuantizeError::parameter(
        format!("activation {}", node.output),
        "its range is too far from its neighbours' for integers; quantize to f16 or f32",
    )
}

fn missing(node: &Node) -> QuantizeError {
    QuantizeError::Defect(format!("the operator that writes value {} has no operand", node.output))
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
    fn the_pixel_table_meets_the_pixel_rule() {
        let table = pixel_table(4.0 / 32767.0, true);
        assert_eq!((table[0], table[128], table[256]), (11, 16320, 32629));
    }
}
