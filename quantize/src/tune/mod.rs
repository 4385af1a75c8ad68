//! Looks for the integers that change the pictures least.

mod activations;
pub mod judge;
pub mod mixed;
mod search;
mod trial;
mod weights;

use crate::balance::Balance;
use crate::calibrate::Calibration;
use crate::graph::Graph;
use crate::integers::rounding::WeightBits;
use crate::integers::{Choice, formats};
use crate::program::Metadata;
use crate::runnable::Runnable;
use crate::{Activations, Options, QuantizeError, Technique};
use mixed::{Decisions, Kept};
use trial::Trial;

/// Decides about the integers of a graph. 16-bit activations hold everything that was seen; 8-bit ones are searched for.
pub fn choose<'c>(
    graph: &Graph,
    reference: &Runnable,
    calibration: &'c Calibration,
    options: &Options,
    metadata: &Metadata,
    release: &dyn Fn(),
) -> Result<(Choice<'c>, Decisions), QuantizeError> {
    let balance = Balance::none(graph);
    let eight = |node| options.activations == Activations::Eight && formats::eight_bits_do(graph, node);
    let narrow: Vec<bool> = graph.nodes.iter().map(eight).collect();
    let mut choice = Choice {
        ranges: calibration.ranges(&balance),
        means: &calibration.means,
        corrects_bias: options.uses(Technique::Bias),
        balance,
        narrow,
        weights: vec![WeightBits::Eight; graph.values.len()],
        rounded: vec![None; graph.values.len()],
    };
    let (four, budget) = (options.weights == WeightBits::Four, options.budget);
    if !four && budget.is_none() && !choice.narrow.contains(&true) {
        return Ok((choice, Decisions::default()));
    }
    let trial = Trial::new(graph, reference, (options, calibration.summary.samples), metadata, release)?;
    if choice.narrow.contains(&true) {
        choice = activations::choose(graph, calibration, &trial, options, choice)?;
    }
    if let Some(budget) = budget {
        return mixed::choose(graph, &trial, metadata, &choice, (budget, options));
    }
    if four {
        weights::choose(graph, &trial, (metadata, options), &mut choice, &|_| Kept::Four, &options.listener)?;
    }
    Ok((choice, Decisions::default()))
}

#[cfg(test)]
mod tests {
    use driftlet_checkpoint::{Architecture, Checkpoint, Config};

    use super::*;
    use crate::{Precision, quantize};

    #[test]
    fn every_technique_can_be_left_out() -> Result<(), Box<dyn std::error::Error>> {
        let architecture = Architecture::preset("micro").ok_or("no such preset")?;
        let checkpoint = Checkpoint::random(Config::new(architecture), 3);
        let file = |weights, without: &[Technique]| {
            let options = Options {
                activations: Activations::Eight,
                weights,
                calibration_samples: Some(2),
                without: without.to_vec(),
                ..Options::new("micro", Precision::Int8)
            };
            quantize(&checkpoint, &options)
        };
        let all = file(WeightBits::Eight, &[])?;
        for technique in [Technique::Balance, Technique::Ranges, Technique::Bias] {
            assert_ne!(file(WeightBits::Eight, &[technique])?, all, "{technique:?}");
        }
        let all = file(WeightBits::Four, &[])?;
        for technique in [Technique::Fit, Technique::Errors] {
            assert_ne!(file(WeightBits::Four, &[technique])?, all, "{technique:?}");
        }
        Ok(())
    }
}
