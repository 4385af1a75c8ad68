//! How often each activation was how large, and the ranges that the usual criteria read from that.

use driftlet_runtime::{Model, Step, View};

use super::pictures::observe;
use super::{Calibration, Range};
use crate::balance::Balance;
use crate::graph::Graph;

/// Bins between the extremes of a value.
const BINS: usize = 2048;
/// Points of an 8-bit grid.
const LEVELS: usize = 256;

/// Numbers of one value, in its balanced units.
pub struct Histogram {
    low: f64,
    high: f64,
    counts: Vec<u64>,
}

/// How a range was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Everything seen.
    MinMax,
    /// All but so many of a million numbers on either side.
    Percentile(u32),
    /// Least mean squared error on the grid.
    SquaredError,
    /// Least divergence of the distribution on the grid (Migacz, "8-bit inference with TensorRT", GTC 2017).
    Entropy,
}

impl Criterion {
    /// What is tried for every value, the likeliest first.
    pub const ALL: [Self; 7] = [
        Self::SquaredError,
        Self::Percentile(100),
        Self::MinMax,
        Self::Percentile(10),
        Self::Percentile(1_000),
        Self::Percentile(10_000),
        Self::Entropy,
    ];
}

/// Counts the numbers of all values of a graph.
pub fn count(reference: &Model, graph: &Graph, calibration: &Calibration, balance: &Balance) -> Vec<Histogram> {
    let extremes: Vec<(f64, f64)> = (0..graph.values.len()).map(|v| calibration.extremes(v, balance)).collect();
    let counts = observe(
        reference,
        calibration.summary.first_seed,
        calibration.summary.samples,
        || vec![vec![0u64; BINS]; graph.values.len()],
        |counts, step: Step| {
            let View::F32(numbers) = step.output else { return };
            let value = graph.nodes[step.index as usize].output;
            let ((low, high), counts) = (extremes[value], &mut counts[value]);
            let (low, per_bin) = (low as f32, BINS as f32 / ((high - low) as f32).max(f32::MIN_POSITIVE));
            let mut add = |x: f32| counts[(((x - low) * per_bin) as usize).min(BINS - 1)] += 1;
            match balance.of(value) {
                [] => numbers.iter().for_each(|&x| add(x)),
                factors => numbers.iter().zip(factors.iter().cycle()).for_each(|(&x, &f)| add(x / f as f32)),
            }
        },
        |a, b| a.into_iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect(),
    );
    extremes.into_iter().zip(counts).map(|((low, high), counts)| Histogram { low, high, counts }).collect()
}

impl Histogram {
    /// The range that a criterion prefers.
    pub fn range(&self, criterion: Criterion) -> Range {
        match criterion {
            Criterion::MinMax => self.share(100, 100),
            Criterion::Percentile(outside) => self.percentile(outside),
            Criterion::SquaredError => self.least(|range| self.squared_error(range)),
            Criterion::Entropy => self.least(|range| self.divergence(range)),
        }
    }

    /// Parts of the extremes, in percent.
    fn share(&self, low: u32, high: u32) -> Range {
        let part = |x: f64, percent: u32| x * f64::from(percent) / 100.0;
        Range { low: part(self.low, low), high: part(self.high, high), peak: self.high.max(-self.low) }
    }

    /// The best of the whole range and even parts of it.
    fn least(&self, error: impl Fn(&Range) -> f64) -> Range {
        let whole = self.share(100, 100);
        let best =
            (40..=100).map(|percent| self.share(percent, percent)).fold((error(&whole), whole), |best, range| {
                let error = error(&range);
                if error < best.0 { (error, range) } else { best }
            });
        best.1
    }

    fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let width = (self.high - self.low) / self.counts.len() as f64;
        self.counts.iter().enumerate().map(move |(bin, &count)| (self.low + (bin as f64 + 0.5) * width, count))
    }

    fn squared_error(&self, range: &Range) -> f64 {
        let step = (range.high - range.low) / (LEVELS - 1) as f64;
        let cost = |(x, count): (f64, u64)| {
            let beyond = (x - range.high).max(range.low - x).max(0.0);
            count as f64 * (beyond * beyond + if beyond > 0.0 { 0.0 } else { step * step / 12.0 })
        };
        self.bins().filter(|(_, count)| *count > 0).map(cost).sum()
    }

    /// Kullback-Leibler divergence from the numbers, outliers at the ends of the range, to what a grid over the range
    /// leaves of those inside.
    fn divergence(&self, range: &Range) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let mut points = vec![(0u64, 0u64); LEVELS];
        let per_level = LEVELS as f64 / (range.high - range.low).max(f64::MIN_POSITIVE);
        let level = |x: f64| ((x - range.low) * per_level).clamp(0.0, (LEVELS - 1) as f64) as usize;
        let inside = |x: f64| (range.low..=range.high).contains(&x);
        for (x, count) in self.bins().filter(|(x, count)| *count > 0 && inside(*x)) {
            let (sum, bins) = &mut points[level(x)];
            (*sum, *bins) = (*sum + count, *bins + 1);
        }
        let inner: u64 = points.iter().map(|(sum, _)| sum).sum();
        let outliers =
            |beyond: &dyn Fn(f64) -> bool| -> u64 { self.bins().filter(|(x, _)| beyond(*x)).map(|b| b.1).sum() };
        let (below, above) = (outliers(&|x| x < range.low), outliers(&|x| x > range.high));
        let ends = || self.bins().filter(|(x, count)| *count > 0 && inside(*x)).map(|(x, _)| x);
        let (first, last) = (ends().next().unwrap_or(0.0), ends().last().unwrap_or(0.0));
        let mut sum = 0.0;
        for (x, count) in self.bins().filter(|(x, count)| *count > 0 && inside(*x)) {
            let clipped = if x == first { below } else { 0 } + if x == last { above } else { 0 };
            let p = (count + clipped) as f64 / total as f64;
            let (level_sum, bins) = points[level(x)];
            let q = level_sum as f64 / bins as f64 / inner as f64;
            // The same on every machine, unlike the system's logarithm.
            sum += p * libm::log(p / q);
        }
        sum
    }

    fn percentile(&self, outside: u32) -> Range {
        let total: u64 = self.counts.iter().sum();
        let allowed = total * u64::from(outside) / 1_000_000;
        let width = (self.high - self.low) / self.counts.len() as f64;
        // Bins that hold, together, no more than what may lie outside.
        let skipped = |counts: &mut dyn Iterator<Item = &u64>| {
            let sums = counts.scan(0, |sum, count| {
                *sum += count;
                Some(*sum)
            });
            sums.take_while(|&sum| sum <= allowed).count() as f64
        };
        let low = self.low + width * skipped(&mut self.counts.iter());
        let high = self.high - width * skipped(&mut self.counts.iter().rev());
        // 0 belongs to every range.
        Range { low: low.min(0.0), high: high.max(0.0), peak: self.high.max(-self.low) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(low: f64, high: f64, counts: Vec<u64>) -> Histogram {
        Histogram { low, high, counts }
    }

    #[test]
    fn an_outlier_is_clipped_and_a_flat_histogram_is_kept() {
        let mut counts = vec![0; BINS];
        counts[..BINS / 2].fill(1_000_000);
        counts[BINS - 1] = 1;
        let outlier = histogram(0.0, 8.0, counts);
        for criterion in [Criterion::SquaredError, Criterion::Percentile(10)] {
            let clipped = outlier.range(criterion);
            assert!((3.9..4.3).contains(&clipped.high), "{criterion:?}: {clipped:?}");
        }
        assert_eq!(outlier.range(Criterion::MinMax), Range { low: 0.0, high: 8.0, peak: 8.0 });
        let flat = histogram(-1.0, 1.0, vec![10; BINS]);
        let whole = Range { low: -1.0, high: 1.0, peak: 1.0 };
        assert_eq!(flat.range(Criterion::SquaredError), whole);
        assert_eq!(flat.range(Criterion::Entropy), whole);
    }

    #[test]
    fn percentiles_leave_out_what_they_say() {
        let range = histogram(-500.0, 500.0, vec![1; 1000]).range(Criterion::Percentile(10_000));
        assert_eq!((range.low, range.high), (-490.0, 490.0));
    }
}
