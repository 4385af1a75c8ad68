//! Functions of one number.

use crate::format::Function;
use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_follow_their_definitions() {
        use Function::*;
        for i in -2000..=2000 {
            let x = i as f32 / 100.0;
            let wide = f64::from(x);
            let sigmoid = 1.0 / (1.0 + (-wide).exp());
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            for (function, expected) in [
                (Identity, wide),
                (Relu, wide.max(0.0)),
                (Silu, wide * sigmoid),
                (Gelu, 0.5 * wide * (1.0 + libm::erf(wide / 2f64.sqrt()))),
                (GeluTanh, 0.5 * wide * (1.0 + inner.tanh())),
                (Tanh, wide.tanh()),
                (Sigmoid, sigmoid),
            ] {
                let error = (f64::from(function.apply(x)) - expected).abs();
                // The sum 1 + erf or 1 + tanh keeps few digits of what is nearly nothing.
                assert!(error <= 4e-7 * wide.abs().max(1.0), "{function:?} of {x}: off by {error}");
            }
        }
    }

    #[test]
    fn functions_of_huge_numbers() {
        use Function::*;
        let of = |x: f32| [Relu, Silu, Gelu, GeluTanh, Tanh, Sigmoid].map(|f| f.apply(x));
        assert_eq!(of(1e30), [1e30, 1e30, 1e30, 1e30, 1.0, 1.0]);
        assert_eq!(of(-1e30), [0.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
    }
}
