//! Improved precision and recall (Kynkäänniemi et al., 2019): how much of the generated lies among the real, and how much
//! of the real among the generated.

use rayon::prelude::*;
use serde::Serialize;

use crate::MetricsError;

/// Precision and recall of generated feature vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// Share of generated vectors within the balls around real ones: pictures that could be real.
    pub fidelity: f64,
    /// Share of real vectors within the balls around generated ones: real pictures that could be generated.
    pub recall: f64,
    /// Each ball reaches to the vector's k-th nearest neighbour among its own kind.
    pub k: usize,
}

/// Precision and recall of `generated` against `real`, both `[n, dim]`. Every pair is measured.
///
/// # Errors
/// [`MetricsError::Shape`] if a set has no more than `k` vectors, or is no whole number of them.
pub fn coverage(real: &[f32], generated: &[f32], dim: usize, k: usize) -> Result<Coverage, MetricsError> {
    for (name, set) in [("real", real), ("generated", generated)] {
        if dim == 0 || !set.len().is_multiple_of(dim) || set.len() / dim <= k || k == 0 {
            let problem = format!("{} numbers are no set of more than {k} {name} vectors of {dim}", set.len());
            return Err(MetricsError::Shape(problem));
        }
    }
    let fidelity = share_within(generated, real, &radii(real, dim, k), dim);
    let recall = share_within(real, generated, &radii(generated, dim, k), dim);
    Ok(Coverage { fidelity, recall, k })
}

/// Squared distance of each vector to its k-th nearest neighbour.
fn radii(set: &[f32], dim: usize, k: usize) -> Vec<f32> {
    let radius = |(i, vector): (usize, &[f32])| {
        // The k smallest so far, the largest of them last.
        let mut nearest = vec![f32::INFINITY; k];
        for (j, other) in set.chunks_exact(dim).enumerate() {
            let distance = squared_distance(vector, other);
            if i != j && distance < nearest[k - 1] {
                let at = nearest.partition_point(|&d| d <= distance);
                nearest[at..].rotate_right(1);
                nearest[at] = distance;
            }
        }
        nearest[k - 1]
    };
    set.par_chunks_exact(dim).enumerate().map(radius).collect()
}

fn share_within(vectors: &[f32], centres: &[f32], radii: &[f32], dim: usize) -> f64 {
    let within = |vector: &[f32]| {
        let mut balls = centres.chunks_exact(dim).zip(radii);
        balls.any(|(centre, &radius)| squared_distance(vector, centre) <= radius)
    };
    let count = vectors.par_chunks_exact(dim).filter(|vector| within(vector)).count();
    count as f64 / (vectors.len() / dim) as f64
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_what_lies_within_the_balls() -> Result<(), MetricsError> {
        // Real: 0, 1, .., 9, balls of radius 1 at k = 1. Generated: 0 and 0.5, balls of radius 0.5.
        let real: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let found = coverage(&real, &[0.0, 0.5], 1, 1)?;
        assert_eq!((found.fidelity, found.recall), (1.0, 0.2));
        let found = coverage(&real, &[20.0, 21.0], 1, 1)?;
        assert_eq!((found.fidelity, found.recall), (0.0, 0.0));
        let same = coverage(&real, &real, 1, 3)?;
        assert_eq!((same.fidelity, same.recall), (1.0, 1.0));
        assert!(coverage(&real, &[1.0, 2.0, 3.0], 1, 3).is_err());
        Ok(())
    }
}
