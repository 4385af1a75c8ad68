//! Attention in integers: `docs/arithmetic.md` has the formats that these factors lead from and to.

use std::f64::consts::{LOG2_E, SQRT_2};

use driftlet_runtime::format::DType;

use super::fixed::{fixed_point, positive, sixteen_bits};
use super::{extreme, missing};
use crate::QuantizeError;
use crate::graph::{Attention, Node, Rotary};
use crate::program::{Program, Shared, Tensor, Tensors, Value, row, tensor};
use crate::sharing::Sharing;

/// Bits behind the point of a normalized number, and of a cosine.
const POINT: f64 = 16384.0;
/// Largest shift of the output's factor.
const OUTPUT_SHIFT: i32 = 47;

/// How queries or keys become 16-bit integers.
struct Projection {
    gain: Option<Vec<i16>>,
    /// Multiplier, shift and the two halves of epsilon.
    numbers: [i32; 4],
    /// Real value of one step of the result.
    scale: f64,
}

/// Gains, factors, and the rotary table.
pub fn tensors<'g>(
    program: &Program,
    node: &Node,
    attention: &Attention,
    sharing: &mut Sharing,
) -> Result<Tensors<'g>, QuantizeError> {
    let value = |i: usize| node.inputs[i].map(|v| &program.values[v]).ok_or_else(|| missing(node));
    let output = &program.values[node.output];
    let head = output.shape[2] / attention.heads;
    let gain = |i: usize| attention.gains.as_ref().map(|gains| &gains[i][..]);
    let project = |i: usize| projection(node, value(i)?, gain(i), attention, head);
    let (query, key) = (project(0)?, project(1)?);

    // Powers of two of score differences, in 2^-16.
    let softmax = query.scale * key.scale / (head as f64).sqrt() * LOG2_E * 65536.0;
    let ([softmax], softmax_shift) = fixed_point([softmax], [20]).ok_or_else(|| extreme(node))?;
    let ratio = f64::from(value(2)?.scale) / f64::from(output.scale);
    let ([ratio], ratio_shift) = fixed_point([ratio], [31]).ok_or_else(|| extreme(node))?;
    let dropped = (ratio_shift - OUTPUT_SHIFT).max(0);
    let factors = [softmax, softmax_shift, ratio >> dropped, ratio_shift - dropped];

    let numbers = [&query.numbers[..], &key.numbers, &factors].concat();
    let gains = if query.gain.is_some() { 2 } else { 0 };
    let shared = match &attention.rotary {
        None => Shared::None,
        // Behind the gains and the factors.
        Some(table) => sharing.table(table, program.tensors.len() + gains + 1, || rotary(table, head)),
    };
    let gains = |gain: Option<Vec<i16>>| gain.map(|gain| row(DType::I16, &gain));
    Ok(Tensors { weight: gains(query.gain), bias: gains(key.gain), rescale: Some(row(DType::I32, &numbers)), shared })
}

/// Normalized numbers are at most the root of their count, and a rotation makes the larger of two at most their length:
/// such a step never saturates. Without normalization calibration says how large numbers are.
fn projection(
    node: &Node,
    value: &Value,
    gain: Option<&[f32]>,
    attention: &Attention,
    head: usize,
) -> Result<Projection, QuantizeError> {
    let turned = if attention.rotary.is_some() { SQRT_2 } else { 1.0 };
    let step = f64::from(value.scale);
    let Some(gain) = gain else {
        // What the stored integers can reach.
        let reach = f64::from(1i32 << (value.bits - 1)) + f64::from(value.zero_point).abs();
        let scale = positive(reach * step * turned / 32767.0);
        let ([multiplier], shift) = fixed_point([step / scale], [31]).ok_or_else(|| extreme(node))?;
        return Ok(Projection { gain: None, numbers: [multiplier, shift, 0, 0], scale });
    };
    let largest = gain.iter().fold(0f64, |max, &g| max.max(f64::from(g).abs()));
    let scale = positive((head as f64).sqrt() * largest * turned / 32767.0);
    let (gain, gain_step) = sixteen_bits(gain);
    let ([multiplier], shift) = fixed_point([gain_step / POINT / scale], [26]).ok_or_else(|| extreme(node))?;
    let epsilon = (head as f64 * f64::from(attention.epsilon) / (step * step)).round() as i64;
    Ok(Projection { gain: Some(gain), numbers: [multiplier, shift, epsilon as i32, (epsilon >> 32) as i32], scale })
}

/// Cosines and sines in 2^-14.
fn rotary<'g>(table: &Rotary, head: usize) -> Tensor<'g> {
    let numbers = table.cosines.iter().chain(&table.sines);
    let steps: Vec<i16> = numbers.map(|&x| (f64::from(x) * POINT).round() as i16).collect();
    tensor(DType::I16, [1, 2, table.cosines.len() / (head / 2), head / 2], &steps)
}
