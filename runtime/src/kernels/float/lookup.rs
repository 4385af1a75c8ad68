//! Functions of every number, alone or as a factor.

use super::Function;
use super::elementwise::{map, zip};

/// `out = f(x)`; `x` may be in place.
pub fn lookup(x: Option<&[f32]>, f: Function, out: &mut [f32]) {
    map(x, out, |x| f.apply(x));
}

/// `out = f(a) * b`; one of the two may be in place.
pub fn mul(a: Option<&[f32]>, f: Function, b: Option<&[f32]>, out: &mut [f32]) {
    zip(a, b, out, |a, b| f.apply(a) * b);
}
