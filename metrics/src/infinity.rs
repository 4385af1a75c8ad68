//! The Frechet distance of infinitely many pictures (Chong and Forsyth, 2020): the distance of n pictures is too large by an
//! amount that falls as 1 / n.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rayon::prelude::*;

use crate::{MetricsError, Moments, Target};

/// Sizes of subsets.
const SIZES: usize = 15;

/// By how much the distance grows with `1 / n`: a line through the distances of random subsets of features `[n, dim]`, of
/// `SIZES` sizes from a third of them to all. `None` for so few that the smallest subsets span no space of `dim` dimensions.
///
/// # Errors
/// [`MetricsError`] if features and target do not fit.
pub fn slope(target: &Target, features: &[f32], seed: u64) -> Result<Option<f64>, MetricsError> {
    let dim = target.statistics().dim();
    let count = features.len() / dim;
    let least = count / 3;
    if least <= dim {
        return Ok(None);
    }
    let point = |i: usize| {
        let size = least + (count - least) * i / (SIZES - 1);
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(i as u64));
        let mut weights = vec![0; count];
        sample(&mut rng, count, size).iter().for_each(|i| weights[i] = 1);
        let distance = target.distance(&Moments::weighted(features, dim, &weights)?.statistics()?)?;
        Ok((1.0 / size as f64, distance))
    };
    let points = (0..SIZES).into_par_iter().map(point).collect::<Result<Vec<(f64, f64)>, MetricsError>>()?;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / SIZES as f64;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let variance: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    Ok(Some(covariance / variance))
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::Statistics;

    #[test]
    fn the_bias_of_few_pictures_is_taken_away() -> Result<(), MetricsError> {
        let dim = 20;
        let mut rng = StdRng::seed_from_u64(5);
        let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let features: Vec<f32> = (0..dim * 1500).map(|_| normal()).collect();
        // What the features are drawn from: the true distance is 0.
        let covariance = (0..dim * dim).map(|i| if i % (dim + 1) == 0 { 1.0 } else { 0.0 }).collect();
        let truth = Statistics { count: 1 << 40, mean: vec![0.0; dim], covariance };
        let target = Target::new(&truth)?;
        let biased = target.distance(&Statistics::of(&features, dim)?)?;
        let slope = slope(&target, &features, 0)?.unwrap_or_default();
        let unbiased = biased - slope / 1500.0;
        assert!(biased > 0.05 && unbiased.abs() < 0.3 * biased, "{biased} becomes {unbiased}");
        assert_eq!(super::slope(&target, &features[..dim * 60], 0)?, None);
        Ok(())
    }
}
