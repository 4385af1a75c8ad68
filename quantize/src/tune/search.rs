//! From the choices of which the costs have the least sum to better ones, by what whole files are worth.

use crate::{Listener, QuantizeError};

/// Files that are made and judged.
const FILES: usize = 16;
/// What a listener is told.
const WHAT: &str = "judging whole files";

/// A file with a choice for every layer.
pub struct Judged<T> {
    pub found: Vec<usize>,
    pub distance: f64,
    pub what: T,
}

/// The distance of the first choices, the best of all that were judged, and their number. What differs from the best so far in one
/// layer or in two, fits, and has the least sum of costs is judged next: always the same, for the same costs and distances.
pub fn best<T>(
    costs: &[Vec<(usize, f64)>],
    room: usize,
    first: Vec<usize>,
    make: impl Fn(&[usize]) -> Result<Judged<T>, QuantizeError>,
    listener: &Listener,
) -> Result<(f64, Judged<T>, usize), QuantizeError> {
    listener.hear(WHAT, 0, FILES);
    let mut best = make(&first)?;
    let (of_first, mut seen) = (best.distance, vec![first]);
    while seen.len() < FILES {
        listener.hear(WHAT, seen.len(), FILES);
        let Some(next) = next(costs, room, &best.found, &seen) else { break };
        let judged = make(&next)?;
        seen.push(next);
        if judged.distance < best.distance {
            best = judged;
        }
    }
    listener.hear(WHAT, FILES, FILES);
    Ok((of_first, best, seen.len()))
}

/// The cheapest choices that differ from `from` in one layer or in two, fit, and are not among `seen`.
fn next(costs: &[Vec<(usize, f64)>], room: usize, from: &[usize], seen: &[Vec<usize>]) -> Option<Vec<usize>> {
    let bytes: usize = from.iter().zip(costs).map(|(&chosen, costs)| costs[chosen].0).sum();
    // Of every other choice of every layer: what it adds to bytes and cost.
    let changes: Vec<(usize, usize, i64, f64)> = costs
        .iter()
        .zip(from)
        .enumerate()
        .flat_map(|(layer, (costs, &now))| {
            let (bytes, cost) = costs[now];
            let others = costs.iter().enumerate().filter(move |(other, _)| *other != now);
            others.map(move |(other, &(b, c))| (layer, other, b as i64 - bytes as i64, c - cost))
        })
        .collect();
    let mut cheapest: Option<(f64, Vec<usize>)> = None;
    let mut consider = |changed: &[&(usize, usize, i64, f64)]| {
        let cost: f64 = changed.iter().map(|change| change.3).sum();
        let fits = bytes as i64 + changed.iter().map(|change| change.2).sum::<i64>() <= room as i64;
        if !fits || cheapest.as_ref().is_some_and(|(least, _)| cost >= *least) {
            return;
        }
        let mut found = from.to_vec();
        changed.iter().for_each(|change| found[change.0] = change.1);
        if !seen.contains(&found) {
            cheapest = Some((cost, found));
        }
    };
    for (i, one) in changes.iter().enumerate() {
        consider(&[one]);
        changes[..i].iter().filter(|other| other.0 != one.0).for_each(|other| consider(&[other, one]));
    }
    cheapest.map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Costs that add up, but for one pair of choices that goes together well.
    fn distance(costs: &[Vec<(usize, f64)>], found: &[usize]) -> f64 {
        let sum: f64 = found.iter().zip(costs).map(|(&chosen, costs)| costs[chosen].1).sum();
        if found[1] == 1 && found[2] == 1 { sum - 10.0 } else { sum }
    }

    #[test]
    fn what_goes_together_is_found_and_fits() -> Result<(), QuantizeError> {
        let costs: Vec<Vec<(usize, f64)>> =
            (0..5).map(|layer| vec![(100, 0.0), (60, 1.0 + layer as f64), (50, 2.5 + layer as f64)]).collect();
        let make = |found: &[usize]| {
            Ok(Judged { found: found.to_vec(), distance: distance(&costs, found), what: found.to_vec() })
        };
        let room = 420;
        let (first, best, files) = super::best(&costs, room, vec![1, 1, 0, 0, 0], make, &Listener::default())?;
        assert_eq!((first, best.found.as_slice()), (3.0, &[0, 1, 1, 0, 0][..]));
        assert!(files <= FILES && best.what == best.found);
        let bytes: usize = best.found.iter().zip(&costs).map(|(&chosen, costs)| costs[chosen].0).sum();
        assert!(bytes <= room);
        Ok(())
    }
}
