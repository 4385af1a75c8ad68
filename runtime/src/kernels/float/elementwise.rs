//! Loops over numbers that may lie where the result goes: `None` stands for those.

/// `out = f(x)`.
pub(super) fn map(x: Option<&[f32]>, out: &mut [f32], f: impl Fn(f32) -> f32) {
    match x {
        None => {
            for out in out {
                *out = f(*out);
            }
        }
        Some(x) => {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = f(x);
            }
        }
    }
}

/// `out = f(a, b)`.
pub(super) fn zip(a: Option<&[f32]>, b: Option<&[f32]>, out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    match (a, b) {
        (None, None) => map(None, out, |x| f(x, x)),
        (None, Some(b)) => {
            for (out, &b) in out.iter_mut().zip(b) {
                *out = f(*out, b);
            }
        }
        (Some(a), None) => {
            for (out, &a) in out.iter_mut().zip(a) {
                *out = f(a, *out);
            }
        }
        (Some(a), Some(b)) => {
            for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
                *out = f(a, b);
            }
        }
    }
}
