//! Learns the range and the mean of every activation from pictures that the float model makes.
//!
//! Two passes over the same seeds: the first finds extremes and means, the second counts values between the extremes. The range kept
//! is the one whose 8-bit grid has the smallest mean squared error: a few outliers are not worth a coarse grid.

use std::ops::ControlFlow;

use aligned_vec::AVec;
use driftlet_runtime::format::ALIGN;
use driftlet_runtime::{Guidance, Model, Start, Step, View};
use rayon::prelude::*;

use crate::graph::Graph;
use crate::program::CalibrationSummary;
use crate::runnable::start;
use crate::{Options, QuantizeError};

/// What an activation's grid has to cover; contains 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
    /// Largest magnitude seen; the range itself may leave outliers out.
    pub peak: f64,
}

/// What was learnt, in order of the graph's values.
pub struct Calibration {
    pub ranges: Vec<Range>,
    /// Mean of each channel, over pictures and positions.
    pub means: Vec<Vec<f64>>,
    pub summary: CalibrationSummary,
}

const BINS: usize = 2048;

/// Sums are in integers, so that they do not depend on the order, and with it on the number of threads.
const STEPS_PER_UNIT: f32 = (1u32 << 20) as f32;

/// Extremes and sum of each channel of one value.
#[derive(Clone)]
struct Seen {
    low: f32,
    high: f32,
    sums: Vec<i64>,
}

impl Seen {
    fn add(&mut self, numbers: &[f32]) {
        for position in numbers.chunks_exact(self.sums.len()) {
            for (sum, &x) in self.sums.iter_mut().zip(position) {
                // Casts saturate, and not-a-number counts as 0; neither gets past the check of the extremes.
                *sum = sum.saturating_add((x * STEPS_PER_UNIT) as i64);
                (self.low, self.high) = (self.low.min(x), self.high.max(x));
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.sums.iter_mut().zip(other.sums).for_each(|(a, b)| *a = a.saturating_add(b));
        self
    }
}

/// Runs the float file of a graph.
pub fn calibrate(reference: &Model, graph: &Graph, options: &Options) -> Result<Calibration, QuantizeError> {
    // Proves once that every later start succeeds.
    start(reference, &mut arena(reference))?;
    let samples = options.calibration_samples.unwrap_or_else(|| enough_samples(reference));
    if samples == 0 {
        return Err(QuantizeError::NoCalibration);
    }

    let output = |step: &Step| graph.nodes[step.index as usize].output;
    let seen = observe(
        reference,
        options.calibration_seed,
        samples,
        || graph.values.iter().map(|shape| Seen { low: 0.0, high: 0.0, sums: vec![0; shape[2]] }).collect::<Vec<_>>(),
        |seen, step| {
            if let View::F32(numbers) = step.output {
                seen[output(&step)].add(numbers);
            }
        },
        |a, b| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect(),
    );
    let extremes: Vec<(f32, f32)> = seen.iter().map(|seen| (seen.low, seen.high)).collect();
    if let Some(value) = extremes.iter().position(|&(low, high)| !(low.is_finite() && high.is_finite())) {
        return Err(QuantizeError::parameter(
            format!("activation {value}"),
            "is not finite: the weights overflow; train again or pick an earlier checkpoint",
        ));
    }
    let counts = observe(
        reference,
        options.calibration_seed,
        samples,
        || vec![vec![0u64; BINS]; graph.values.len()],
        |counts, step| {
            if let View::F32(numbers) = step.output {
                let (low, high) = extremes[output(&step)];
                let per_bin = BINS as f32 / (high - low).max(f32::MIN_POSITIVE);
                for &x in numbers {
                    counts[output(&step)][(((x - low) * per_bin) as usize).min(BINS - 1)] += 1;
                }
            }
        },
        |a, b| a.into_iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect(),
    );
    let ranges = extremes.iter().zip(&counts).map(|(&(low, high), counts)| best_range(low, high, counts)).collect();
    let summary = CalibrationSummary { samples, first_seed: options.calibration_seed, method: "mean squared error" };
    let mean = |(seen, shape): (&Seen, &[usize; 3])| {
        let count = f64::from(samples) * (shape[0] * shape[1]) as f64;
        seen.sums.iter().map(|&sum| sum as f64 / f64::from(STEPS_PER_UNIT) / count).collect()
    };
    let means = seen.iter().zip(&graph.values).map(mean).collect();
    Ok(Calibration { ranges, means, summary })
}

/// 256 pictures, or as many as some seconds allow where one takes long.
fn enough_samples(model: &Model) -> u32 {
    let macs: u64 = (0..model.op_count()).map(|i| model.op_info(i).macs).sum();
    (16_000_000_000 / macs.max(1)).clamp(4, 256) as u32
}

/// Makes the calibration pictures, in parallel, over all classes and the whole range of guidance. `merge` has to be
/// associative and commutative, so that the result does not depend on the number of threads.
fn observe<T: Send>(
    model: &Model,
    first_seed: u64,
    samples: u32,
    empty: impl Fn() -> T + Sync + Send,
    record: impl Fn(&mut T, Step) + Sync,
    merge: impl Fn(T, T) -> T + Sync + Send,
) -> T {
    let (weakest, strongest) = model.guidance_range();
    let run = |(mut seen, mut memory): (T, AVec<u8>), i: u32| {
        if let (Ok(mut sampler), Some(class)) = (start(model, &mut memory), model.class(i % model.classes().max(1))) {
            // Five strengths in turn; classes and strengths have no common rhythm to miss a pair for long.
            let span = u32::from(strongest.to_q8() - weakest.to_q8());
            let strength = u32::from(weakest.to_q8()) + span * (i / model.classes().max(1) % 5) / 4;
            let guidance = Guidance::from_q8(strength as u16);
            let start = Start::Seed(first_seed.wrapping_add(i.into()));
            let observe = &mut |step: Step| {
                record(&mut seen, step);
                ControlFlow::Continue(())
            };
            // Nothing here cancels, and the start is a seed.
            let _ = sampler.generate_observed(start, class, guidance, observe);
        }
        (seen, memory)
    };
    (0..samples)
        .into_par_iter()
        .with_min_len(if samples < 64 { 1 } else { 16 })
        .fold(|| (empty(), arena(model)), run)
        .map(|(seen, _)| seen)
        .reduce(&empty, merge)
}

fn arena(model: &Model) -> AVec<u8> {
    let mut arena = AVec::new(ALIGN as usize);
    arena.resize(model.arena_len(), 0);
    arena
}

/// The range with the smallest mean squared error on a grid of 256 points.
fn best_range(low: f32, high: f32, counts: &[u64]) -> Range {
    let (low, high) = (f64::from(low), f64::from(high));
    let (width, peak) = ((high - low) / counts.len() as f64, high.max(-low));
    let error = |range: Range| -> f64 {
        let step = (range.high - range.low) / 255.0;
        let cost = |(bin, &count): (usize, &u64)| {
            let x = low + (bin as f64 + 0.5) * width;
            let beyond = (x - range.high).max(range.low - x).max(0.0);
            count as f64 * (beyond * beyond + if beyond > 0.0 { 0.0 } else { step * step / 12.0 })
        };
        counts.iter().enumerate().filter(|(_, c)| **c > 0).map(cost).sum()
    };
    let candidates = (40..=100).map(|percent| {
        let share = f64::from(percent) / 100.0;
        Range { low: low * share, high: high * share, peak }
    });
    let whole = Range { low, high, peak };
    candidates
        .fold((error(whole), whole), |best, range| {
            let error = error(range);
            if error < best.0 { (error, range) } else { best }
        })
        .1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_clipped_and_a_flat_histogram_is_kept() {
        let mut counts = vec![0; BINS];
        counts[..BINS / 2].fill(1_000_000);
        counts[BINS - 1] = 1;
        let clipped = best_range(0.0, 8.0, &counts);
        assert!((4.0..4.2).contains(&clipped.high), "{clipped:?}");
        assert_eq!(best_range(-1.0, 1.0, &[10; BINS]), Range { low: -1.0, high: 1.0, peak: 1.0 });
    }
}
