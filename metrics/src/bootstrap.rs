//! How sure a difference of two Frechet distances is: the paired bootstrap (Efron and Tibshirani, 1993).

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use crate::{MetricsError, Moments, Target};

/// A percentile interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// 2.5 % of resamples lie below.
    pub low: f64,
    /// 2.5 % of resamples lie above.
    pub high: f64,
}

/// Resamples: which pictures are drawn how often.
#[derive(Clone, Copy, Debug)]
pub struct Resamples {
    /// Pictures to draw from.
    pub from: usize,
    /// Pictures to draw, with replacement.
    pub draws: usize,
    /// Number of resamples.
    pub count: u32,
    /// Seed of the first.
    pub seed: u64,
}

impl Resamples {
    /// The 95 % interval of a figure over all resamples, each given as the number of times that every picture was drawn.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] for fewer than 20 resamples or no pictures, and what the figure fails with.
    pub fn interval(
        &self,
        figure: impl Fn(&[u32]) -> Result<f64, MetricsError> + Sync,
    ) -> Result<Interval, MetricsError> {
        self.figures(figure).map(|figures| Interval::of(&figures))
    }

    /// As [`Resamples::interval`], moved so that the resamples' mean comes to lie on `value`: for figures that fall in every
    /// resample, because it lacks a third of the pictures.
    ///
    /// # Errors
    /// As [`Resamples::interval`].
    pub fn interval_around(
        &self,
        value: f64,
        figure: impl Fn(&[u32]) -> Result<f64, MetricsError> + Sync,
    ) -> Result<Interval, MetricsError> {
        let figures = self.figures(figure)?;
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        Ok(Interval::of(&figures).shifted(value - mean))
    }

    /// The figure of every resample, in ascending order.
    fn figures(&self, figure: impl Fn(&[u32]) -> Result<f64, MetricsError> + Sync) -> Result<Vec<f64>, MetricsError> {
        if self.from == 0 || self.draws == 0 || self.count < 20 {
            return Err(MetricsError::Shape("an interval needs pictures and at least 20 resamples".into()));
        }
        let one = |resample: u32| {
            let mut rng = StdRng::seed_from_u64(self.seed.wrapping_add(u64::from(resample)));
            let mut weights = vec![0u32; self.from];
            (0..self.draws).for_each(|_| weights[rng.random_range(0..self.from)] += 1);
            figure(&weights)
        };
        let mut figures = (0..self.count).into_par_iter().map(one).collect::<Result<Vec<f64>, _>>()?;
        figures.sort_by(f64::total_cmp);
        Ok(figures)
    }

    /// The 95 % interval of the mean of these numbers, one per picture.
    ///
    /// # Errors
    /// As [`Resamples::interval`].
    pub fn mean(&self, numbers: &[f64]) -> Result<Interval, MetricsError> {
        let draws = self.draws as f64;
        self.interval(|weights| Ok(weights.iter().zip(numbers).map(|(&w, x)| f64::from(w) * x).sum::<f64>() / draws))
    }
}

impl Interval {
    /// Of sorted figures.
    fn of(figures: &[f64]) -> Self {
        Self { low: quantile(figures, 0.025), high: quantile(figures, 0.975) }
    }

    /// The interval elsewhere.
    pub fn shifted(self, by: f64) -> Self {
        Self { low: self.low + by, high: self.high + by }
    }
}

/// The 95 % interval of `distance(candidate, target) - distance(baseline, target)`, for features `[n, dim]` of pictures
/// that were made pairwise from the same seeds. Each resample draws the same pictures for both, so what they have in
/// common, the luck of the seeds and the bias of a finite sample, cancels.
///
/// # Errors
/// [`MetricsError::Shape`] if the sets have different sizes, or there are fewer than 20 resamples.
pub fn paired_difference(
    target: &Target,
    baseline: &[f32],
    candidate: &[f32],
    resamples: &Resamples,
) -> Result<Interval, MetricsError> {
    let dim = target.statistics().dim();
    if baseline.len() != candidate.len() || baseline.len() != resamples.from * dim {
        let problem = "a paired interval needs equally many pictures of both models";
        return Err(MetricsError::Shape(problem.into()));
    }
    resamples.interval(|weights| {
        let distance = |features| target.distance(&Moments::weighted(features, dim, weights)?.statistics()?);
        Ok(distance(candidate)? - distance(baseline)?)
    })
}

/// The quantile of sorted numbers, with linear interpolation.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, t) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + t * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Statistics;

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
        let target = Target::new(&target)?;
        let resamples = Resamples { from: n, draws: n, count: 200, seed: 7 };
        let interval = |candidate: &[f32]| paired_difference(&target, &baseline, candidate, &resamples);

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
