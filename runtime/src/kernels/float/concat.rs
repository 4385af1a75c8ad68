//! Concatenation.

use crate::kernels::int8::Place;

/// Writes one part of a concatenation.
pub fn concat(part: &[f32], place: Place, out: &mut [f32]) {
    let runs = part.chunks_exact(place.run.max(1));
    for (run, start) in runs.zip((place.first..).step_by(place.step.max(1))) {
        out[start..start + run.len()].copy_from_slice(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_side_by_side() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0]);
        let mut out = [0.0; 6];
        // Two positions of two channels and two of one.
        concat(&a, Place { first: 0, run: 2, step: 3 }, &mut out);
        concat(&b, Place { first: 2, run: 1, step: 3 }, &mut out);
        assert_eq!(out, [1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
        // Two positions and one more.
        concat(&b, Place { first: 0, run: 2, step: 6 }, &mut out);
        concat(&a, Place { first: 2, run: 4, step: 6 }, &mut out);
        assert_eq!(out, [5.0, 6.0, 1.0, 2.0, 3.0, 4.0]);
    }
}
