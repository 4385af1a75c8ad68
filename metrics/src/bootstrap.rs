//! How sure a difference of two Frechet distances is: the paired bootstrap (Efron and Tibshirani, 1993).

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::{MetricsError, Statistics, frechet_distance};

/// A percentile interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// 2.5 % of resamples lie below.
    pub low: f64,
    /// 2.5 % of resamples lie above.
    pub high: f64,
}

/// The 95 % interval of `distance(candidate, target) - distance(baseline, target)`, for features `[n, dim]` of pictures
/// that were made pairwise from the same seeds. Each resample draws the same pictures for both, so what they have in
/// common, the luck of the seeds and the bias of a finite sample, cancels.
///
/// # Errors
/// [`MetricsError::Shape`] if the sets have different sizes, or there are fewer than 20 resamples.
pub fn paired_difference(
    target: &Statistics,
    baseline: &[f32],
    candidate: &[f32],
    resamples: u32,
    seed: u64,
) -> Result<Interval, MetricsError> {
    let dim = target.dim();
    if baseline.len() != candidate.len() || baseline.len() < 2 * dim || resamples < 20 {
        let problem = "a paired interval needs equally many pictures of both models and at least 20 resamples";
        return Err(MetricsError::Shape(problem.into()));
    }
    let count = baseline.len() / dim;
    let mut differences = (0..resamples)
        .into_par_iter()
        .map(|resample| {
            let mut rng = StdRng::seed_from_u64(seed.wrapping_add(u64::from(resample)));
            let mut weights = vec![0u32; count];
            (0..count).for_each(|_| weights[rng.random_range(0..count)] += 1);
            let distance = |features| frechet_distance(&Statistics::weighted(features, dim, &weights)?, target);
            Ok(distance(candidate)? - distance(baseline)?)
        })
        .collect::<Result<Vec<f64>, MetricsError>>()?;
    differences.sort_by(f64::total_cmp);
    Ok(Interval { low: quantile(&differences, 0.025), high: quantile(&differences, 0.975) })
}

/// The quantile of sorted numbers, with linear interpolation.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, t) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + t * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roughly normal numbers.
    fn noise(seed: u64, len: usize, deviation: f32, shift: f32) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..len).map(|_| shift + deviation * ((0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0)).collect()
    }

    #[test]
    fn small_noise_covers_zero_and_a_shift_does_not() -> Result<(), MetricsError> {
        let (dim, n) = (4, 2000);
        let target = Statistics::of(&noise(1, dim * n, 1.0, 0.0), dim)?;
        let baseline = noise(2, dim * n, 1.0, 0.3);
        let add = |other: Vec<f32>| -> Vec<f32> { baseline.iter().zip(other).map(|(a, b)| a + b).collect() };
        let interval = |candidate: &[f32]| paired_difference(&target, &baseline, candidate, 200, 7);

        assert_eq!(interval(&baseline)?, Interval { low: 0.0, high: 0.0 });
        // A 95 % interval misses once in twenty times: of forty, ten or more misses have a chance below 1e-4.
        let covered = (0..40).filter(|seed| {
            let noisy = interval(&add(noise(100 + seed, dim * n, 0.001, 0.0)));
            noisy.is_ok_and(|i| i.low <= 0.0 && i.high >= 0.0)
        });
        assert!(covered.count() > 30);
        let shifted = interval(&add(noise(3, dim * n, 0.001, 0.02)))?;
        assert!(shifted.low > 0.0, "{shifted:?}");
        // 4 dimensions: 4 * (0.32^2 - 0.3^2) = 0.0496.
        assert!(shifted.low < 0.0496 && shifted.high > 0.0496, "{shifted:?}");
        Ok(())
    }
}
