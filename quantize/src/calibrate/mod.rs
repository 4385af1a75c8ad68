//! What activations look like: extremes and means of every channel, from pictures that the float model makes.

pub mod histogram;
pub mod pictures;

use driftlet_runtime::{Model, Step, View};

use crate::balance::Balance;
use crate::graph::{Graph, ValueId};
use crate::program::CalibrationSummary;
use crate::runnable::start;
use crate::{Options, QuantizeError};
use pictures::{arena, observe};

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
    /// Least and largest number of each channel, over pictures and positions; both sides of 0.
    channels: Vec<Vec<(f32, f32)>>,
    /// Mean of each channel.
    pub means: Vec<Vec<f64>>,
    pub summary: CalibrationSummary,
}

/// Sums are in integers, so that they do not depend on the order, and with it on the number of threads.
const STEPS_PER_UNIT: f32 = (1u32 << 20) as f32;

/// Extremes and sum of each channel of one value.
#[derive(Clone)]
struct Seen {
    extremes: Vec<(f32, f32)>,
    sums: Vec<i64>,
}

impl Seen {
    fn add(&mut self, numbers: &[f32]) {
        for position in numbers.chunks_exact(self.sums.len()) {
            for ((sum, (low, high)), &x) in self.sums.iter_mut().zip(&mut self.extremes).zip(position) {
                // Casts saturate, and not-a-number counts as 0; neither gets past the check of the extremes.
                *sum = sum.saturating_add((x * STEPS_PER_UNIT) as i64);
                (*low, *high) = (low.min(x), high.max(x));
            }
        }
    }

    fn merge(mut self, other: Self) -> Self {
        self.extremes.iter_mut().zip(other.extremes).for_each(|(a, b)| *a = (a.0.min(b.0), a.1.max(b.1)));
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
    let empty = |shape: &[usize; 3]| Seen { extremes: vec![(0.0, 0.0); shape[2]], sums: vec![0; shape[2]] };
    let seen = observe(
        reference,
        options.calibration_seed,
        samples,
        || graph.values.iter().map(empty).collect::<Vec<_>>(),
        |seen, step| {
            if let View::F32(numbers) = step.output {
                seen[output(&step)].add(numbers);
            }
        },
        |a, b| a.into_iter().zip(b).map(|(a, b)| a.merge(b)).collect(),
    );
    let finite = |seen: &Seen| seen.extremes.iter().all(|(low, high)| low.is_finite() && high.is_finite());
    if let Some(value) = seen.iter().position(|seen| !finite(seen)) {
        return Err(QuantizeError::parameter(
            format!("activation {value}"),
            "is not finite: the weights overflow; train again or pick an earlier checkpoint",
        ));
    }
    let mean = |(seen, shape): (&Seen, &[usize; 3])| {
        let count = f64::from(samples) * (shape[0] * shape[1]) as f64;
        seen.sums.iter().map(|&sum| sum as f64 / f64::from(STEPS_PER_UNIT) / count).collect()
    };
    let means = seen.iter().zip(&graph.values).map(mean).collect();
    let summary = CalibrationSummary { samples, first_seed: options.calibration_seed, method: options.method() };
    Ok(Calibration { channels: seen.into_iter().map(|seen| seen.extremes).collect(), means, summary })
}

impl Calibration {
    /// Largest magnitude of each channel.
    pub fn peaks(&self, value: ValueId) -> impl Iterator<Item = f64> + '_ {
        self.channels[value].iter().map(|&(low, high)| f64::from(high.max(-low)))
    }

    /// Least and largest number of a value, in its balanced units.
    pub fn extremes(&self, value: ValueId, balance: &Balance) -> (f64, f64) {
        let channels = self.channels[value].iter().enumerate().map(|(c, &(low, high))| {
            let factor = balance.factor(value, c);
            (f64::from(low) / factor, f64::from(high) / factor)
        });
        channels.fold((0.0, 0.0), |a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Ranges that hold everything seen.
    pub fn ranges(&self, balance: &Balance) -> Vec<Range> {
        let range = |v| {
            let (low, high) = self.extremes(v, balance);
            Range { low, high, peak: high.max(-low) }
        };
        (0..self.channels.len()).map(range).collect()
    }
}

/// 256 pictures, or as many as some seconds allow where one takes long.
fn enough_samples(model: &Model) -> u32 {
    (16_000_000_000 / model.macs().max(1)).clamp(4, 256) as u32
}
