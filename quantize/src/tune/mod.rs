//! Looks for the integers that change the pictures least.

mod activations;
mod trial;

use crate::balance::Balance;
use crate::calibrate::Calibration;
use crate::graph::Graph;
use crate::integers::{Choice, formats};
use crate::program::Metadata;
use crate::runnable::Runnable;
use crate::{Activations, Options, QuantizeError};
use trial::Trial;

/// Decides about the integers of a graph. 16-bit activations hold everything that was seen; 8-bit ones are searched for.
pub fn choose<'c>(
    graph: &Graph,
    reference: &Runnable,
    calibration: &'c Calibration,
    options: &Options,
    metadata: &Metadata,
    release: &dyn Fn(),
) -> Result<Choice<'c>, QuantizeError> {
    let balance = Balance::none(graph);
    let eight = |node| options.activations == Activations::Eight && formats::eight_bits_do(graph, node);
    let narrow: Vec<bool> = graph.nodes.iter().map(eight).collect();
    let choice = Choice { ranges: calibration.ranges(&balance), means: &calibration.means, balance, narrow };
    if !choice.narrow.contains(&true) {
        return Ok(choice);
    }
    let trial =
        Trial::new(graph, reference, (options.calibration_seed, calibration.summary.samples), metadata, release)?;
    activations::choose(graph, calibration, &trial, choice)
}
