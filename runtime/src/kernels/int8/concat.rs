//! Concatenation: each part moves to its place in the scale of the whole.

use super::fixed::Scale;
use super::{Operand, Output};

/// Where a part goes: runs of `run` numbers, one at every `step` from `first` on.
///
/// Along positions a part is one run behind the parts before it; along channels there is a run for each position, and
/// `step` is the number of channels of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub first: usize,
    pub run: usize,
    pub step: usize,
}

/// Writes one part of a concatenation in the output's scale.
pub fn requantize(part: &Operand, scale: Scale, place: Place, out: &mut Output) {
    let run = place.run.max(1);
    for (k, start) in (0..part.len(out)).step_by(run).enumerate() {
        let to = place.first + k * place.step;
        for c in 0..run {
            let y = scale.apply(part.at(start + c, out));
            out.set(to + c, y);
        }
    }
}
