//! Times of pictures and operators.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use driftlet_runtime::{Class, Guidance, LineSampler, Model, Start};

use super::peak::Peak;

/// Time between two measurements of the peak: short, so that both meet the same load.
const BLOCK: Duration = Duration::from_millis(5);

/// Makes pictures of one class and guidance, a seed after the other.
pub struct Pictures<'s, 'a> {
    sampler: &'s mut LineSampler<'a>,
    class: Class,
    guidance: Guidance,
    seed: u64,
}

impl<'s, 'a> Pictures<'s, 'a> {
    /// Pictures of the first class at the weakest guidance.
    pub fn new(model: &Model, sampler: &'s mut LineSampler<'a>) -> Option<Self> {
        Some(Self { sampler, class: model.class(0)?, guidance: model.guidance_range().0, seed: 0 })
    }

    /// Makes the next one.
    pub fn next(&mut self) {
        self.sampler.generate_lines(Start::Seed(self.seed), self.class, self.guidance, &mut |_, _| ());
        self.seed += 1;
    }

    /// Makes the next one and adds the time of every operator, over all its bands, to its list.
    fn next_profiled(&mut self, times: &mut [Vec<Duration>]) {
        times.iter_mut().for_each(|times| times.push(Duration::ZERO));
        let mut before = Instant::now();
        // An observer that never stops.
        let _ = self.sampler.generate_observed(Start::Seed(self.seed), self.class, self.guidance, &mut |step| {
            let now = Instant::now();
            if let Some(time) = times[step.index as usize].last_mut() {
                *time += now - before;
            }
            before = now;
            ControlFlow::Continue(())
        });
        self.seed += 1;
    }
}

/// What was measured in turn: pictures, and peaks of the machine.
pub struct Steady {
    /// Time of each picture.
    pub pictures: Times,
    /// Multiply-accumulate operations per second of each peak, in ascending order.
    pub peaks: Vec<Vec<f64>>,
}

/// Makes pictures for a while. Behind each block of pictures the loop of each peak runs as often and as long as they did.
pub fn steady(pictures: &mut Pictures, peaks: &[Peak], threads: usize, length: Duration) -> Steady {
    let (mut times, mut rates) = (Vec::new(), vec![Vec::new(); peaks.len()]);
    let (start, mut blocks) = (Instant::now(), 0);
    while start.elapsed() < length || blocks < 3 {
        let (block, first) = (Instant::now(), times.len());
        while block.elapsed() < BLOCK {
            let before = Instant::now();
            pictures.next();
            times.push(before.elapsed());
        }
        let least = times[first..].iter().min().copied().unwrap_or_default();
        for (peak, rates) in peaks.iter().zip(&mut rates) {
            rates.extend(peak.measure(threads, least, times.len() - first));
        }
        blocks += 1;
    }
    rates.iter_mut().for_each(|rates| rates.sort_by(f64::total_cmp));
    Steady { pictures: Times::new(times), peaks: rates }
}

/// Median time of every operator over a while, at least five pictures. Looking at the clock makes a picture a little slower.
pub fn operators(pictures: &mut Pictures, count: u32, length: Duration) -> Vec<Duration> {
    let mut times = vec![Vec::new(); count as usize];
    let start = Instant::now();
    while start.elapsed() < length || times.first().is_some_and(|t| t.len() < 5) {
        pictures.next_profiled(&mut times);
    }
    times.into_iter().map(|times| Times::new(times).median()).collect()
}

/// Times in ascending order; at least one.
pub struct Times(Vec<Duration>);

impl Times {
    /// Orders them.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort();
        Self(times)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that a share of all do not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    /// Half of all take longer.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_ordered_times() {
        let times = Times::new([5, 1, 4, 2, 3].map(Duration::from_millis).to_vec());
        let at = |share| times.quantile(share).as_millis();
        assert_eq!((at(0.0), at(0.5), at(0.8), at(1.0), times.len()), (1, 3, 4, 5, 5));
    }
}
