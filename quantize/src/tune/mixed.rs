//! Bits of every layer's weights under a limit of bytes: each choice of each layer is tried alone, and what all of them together cost
//! the pictures least is found exactly (a knapsack, by dynamic programming). Where a judge looks at the distribution of the pictures,
//! files near to that are made and judged as a whole: what layers cost does not quite add up.

use std::sync::Arc;

use super::Trial;
use super::search::{self, Judged};
use super::weights::{self, Fit, layers};
use crate::graph::{Filter, Graph, Node};
use crate::integers::rounding::{WeightBits, group_count, stored_terms};
use crate::integers::{Choice, program};
use crate::program::Metadata;
use crate::runnable::Runnable;
use crate::{Listener, Options, QuantizeError, Technique};

/// A layer's description in the file grows by so much when its signal-to-noise ratio is known.
const LISTED: usize = 16;
/// Bytes that another tensor and working memory take in the tables.
const RECORDS: usize = 32 + 36;
/// What a listener is told.
const ALONE: &str = "trying layers";
/// Steps of the limit in the knapsack.
const STEPS: usize = 1 << 14;

/// How the weights of a layer are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// 8 bits.
    Eight,
    /// 4 bits, a scale for each output channel.
    Four,
    /// 4 bits, one scale for all channels, and only the multipliers apart.
    FourOfOneScale,
}

impl Kept {
    /// Bits of a weight.
    pub fn bits(self) -> WeightBits {
        if self == Self::Eight { WeightBits::Eight } else { WeightBits::Four }
    }
}

/// What was decided about a layer, and by what.
#[derive(Clone, Debug)]
pub struct LayerChoice {
    /// The name of its weights.
    pub name: String,
    /// How they are kept.
    pub kept: Kept,
    /// Bytes of weights, multipliers and scales, and of records that only this choice needs.
    pub bytes: usize,
    /// Of every way to keep them: bytes, and what grows where only this layer is kept so: the squared error of the pictures, relative to
    /// their energy, or with [`Options::features`] the Frechet distance.
    pub tried: Vec<(Kept, usize, f64)>,
    /// Why.
    pub why: String,
}

/// What was decided under a budget.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    /// About every layer, in order of execution; none where no budget left a choice.
    pub layers: Vec<LayerChoice>,
    /// About files as a whole, with [`Options::features`].
    pub wholes: Option<Wholes>,
}

/// Frechet distances of whole files.
#[derive(Clone, Debug)]
pub struct Wholes {
    /// Pictures that a distance is of.
    pub pictures: u32,
    /// Of the float model.
    pub float: f64,
    /// Of weights of 8 bits everywhere, the nearest.
    pub eight: f64,
    /// Of the choices of which the sensitivities have the least sum.
    pub sum: f64,
    /// Of the choices taken.
    pub taken: f64,
    /// Files that were made and judged.
    pub files: usize,
}

/// Decides about every layer, with all at 8 bits as a start, and fits the weights.
pub fn choose<'c>(
    graph: &Graph,
    trial: &Trial,
    metadata: &Metadata,
    choice: &Choice<'c>,
    (limit, options): (usize, &Options),
) -> Result<(Choice<'c>, Decisions), QuantizeError> {
    let start = Runnable::new(&program(graph, choice)?, metadata)?.len() + LISTED * graph.nodes.len();
    let eight_bits = trial.figure(choice)?;
    let mut decided = Vec::new();
    let count = layers(graph).count();
    for (i, (node, filter)) in layers(graph).enumerate() {
        options.listener.hear(ALONE, i, count);
        let tried = alone(graph, trial, metadata, choice, (node, filter), options, eight_bits)?;
        decided.push(LayerChoice {
            name: filter.name.clone(),
            kept: Kept::Eight,
            bytes: tried[0].1,
            tried,
            why: String::new(),
        });
    }
    options.listener.hear(ALONE, count, count);
    let eight: usize = decided.iter().map(|layer| layer.bytes).sum();
    let rest = start.saturating_sub(eight);
    let least: usize = decided.iter().map(|layer| layer.tried.iter().map(|t| t.1).min().unwrap_or(0)).sum();
    let too_small = || QuantizeError::Budget { budget: limit, least: rest + least };
    let room = limit.checked_sub(rest).ok_or_else(too_small)?;
    // Smoother pictures may have less error, and less variety: a distance may fall.
    let cost = |error: f64| if trial.judge.is_some() { error } else { error.max(0.0) };
    let costs = |layer: &LayerChoice| layer.tried.iter().map(|&(_, bytes, error)| (bytes, cost(error))).collect();
    let costs: Vec<Vec<(usize, f64)>> = decided.iter().map(costs).collect();
    // What comes in and what goes out show most: 8 bits if the others can make up for it.
    let ends = [0, decided.len().saturating_sub(1)];
    let mut at_ends = costs.clone();
    at_ends.iter_mut().enumerate().filter(|(i, _)| ends.contains(i)).for_each(|(_, costs)| costs.truncate(1));
    let (found, ends_kept) = match knapsack(&at_ends, room) {
        Some(found) => (found, true),
        None => (knapsack(&costs, room).ok_or_else(too_small)?, false),
    };
    set(&mut decided, &found);
    let why: Vec<String> = (0..decided.len())
        .map(|i| if ends_kept && ends.contains(&i) { "first or last layer".into() } else { why(&decided, i) })
        .collect();
    decided.iter_mut().zip(why).for_each(|(layer, why)| layer.why = why);

    let whole = |found: &[usize], listener: &Listener| -> Result<Choice<'c>, QuantizeError> {
        let mut whole = choice.clone();
        let kept = |value| {
            let mut layers = layers(graph).zip(&decided).zip(found);
            layers.find(|((layer, _), _)| layer.0.output == value).map_or(Kept::Eight, |((_, l), &c)| l.tried[c].0)
        };
        weights::choose(graph, trial, (metadata, options), &mut whole, &kept, listener)?;
        Ok(whole)
    };
    let Some(judge) = &trial.judge else {
        return Ok((whole(&found, &options.listener)?, Decisions { layers: decided, wholes: None }));
    };
    let make = |found: &[usize]| {
        let whole = whole(found, &Listener::default())?;
        let distance = trial.figure(&whole)?;
        Ok(Judged { found: found.to_vec(), distance, what: whole })
    };
    let (first, best, files) = search::best(&costs, room, found, make, &options.listener)?;
    let float = judge.distance(&trial.reference()?)?;
    let wholes = Wholes { pictures: judge.pictures, float, eight: eight_bits, sum: first, taken: best.distance, files };
    let before: Vec<Kept> = decided.iter().map(|layer| layer.kept).collect();
    set(&mut decided, &best.found);
    for (layer, _) in decided.iter_mut().zip(before).filter(|(layer, before)| layer.kept != *before) {
        layer.why =
            "as a whole, a file with this choice has pictures of a distribution nearer to what it should be".into();
    }
    Ok((best.what, Decisions { layers: decided, wholes: Some(wholes) }))
}

/// What every way to keep a layer takes, and costs where only this layer is kept so.
fn alone(
    graph: &Graph,
    trial: &Trial,
    metadata: &Metadata,
    choice: &Choice,
    (node, filter): (&Node, &Filter),
    options: &Options,
    eight_bits: f64,
) -> Result<Vec<(Kept, usize, f64)>, QuantizeError> {
    let mut tried = vec![(Kept::Eight, bytes(node, filter, Kept::Eight), 0.0)];
    let fits = options.uses(Technique::Fit);
    let fit = if fits { Fit::new(graph, trial, metadata, choice, node, filter)? } else { None };
    for kept in [Kept::Four, Kept::FourOfOneScale] {
        let mut alone = choice.clone();
        alone.weights[node.output] = WeightBits::Four;
        if let Some(fit) = &fit {
            alone.rounded[node.output] = fit.closest(kept, false).map(Arc::new);
        }
        let one_scale = kept == Kept::FourOfOneScale
            && alone.rounded[node.output].as_ref().is_some_and(|rounded| rounded.grid.one_scale());
        // The nearest weights have a scale for each channel.
        if kept == Kept::Four || one_scale && node.inputs[1].is_none() {
            tried.push((kept, bytes(node, filter, kept), trial.figure(&alone)? - eight_bits));
        }
    }
    Ok(tried)
}

/// Gives every layer a choice of those that were tried.
fn set(decided: &mut [LayerChoice], found: &[usize]) {
    for (layer, &chosen) in decided.iter_mut().zip(found) {
        (layer.kept, layer.bytes, _) = layer.tried[chosen];
    }
}

/// The reason for a choice; true because no other choices that fit cost less.
fn why(decided: &[LayerChoice], i: usize) -> String {
    // What another choice saves, and what it costs.
    let against_eight = |layer: &LayerChoice, kept: Kept| {
        let of = |kept| {
            layer.tried.iter().find(|tried| tried.0 == kept).map_or((0, 0.0), |&(_, bytes, error)| (bytes, error))
        };
        let ((eight, _), (bytes, error)) = (of(Kept::Eight), of(kept));
        (eight as i64 - bytes as i64, error.max(0.0))
    };
    let layer = &decided[i];
    let narrowed = || decided.iter().filter(|l| l.kept != Kept::Eight).map(|l| against_eight(l, l.kept));
    let (saved, error) = against_eight(layer, layer.kept);
    match layer.kept {
        Kept::Eight => {
            let (saved, error) = against_eight(layer, Kept::Four);
            if saved <= 0 {
                "4 bits would save nothing".into()
            } else if narrowed().next().is_none() {
                "all layers fit with 8 bits".into()
            } else if narrowed().all(|(_, other)| other <= error) {
                "4 bits would cost the pictures more here than in any layer that has them".into()
            } else {
                format!("4 bits would save {saved} bytes, too few for any layer that costs more to go back to 8 bits")
            }
        }
        Kept::Four if narrowed().all(|(_, other)| other >= error) => {
            "4 bits cost the pictures less here than in any other layer that has them".into()
        }
        Kept::Four => {
            format!("saves {saved} bytes; to save them elsewhere would cost the pictures more, or cannot be done")
        }
        Kept::FourOfOneScale => {
            let more = saved - against_eight(layer, Kept::Four).0;
            format!(
                "saves {saved} bytes, {more} of them scales of channels; to save them elsewhere would cost the pictures more, \
                 or cannot be done"
            )
        }
    }
}

/// What a layer takes in the file, every tensor aligned.
fn bytes(node: &Node, filter: &Filter, kept: Kept) -> usize {
    let aligned = |len: usize| len.next_multiple_of(64);
    let weights = filter.outputs * stored_terms(filter);
    let row = if node.inputs[1].is_some() { 12 } else { 8 };
    let (weights, rows) = match kept {
        Kept::Eight => (aligned(weights), filter.outputs),
        Kept::Four | Kept::FourOfOneScale => (
            aligned(weights / 2) + aligned((filter.outputs * group_count(filter)).div_ceil(2)) + RECORDS,
            if kept == Kept::Four { filter.outputs } else { 1 },
        ),
    };
    weights + aligned(row * rows)
}

/// Of each list of choices one, bytes and cost, such that all fit the room and cost least; `None` where nothing fits.
fn knapsack(options: &[Vec<(usize, f64)>], room: usize) -> Option<Vec<usize>> {
    let unit = room.div_ceil(STEPS).max(1);
    let steps = room / unit;
    // The least cost of the layers so far in so many units, and the choice of the last.
    let mut cost = vec![0.0; steps + 1];
    let mut taken = Vec::new();
    for choices in options {
        let mut next = vec![f64::INFINITY; steps + 1];
        let mut chosen = vec![usize::MAX; steps + 1];
        for (i, &(bytes, error)) in choices.iter().enumerate() {
            let size = bytes.div_ceil(unit);
            for at in size..=steps {
                let sum = cost[at - size] + error;
                if sum < next[at] {
                    (next[at], chosen[at]) = (sum, i);
                }
            }
        }
        cost = next;
        taken.push(chosen);
    }
    let mut at = steps;
    let mut found = vec![0; options.len()];
    for (layer, choices) in options.iter().enumerate().rev() {
        let chosen = taken[layer][at];
        let &(bytes, _) = choices.get(chosen)?;
        found[layer] = chosen;
        at -= bytes.div_ceil(unit);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_choice_that_fits_costs_less() {
        let options: Vec<Vec<(usize, f64)>> = (0..7)
            .map(|layer| (0..3).map(|c| (100 * (3 - c) + 37 * layer, (c * c * (layer * 5 % 7 + 1)) as f64)).collect())
            .collect();
        let total = |choice: &[usize]| {
            let chosen = choice.iter().zip(&options).map(|(&c, options)| options[c]);
            chosen.fold((0, 0.0), |sum, (bytes, cost)| (sum.0 + bytes, sum.1 + cost))
        };
        for room in [1476, 1480, 1600, 1777, 2000, 2500, 9999] {
            let found = knapsack(&options, room);
            let all = (0..3usize.pow(7)).map(|code| (0..7).map(|i| code / 3usize.pow(i) % 3).collect::<Vec<_>>());
            let best = all.map(|choice| total(&choice)).filter(|&(bytes, _)| bytes <= room).map(|(_, cost)| cost);
            let best = best.fold(f64::INFINITY, f64::min);
            match found {
                None => assert!(best.is_infinite(), "{room}"),
                Some(found) => {
                    let (bytes, cost) = total(&found);
                    assert!(bytes <= room && cost == best, "{room}: {cost} instead of {best}");
                }
            }
        }
    }

    #[test]
    fn reasons_are_true() {
        let layer = |kept, eight: usize, four: (usize, f64)| {
            let tried = vec![(Kept::Eight, eight, 0.0), (Kept::Four, four.0, four.1)];
            LayerChoice { name: String::new(), kept, bytes: 0, tried, why: String::new() }
        };
        let decided = [
            layer(Kept::Four, 1000, (600, 0.002)),
            layer(Kept::Four, 1000, (600, 0.001)),
            layer(Kept::Eight, 100, (60, 0.0005)),
            layer(Kept::Eight, 1000, (600, 0.003)),
            layer(Kept::Eight, 64, (96, 0.1)),
        ];
        assert!(why(&decided, 0).starts_with("saves 400 bytes; "));
        assert!(why(&decided, 1).contains("less here than in any other layer"));
        assert!(why(&decided, 2).contains("would save 40 bytes, too few"));
        assert!(why(&decided, 3).contains("more here than in any layer that has them"));
        assert!(why(&decided, 4).contains("save nothing"));
        assert!(why(&decided[2..], 0).contains("all layers fit"));
    }
}
