//! Functions of one number.

use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// What an activation or a lookup computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Identity,
    Relu,
    /// `x / (1 + e^-x)`.
    Silu,
    /// `x (1 + erf(x / sqrt 2)) / 2`.
    Gelu,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
    GeluTanh,
    Tanh,
    Sigmoid,
}

impl Function {
    /// The function of `x`, by `libm`.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Function::Identity => x,
            Function::Relu => x.max(0.0),
            Function::Silu => x / (1.0 + libm::expf(-x)),
            Function::Gelu => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
            Function::GeluTanh => {
                let inner = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * (x + 0.044715 * (x * x * x));
                0.5 * x * (1.0 + libm::tanhf(inner))
            }
            Function::Tanh => libm::tanhf(x),
            Function::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
        }
    }
}
