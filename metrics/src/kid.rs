//! Kernel inception distance (Binkowski et al., 2018): the squared maximum mean discrepancy of feature vectors under the
//! kernel `(x y / dim + 1)^3`, without bias.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rayon::prelude::*;
use serde::Serialize;

use crate::MetricsError;
use crate::vectors::Vectors;

/// Subsets, and vectors of each, as is usual.
pub const SUBSETS: u64 = 100;
pub const SUBSET: usize = 1000;

/// The distance over several subsets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Kid {
    /// Mean over the subsets.
    pub mean: f64,
    /// Standard deviation over the subsets.
    pub deviation: f64,
    /// Vectors of each subset.
    pub subset: usize,
}

/// The distance of `generated` and `real`, both `[n, dim]`, over random subsets of `subset` vectors each. The same seed draws
/// the same subsets from sets of the same size.
///
/// # Errors
/// [`MetricsError::Shape`] if a subset is larger than a set, or has fewer than two vectors, or there are no subsets.
pub fn kernel_distance(
    real: &[f32],
    generated: &[f32],
    dim: usize,
    (subsets, subset): (u64, usize),
    seed: u64,
) -> Result<Kid, MetricsError> {
    kid(&Vectors::new(real, dim)?, &Vectors::new(generated, dim)?, subsets, subset, seed)
}

pub fn kid(real: &Vectors, generated: &Vectors, subsets: u64, subset: usize, seed: u64) -> Result<Kid, MetricsError> {
    if subset < 2 || subsets == 0 || subset > real.len().min(generated.len()) {
        let problem = format!("no {subsets} subsets of {subset} vectors from {} and {}", real.len(), generated.len());
        return Err(MetricsError::Shape(problem));
    }
    let one = |i: u64| {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(i));
        let mut draw = |set: &Vectors| set.select(&sample(&mut rng, set.len(), subset).into_vec());
        let (real, generated) = (draw(real), draw(generated));
        let m = subset as f64;
        let within = |set: &Vectors| sums(set, set, true).iter().sum::<f64>() / (m * (m - 1.0));
        within(&real) + within(&generated) - 2.0 * sums(&real, &generated, false).iter().sum::<f64>() / (m * m)
    };
    let values: Vec<f64> = (0..subsets).into_par_iter().map(one).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Ok(Kid { mean, deviation: variance.sqrt(), subset })
}

/// What each generated vector adds to the distance, to first order: the mean over a resample less the mean over all is how
/// much the distance of the resample differs (the projection of Hoeffding, 1948).
pub fn influences(real: &Vectors, generated: &Vectors) -> Vec<f64> {
    let (n, m) = (generated.len() as f64, real.len() as f64);
    let own = sums(generated, generated, true);
    let other = sums(generated, real, false);
    own.iter().zip(&other).map(|(own, other)| 2.0 * (own / (n - 1.0).max(1.0) - other / m)).collect()
}

/// For each of `a`, the sum of the kernel over `b`; over all but itself where the two are the same.
fn sums(a: &Vectors, b: &Vectors, same: bool) -> Vec<f64> {
    let scale = 1.0 / a.dim() as f64;
    let kernel = |product: f64| (product * scale + 1.0).powi(3);
    a.products(b, |i, products| {
        let sum: f64 = products.iter().map(|&product| kernel(product)).sum();
        if same { sum - kernel(products[i]) } else { sum }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() -> Result<(), MetricsError> {
        // Kernel (x y + 1)^3. Real 0 and 1: 1 within. Generated 1 and 2: 27 within. Between: 1, 1, 8, 27.
        let found = kernel_distance(&[0.0, 1.0], &[1.0, 2.0], 1, (3, 2), 0)?;
        assert!((found.mean - (1.0 + 27.0 - 2.0 * 37.0 / 4.0)).abs() < 1e-12, "{found:?}");
        assert!(found.deviation < 1e-12);
        assert!(kernel_distance(&[0.0, 1.0], &[1.0, 2.0], 1, (3, 3), 0).is_err());
        Ok(())
    }

    #[test]
    fn influences_tell_what_a_vector_adds() -> Result<(), MetricsError> {
        let number = |i: usize| ((i * 7919) % 997) as f32 / 997.0;
        let real: Vec<f32> = (0..600).map(number).collect();
        let generated: Vec<f32> = (0..400).map(|i| number(i + 3000) + 0.3).collect();
        let vectors = |set: &[f32]| Vectors::new(set, 2);
        let whole = |set: &[f32]| -> Result<f64, MetricsError> {
            let count = set.len() / 2;
            // The whole of the smaller side, one subset at a time, of the same real vectors.
            Ok(kid(&vectors(&real[..2 * count])?, &vectors(set)?, 1, count, 0)?.mean)
        };
        let influence = influences(&vectors(&real[..400])?, &vectors(&generated)?);
        let mean = influence.iter().sum::<f64>() / 200.0;
        // One vector counted once more, and one left out: the exact difference is the first-order one up to 1 / n^2.
        let mut moved = generated.clone();
        moved.copy_within(20..22, 0);
        let exact = whole(&moved)? - whole(&generated)?;
        let first_order = (influence[10] - influence[0]) / 200.0;
        assert!(exact.abs() > 1e-6 && (exact - first_order).abs() < 0.15 * exact.abs(), "{exact} and {first_order}");
        assert!(mean.is_finite());
        Ok(())
    }
}
