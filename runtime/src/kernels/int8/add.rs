//! Sums of two values: plain, and with one of them times a gate.

use super::fixed::Scales;
use super::{Operand, Output};

/// `out = a + b`, rescaled by `first` and `second`. An operand as long as the output may be in place; a shorter one is a
/// single position that is added to every position.
pub fn add(a: &Operand, b: &Operand, scales: Scales, out: &mut Output) {
    let len = out.len();
    let (a_len, b_len) = (a.len(out), b.len(out));
    let channels = a_len.min(b_len).max(1);
    for start in (0..len).step_by(channels) {
        let (a_start, b_start) = (if a_len == len { start } else { 0 }, if b_len == len { start } else { 0 });
        for c in 0..channels {
            let y = scales.apply(a.at(a_start + c, out), b.at(b_start + c, out));
            out.set(start + c, y);
        }
    }
}

/// `out = x * g + r` with a gate for each channel: `first` rescales the product, `second` the residual. `x` or `r` may be
/// in place. The product is at most `2^30` in magnitude.
pub fn gate(x: &Operand, g: &Operand, r: &Operand, scales: Scales, out: &mut Output) {
    let channels = g.len(out).max(1);
    for start in (0..out.len()).step_by(channels) {
        for c in 0..channels {
            let i = start + c;
            let y = scales.apply(x.at(i, out) * g.at(c, out), r.at(i, out));
            out.set(i, y);
        }
    }
}
