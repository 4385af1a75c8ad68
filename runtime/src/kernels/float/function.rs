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
    use crate::kernels::float::lanes;
    use crate::kernels::float::testing::{Several, bits, fast_kernels};

    /// The function by the portable kernels, then by all others, which come to the same bits among them.
    fn by_all(function: Function, x: &[f32]) -> Vec<Vec<f32>> {
        let mut results = vec![x.iter().map(|&x| function.apply(x)).collect::<Vec<_>>()];
        for (kernels, workers) in fast_kernels().flat_map(|kernels| [1, 3].map(|count| (kernels, Several(count)))) {
            let mut out = vec![f32::NAN; x.len()];
            lanes::map(kernels, &workers, Some(x), function, &mut out);
            let mut in_place = x.to_vec();
            lanes::map(kernels, &workers, None, function, &mut in_place);
            assert_eq!(bits(&in_place), bits(&out));
            if let Some(first) = results.get(1) {
                assert_eq!(bits(&out), bits(first), "{function:?} by {}", kernels.name());
            }
            results.push(out);
        }
        results
    }

    #[test]
    fn functions_follow_their_definitions() {
        use Function::*;
        let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 / 100.0).chain([1e-3, 3e-5, 1e-10, 1e-30]).collect();
        for function in [Identity, Relu, Silu, Gelu, GeluTanh, Tanh, Sigmoid] {
            for results in by_all(function, &x) {
                for (&x, found) in x.iter().zip(results) {
                    let wide = f64::from(x);
                    let sigmoid = 1.0 / (1.0 + (-wide).exp());
                    let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
                    let expected = match function {
                        Identity => wide,
                        Relu => wide.max(0.0),
                        Silu => wide * sigmoid,
                        Gelu => 0.5 * wide * (1.0 + libm::erf(wide / 2f64.sqrt())),
                        GeluTanh => 0.5 * wide * (1.0 + inner.tanh()),
                        Tanh => wide.tanh(),
                        Sigmoid => sigmoid,
                    };
                    let error = (f64::from(found) - expected).abs();
                    // The sum 1 + erf or 1 + tanh keeps few digits of what is nearly nothing.
                    assert!(error <= 4e-7 * wide.abs().max(1.0), "{function:?} of {x}: off by {error}");
                    if x.abs() < 1e-2 && function != Relu {
                        assert!(error <= 4e-7 * expected.abs(), "{function:?} of {x}: off by {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn functions_of_huge_numbers() {
        use Function::*;
        for (function, [plus, minus]) in [
            (Relu, [1e30, 0.0]),
            (Silu, [1e30, 0.0]),
            (Gelu, [1e30, 0.0]),
            (GeluTanh, [1e30, 0.0]),
            (Tanh, [1.0, -1.0]),
            (Sigmoid, [1.0, 0.0]),
        ] {
            for results in by_all(function, &[1e30, -1e30]) {
                assert_eq!(results, [plus, minus], "{function:?}");
            }
        }
    }
}
