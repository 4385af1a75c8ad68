//! Functions of one number as tables of integers.

use driftlet_runtime::format::{DType, Function};

use crate::program::Value;

/// The function of every 8-bit number, or of 257 evenly spaced 16-bit ones, in `2^-extra` of steps of `scale`.
pub fn table(function: Function, input: &Value, scale: f64, extra: u32) -> Vec<i16> {
    // Casts saturate.
    let entry = |raw: f64| (apply(function, real(input, raw)) / scale * f64::from(1 << extra)).round() as i16;
    raw_inputs(input).into_iter().map(entry).collect()
}

/// Most bits behind the point that leave a table's entries 16 bits.
pub fn extra_bits(output: &Value) -> u32 {
    if output.dtype == DType::I8 { 7 } else { 0 }
}

/// Largest magnitude of a function over what an input can be.
pub fn reach(function: Function, input: &Value) -> f64 {
    raw_inputs(input).into_iter().map(|raw| apply(function, real(input, raw)).abs()).fold(0.0, f64::max)
}

/// The integers whose results a table holds.
fn raw_inputs(input: &Value) -> Vec<f64> {
    if input.dtype == DType::I8 {
        return (-128..128).map(f64::from).collect();
    }
    let half = 2f64.powi(i32::from(input.bits) - 1);
    (0..=256).map(|knot| (f64::from(knot) / 128.0 - 1.0) * half).collect()
}

fn real(input: &Value, raw: f64) -> f64 {
    f64::from(input.scale) * (raw - f64::from(input.zero_point))
}

fn apply(function: Function, x: f64) -> f64 {
    match function {
        Function::Identity => x,
        Function::Relu => x.max(0.0),
        Function::Tanh => x.tanh(),
        Function::Silu => x / (1.0 + (-x).exp()),
        Function::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Function::GeluTanh => {
            0.5 * x * (1.0 + (std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
        Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
    }
}
