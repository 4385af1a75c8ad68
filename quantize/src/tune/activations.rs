//! 8-bit activations: how far channels are balanced, and the range of every value.
//!
//! First one criterion for all values, at several strengths of balancing; then, value by value, what else lowers the error of
//! the pictures. A network of which pictures take long gets a short list, and no second part.

use super::Trial;
use crate::balance::Balance;
use crate::calibrate::histogram::{Criterion, Histogram, count};
use crate::calibrate::{Calibration, Range};
use crate::graph::{Graph, ValueId};
use crate::integers::Choice;
use crate::{Options, QuantizeError, Technique};

/// Strengths of balancing, the first of them in the short list too.
const STRENGTHS: [f64; 4] = [0.5, 0.0, 0.75, 1.0];
/// Strengths and criteria of the short list.
const SHORT: (usize, usize) = (2, 3);
/// Parts of the best range so far that are tried behind the criteria.
const NARROWER: [f64; 4] = [0.3, 0.5, 0.75, 0.9];
/// What a listener is told.
const WHAT: &str = "searching for ranges of activations";
/// Times that all values are gone through.
const ROUNDS: usize = 2;

/// Balance and ranges with the least error of the pictures.
pub fn choose<'c>(
    graph: &Graph,
    calibration: &Calibration,
    trial: &Trial,
    options: &Options,
    start: Choice<'c>,
) -> Result<Choice<'c>, QuantizeError> {
    let every = STRENGTHS.len() * Criterion::ALL.len();
    let (strengths, criteria) = if trial.affordable < every { SHORT } else { (STRENGTHS.len(), Criterion::ALL.len()) };
    let strengths = if options.uses(Technique::Balance) { &STRENGTHS[..strengths] } else { &[0.0] };
    let chosen_ranges = options.uses(Technique::Ranges);
    let criteria = if chosen_ranges { &Criterion::ALL[..criteria] } else { &[Criterion::MinMax] };
    let narrow: Vec<ValueId> = (0..graph.values.len()).filter(|&v| start.narrow[v]).collect();
    let first = strengths.len() * criteria.len();
    let mut left = if chosen_ranges { trial.affordable.saturating_sub(first) } else { 0 };
    left = left.min(ROUNDS * narrow.len() * (Criterion::ALL.len() + NARROWER.len()));
    let total = first + left;
    let mut tried = 0;
    let mut step = || {
        tried += 1;
        options.listener.hear(WHAT, tried, total);
    };
    let mut best: Option<(f64, Choice)> = None;
    let mut histograms = Vec::new();
    for &strength in strengths {
        let balance = Balance::new(graph, calibration, &start.narrow, strength);
        let counted = count(&trial.reference()?, graph, calibration, &balance);
        let mut better = false;
        for &criterion in criteria {
            let mut ranges = calibration.ranges(&balance);
            for &value in &narrow {
                ranges[value] = counted[value].range(criterion);
            }
            let candidate = Choice { balance: balance.clone(), ranges, ..start.clone() };
            let error = trial.error(&candidate)?;
            step();
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                (best, better) = (Some((error, candidate)), true);
            }
        }
        if better {
            histograms = counted;
        }
    }
    let Some((mut least, mut choice)) = best else { return Ok(start) };
    if !chosen_ranges {
        return Ok(choice);
    }
    for value in (0..ROUNDS).flat_map(|_| &narrow).copied() {
        let ranges = candidates(&histograms[value], choice.ranges[value]);
        for range in ranges.into_iter().take(left) {
            left -= 1;
            let before = std::mem::replace(&mut choice.ranges[value], range);
            let error = trial.error(&choice)?;
            step();
            if error < least {
                least = error;
            } else {
                choice.ranges[value] = before;
            }
        }
    }
    if tried < total {
        options.listener.hear(WHAT, total, total);
    }
    Ok(choice)
}

/// Ranges that differ from the one so far.
fn candidates(histogram: &Histogram, current: Range) -> Vec<Range> {
    let narrower = NARROWER.map(|part| Range { low: current.low * part, high: current.high * part, ..current });
    let mut ranges: Vec<Range> = Vec::new();
    for range in Criterion::ALL.map(|criterion| histogram.range(criterion)).into_iter().chain(narrower) {
        if range != current && !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    ranges
}
