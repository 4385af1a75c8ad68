//! Precision and recall (Kynkaanniemi et al., 2019), density and coverage (Naeem et al., 2020): how much of the generated
//! lies among the real, and how much of the real among the generated.

use serde::Serialize;

use crate::MetricsError;
use crate::vectors::Vectors;

/// How generated and real feature vectors cover each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coverage {
    /// Precision: share of generated vectors within the balls around real ones, pictures that could be real.
    pub fidelity: f64,
    /// Share of real vectors within the balls around generated ones: real pictures that could be generated.
    pub recall: f64,
    /// In how many balls around real vectors a generated one lies, by k: 1 for real ones, on average.
    pub density: f64,
    /// Share of balls around real vectors that hold a generated one.
    pub coverage: f64,
    /// Each ball reaches to the vector's k-th nearest neighbour among its own kind.
    pub k: usize,
}

/// Precision, recall, density and coverage of `generated` against `real`, both `[n, dim]`. Every pair is measured.
///
/// # Errors
/// [`MetricsError::Shape`] if a set has no more than `k` vectors, or is no whole number of them.
pub fn coverage(real: &[f32], generated: &[f32], dim: usize, k: usize) -> Result<Coverage, MetricsError> {
    let (real, generated) = (Vectors::new(real, dim)?, Vectors::new(generated, dim)?);
    check(&real, k)?;
    let radii = real.radii(k);
    Ok(Neighbours::new(&real, &radii, &generated, k)?.coverage())
}

/// Refuses sets without a k-th neighbour.
pub fn check(set: &Vectors, k: usize) -> Result<(), MetricsError> {
    if k == 0 || set.len() <= k {
        return Err(MetricsError::Shape(format!("{} vectors have no {k}-th nearest neighbour", set.len())));
    }
    Ok(())
}

/// Which generated vectors lie in whose balls: enough for the figures of any resample of them.
pub struct Neighbours {
    k: usize,
    /// Balls around real vectors that hold each generated one.
    balls: Vec<u32>,
    /// Generated vectors in the ball around each real one.
    within: Vec<Vec<u32>>,
    /// Generated vectors whose balls hold each real one.
    around: Vec<Vec<u32>>,
}

/// Elements of a set that are kept. A resample that lacks all of so many is as good as impossible (below 1e-27).
const MOST: usize = 64;

impl Neighbours {
    /// Measures every pair; `radii` are squared, of the real vectors.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] for no more than `k` generated vectors.
    pub fn new(real: &Vectors, radii: &[f64], generated: &Vectors, k: usize) -> Result<Self, MetricsError> {
        check(generated, k)?;
        let reach = generated.radii(k);
        let found = real.distances(generated, |i, distances| {
            let all = distances.iter().enumerate();
            let within: Vec<u32> = all.clone().filter(|&(_, &d)| d < radii[i]).map(|(j, _)| j as u32).collect();
            let around: Vec<u32> = all.filter(|&(j, &d)| d < reach[j]).map(|(j, _)| j as u32).take(MOST).collect();
            (within, around)
        });
        let mut balls = vec![0; generated.len()];
        found.iter().flat_map(|(within, _)| within).for_each(|&j| balls[j as usize] += 1);
        let (mut within, around): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        within.iter_mut().for_each(|set| set.truncate(MOST));
        Ok(Self { k, balls, within, around })
    }

    /// Of the generated vectors, each once.
    pub fn coverage(&self) -> Coverage {
        let once = vec![1; self.balls.len()];
        Coverage {
            fidelity: self.fidelity(&once),
            recall: self.recall(&once),
            density: self.density(&once),
            coverage: self.covered(&once),
            k: self.k,
        }
    }

    /// Precision, every generated vector counted as often as its weight says.
    pub fn fidelity(&self, weights: &[u32]) -> f64 {
        self.mean(weights, |balls| f64::from(u8::from(balls > 0)))
    }

    /// Density.
    pub fn density(&self, weights: &[u32]) -> f64 {
        self.mean(weights, |balls| f64::from(balls) / self.k as f64)
    }

    /// Recall. The balls stay those of all generated vectors.
    pub fn recall(&self, weights: &[u32]) -> f64 {
        hit(&self.around, weights)
    }

    /// Coverage.
    pub fn covered(&self, weights: &[u32]) -> f64 {
        hit(&self.within, weights)
    }

    fn mean(&self, weights: &[u32], value: impl Fn(u32) -> f64) -> f64 {
        let count: u64 = weights.iter().map(|&w| u64::from(w)).sum();
        let sum: f64 = weights.iter().zip(&self.balls).map(|(&w, &balls)| f64::from(w) * value(balls)).sum();
        sum / count as f64
    }
}

/// Share of sets of which an element has a weight.
fn hit(sets: &[Vec<u32>], weights: &[u32]) -> f64 {
    let count = sets.iter().filter(|set| set.iter().any(|&j| weights[j as usize] > 0)).count();
    count as f64 / sets.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_what_lies_within_the_balls() -> Result<(), MetricsError> {
        // Real: 0, 1, .., 9, balls of radius 1 at k = 1, borders left out. Generated: 0 and 0.5, balls of radius 0.5.
        let real: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let found = coverage(&real, &[0.0, 0.5], 1, 1)?;
        assert_eq!((found.fidelity, found.recall), (1.0, 0.1));
        // 0 lies in the ball around 0, 0.5 in those around 0 and 1; these two balls hold some.
        assert_eq!((found.density, found.coverage), (1.5, 0.2));
        let found = coverage(&real, &[20.0, 21.0], 1, 1)?;
        assert_eq!((found.fidelity, found.recall, found.density, found.coverage), (0.0, 0.0, 0.0, 0.0));
        let same = coverage(&real, &real, 1, 3)?;
        assert_eq!((same.fidelity, same.recall, same.coverage), (1.0, 1.0, 1.0));
        assert!(coverage(&real, &[1.0, 2.0, 3.0], 1, 3).is_err());
        Ok(())
    }
}
