//! Concatenation.

use crate::kernels::int8::Place;

/// Writes one part of a concatenation.
pub fn concat(part: &[f32], place: Place, out: &mut [f32]) {
    let runs = part.chunks_exact(place.run.max(1));
    for (run, start) in runs.zip((place.first..).step_by(place.step.max(1))) {
        out[start..start + run.len()].copy_from_slice(run);
    }
}
