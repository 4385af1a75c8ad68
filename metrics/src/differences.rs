//! Differences of figures between two models, with paired bootstrap intervals: each resample draws the same seeds for both.

use std::collections::BTreeMap;

use crate::collected::Part;
use crate::comparison::{Difference, ReferenceModel};
use crate::coverage::Neighbours;
use crate::features::argmax;
use crate::inception_score::Guesses;
use crate::kid::influences;
use crate::real::{Memorization, NEIGHBOURS};
use crate::vectors::Vectors;
use crate::{About, Coverage, MetricsError, Real, Resamples};

/// What single pictures say: enough for the figures of any resample.
pub struct Singles {
    /// Whether each was taken for its class.
    named: Option<Vec<f64>>,
    guesses: Guesses,
    /// What each adds to the kernel distance.
    kernel: Option<Vec<f64>>,
    neighbours: Option<Neighbours>,
    /// Distance to the nearest picture of the train split.
    nearest: Option<Vec<f64>>,
}

impl Singles {
    /// Of the kept pictures, and with the data's own pictures the figures of all of them.
    pub fn new(
        part: &Part,
        about: &About,
        classifier: bool,
        beside: Option<(&Real, &Vectors)>,
    ) -> Result<(Self, Option<Coverage>, Option<Memorization>), MetricsError> {
        let named = |(i, logits)| f64::from(u8::from(argmax(logits) == i as u32 % about.classes.max(1)));
        let named = || part.logits.chunks_exact(about.outputs).enumerate().map(named).collect();
        let neighbours =
            |(real, vectors): (&Real, &Vectors)| Neighbours::new(&real.test, &real.radii, vectors, NEIGHBOURS);
        let neighbours = beside.map(neighbours).transpose()?;
        let (nearest, memorization) = beside.and_then(|(real, vectors)| real.memorization(vectors)).unzip();
        let coverage = neighbours.as_ref().map(Neighbours::coverage);
        let singles = Self {
            named: classifier.then(named),
            guesses: Guesses::new(&part.logits, about.outputs),
            kernel: beside.map(|(real, vectors)| influences(&real.test, vectors)),
            neighbours,
            nearest,
        };
        Ok((singles, coverage, memorization))
    }
}

/// Figures of the second less those of the first, by name.
pub fn differences(
    (a, first): (&ReferenceModel, &Singles),
    (b, second): (&ReferenceModel, &Singles),
    resamples: &Resamples,
) -> Result<BTreeMap<&'static str, Difference>, MetricsError> {
    let mut differences = BTreeMap::new();
    let mut add =
        |name, difference: f64, low: f64, high: f64| differences.insert(name, Difference { difference, low, high });
    // A mean of numbers of single pictures; those that were not kept count in the difference alone.
    let mean = |all: f64, a: &[f64], b: &[f64], resamples: &Resamples| {
        let numbers: Vec<f64> = b.iter().zip(a).map(|(b, a)| b - a).collect();
        let kept = numbers.iter().sum::<f64>() / numbers.len() as f64;
        Ok::<_, MetricsError>(resamples.mean(&numbers)?.shifted(all - kept))
    };
    if let (Some(x), Some(y), Some(all)) = (&first.named, &second.named, b.class_accuracy.zip(a.class_accuracy)) {
        let all = all.0 - all.1;
        let interval = mean(all, x, y, resamples)?;
        add("class_accuracy", all, interval.low, interval.high);
    }
    let score = |weights: &[u32]| second.guesses.score(weights) - first.guesses.score(weights);
    let all = b.inception_score - a.inception_score;
    let kept = score(&vec![1; resamples.from]);
    let interval = resamples.interval(|weights| Ok(score(weights)))?.shifted(all - kept);
    add("inception_score", all, interval.low, interval.high);
    // What follows is measured on the kept pictures only.
    let kept = Resamples { draws: resamples.from, ..*resamples };
    if let (Some(x), Some(y), Some((b, a))) = (&first.kernel, &second.kernel, b.kid.zip(a.kid)) {
        let interval = mean(b.mean - a.mean, x, y, &kept)?;
        add("kid", b.mean - a.mean, interval.low, interval.high);
    }
    if let (Some(x), Some(y), Some((b, a))) = (&first.nearest, &second.nearest, b.memorization.zip(a.memorization)) {
        let interval = mean(b.distance - a.distance, x, y, &kept)?;
        add("nearest_train", b.distance - a.distance, interval.low, interval.high);
    }
    if let (Some(x), Some(y), Some((b, a))) = (&first.neighbours, &second.neighbours, b.coverage.zip(a.coverage)) {
        type Figure = fn(&Neighbours, &[u32]) -> f64;
        let figures: [(&str, Figure, f64); 4] = [
            ("fidelity", Neighbours::fidelity, b.fidelity - a.fidelity),
            ("recall", Neighbours::recall, b.recall - a.recall),
            ("density", Neighbours::density, b.density - a.density),
            ("coverage", Neighbours::covered, b.coverage - a.coverage),
        ];
        for (name, figure, difference) in figures {
            let interval = kept.interval_around(difference, |weights| Ok(figure(y, weights) - figure(x, weights)))?;
            add(name, difference, interval.low, interval.high);
        }
    }
    Ok(differences)
}
