//! Functions of every number, alone or as a factor.

use super::elementwise::{map, zip};
use crate::format::Function;

/// `out = f(x)`; `x` may be in place.
pub fn lookup(x: Option<&[f32]>, f: Function, out: &mut [f32]) {
    map(x, out, |x| f.apply(x));
}

/// `out = f(a) * b`; one of the two may be in place.
pub fn mul(a: Option<&[f32]>, f: Function, b: Option<&[f32]>, out: &mut [f32]) {
    zip(a, b, out, |a, b| f.apply(a) * b);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::lanes;
    use crate::kernels::float::testing::{Several, assert_close, fast_kernels, numbers};

    #[test]
    fn lookup_in_place_is_the_same() {
        let x = numbers(1, 37);
        let mut out = vec![0.0; 37];
        lookup(Some(&x), Function::Silu, &mut out);
        assert_close(&out, &x.iter().map(|&x| f64::from(x) / (1.0 + f64::from(-x).exp())).collect::<Vec<_>>(), 1e-6);
        let mut in_place = x;
        lookup(None, Function::Silu, &mut in_place);
        assert_eq!(in_place, out);
    }

    #[test]
    fn mul_with_either_factor_in_place_is_the_same() {
        let (a, b) = (numbers(1, 37), numbers(2, 37));
        let gated = |(&a, &b): (&f32, &f32)| f64::from(a).tanh() * f64::from(b);
        let mut out = vec![0.0; 37];
        mul(Some(&a), Function::Tanh, Some(&b), &mut out);
        assert_close(&out, &a.iter().zip(&b).map(gated).collect::<Vec<_>>(), 1e-6);
        let (mut over_a, mut over_b) = (a.clone(), b.clone());
        mul(None, Function::Tanh, Some(&b), &mut over_a);
        mul(Some(&a), Function::Tanh, None, &mut over_b);
        assert_eq!([over_a, over_b], [out.clone(), out]);
        for (kernels, workers) in fast_kernels().flat_map(|kernels| [1, 2].map(|count| (kernels, Several(count)))) {
            let mut out = vec![f32::NAN; 37];
            lanes::mul(kernels, &workers, Some(&a), Function::Tanh, Some(&b), &mut out);
            assert_close(&out, &a.iter().zip(&b).map(gated).collect::<Vec<_>>(), 1e-6);
            let (mut over_a, mut over_b) = (a.clone(), b.clone());
            lanes::mul(kernels, &workers, None, Function::Tanh, Some(&b), &mut over_a);
            lanes::mul(kernels, &workers, Some(&a), Function::Tanh, None, &mut over_b);
            assert_eq!([over_a, over_b], [out.clone(), out]);
        }
    }
}
