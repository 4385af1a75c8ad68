//! The Frechet distance of infinitely many pictures (after Chong and Forsyth, 2020): the distance of n pictures is too large by
//! an amount that falls as 1 / n.

use rayon::prelude::*;

use crate::{MetricsError, Statistics, Target};

/// Features are cut into 1, 2, .. so many parts.
const CUTS: usize = 4;

/// By how much the distance grows with `1 / n`: a line through the mean distances of all features `[n, dim]`, of their halves,
/// thirds and quarters. The parts make up the whole, so that the luck of the seeds is the same in all. `None` for so few
/// vectors that the smallest parts span no space of `dim` dimensions.
///
/// # Errors
/// [`MetricsError`] if features and target do not fit.
pub fn slope(target: &Target, features: &[f32]) -> Result<Option<f64>, MetricsError> {
    let dim = target.statistics().dim();
    let count = features.len() / dim;
    if count / CUTS <= dim {
        return Ok(None);
    }
    let point = |cuts: usize| {
        let size = count / cuts;
        let parts = features.par_chunks_exact(size * dim).take(cuts);
        let distances = parts.map(|part| target.distance(&Statistics::of(part, dim)?));
        let distances = distances.collect::<Result<Vec<f64>, MetricsError>>()?;
        Ok((1.0 / size as f64, distances.iter().sum::<f64>() / cuts as f64))
    };
    let points = (1..=CUTS).map(point).collect::<Result<Vec<(f64, f64)>, MetricsError>>()?;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let covariance: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let variance: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    Ok(Some(covariance / variance))
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

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
        let slope = slope(&target, &features)?.unwrap_or_default();
        let unbiased = biased - slope / 1500.0;
        assert!(biased > 0.05 && unbiased.abs() < 0.1 * biased, "{biased} becomes {unbiased}");
        assert_eq!(super::slope(&target, &features[..dim * 80])?, None);
        Ok(())
    }
}
