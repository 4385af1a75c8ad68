//! Weights layer by layer: each layer is set such that on what the integers before it make, its sums are nearest to those of the float
//! model, so that it makes up for their errors too.

mod lattice;
mod moments;

use std::sync::Arc;

use super::Trial;
use super::mixed::Kept;
use crate::graph::{Filter, Graph, Node, Op, ValueId};
use crate::integers::rounding::Rounded;
use crate::integers::{Choice, program};
use crate::program::Metadata;
use crate::runnable::Runnable;
use crate::{Listener, Options, QuantizeError, Technique};
use lattice::Target;
use moments::Moments;

/// Multiply-accumulates of a picture beyond which weights are the nearest: the search would take too long.
const LARGEST: u64 = 1_000_000_000;

/// Layers whose weights may have 4 bits, in order of execution.
pub fn layers<'g>(graph: &'g Graph<'g>) -> impl Iterator<Item = (&'g Node<'g>, &'g Filter<'g>)> {
    graph.nodes.iter().filter_map(|node| match &node.op {
        Op::Linear(filter) | Op::Conv2d { filter, .. } if !node.op.depthwise() => Some((node, filter)),
        _ => None,
    })
}

/// What is needed to fit the weights of a layer to its inputs.
pub struct Fit<'f> {
    filter: &'f Filter<'f>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    input_scale: f64,
    moments: Moments,
}

impl<'f> Fit<'f> {
    /// Runs the float model, and the integers chosen so far, up to the layer; `None` for layers and networks that are too large.
    pub fn new(
        graph: &Graph,
        trial: &Trial,
        metadata: &Metadata,
        choice: &Choice,
        node: &Node,
        filter: &'f Filter<'f>,
    ) -> Result<Option<Self>, QuantizeError> {
        let float = trial.reference()?;
        let Some(input) = node.inputs[0].filter(|_| float.macs() <= LARGEST && moments::can_be_had(node)) else {
            return Ok(None);
        };
        let program = program(graph, choice)?;
        let input_scale = f64::from(program.values[input].scale);
        let candidate = Runnable::new(&program, metadata)?;
        let models = (&float, &candidate.model()?);
        let moments = moments::moments(models, graph, node, filter, &choice.balance, trial.seeds)?;
        Ok(moments.map(|moments| Self {
            filter,
            weights: choice.balance.weights(graph, node, filter).into_owned(),
            bias: choice.balance.divide(node.output, &filter.bias).into_owned(),
            input_scale,
            moments,
        }))
    }

    /// Weights that serve what the integers before the layer make best; with `makes_up`, they also make up for the errors in it.
    pub fn closest(&self, kept: Kept, makes_up: bool) -> Option<Rounded> {
        let target =
            Target { filter: self.filter, weights: &self.weights, bias: &self.bias, input_scale: self.input_scale };
        let of_integers;
        let moments = if makes_up {
            &self.moments
        } else {
            of_integers = self.moments.of_integers();
            &of_integers
        };
        lattice::closest(&target, moments, kept.bits(), kept == Kept::FourOfOneScale)
    }
}

/// Keeps the weights of every layer as it is told, in order of execution: of the nearest, those that serve the integer model's
/// inputs best as they are, and those that also make up for the errors of the layers before, the ones with the least error of the
/// pictures. Layers behind have 8 bits meanwhile.
pub fn choose(
    graph: &Graph,
    trial: &Trial,
    (metadata, options): (&Metadata, &Options),
    choice: &mut Choice,
    kept: &dyn Fn(ValueId) -> Kept,
    listener: &Listener,
) -> Result<(), QuantizeError> {
    let count = layers(graph).count();
    for (i, (node, filter)) in layers(graph).enumerate() {
        listener.hear("fitting weights", i, count);
        let kept = kept(node.output);
        choice.weights[node.output] = kept.bits();
        if !options.uses(Technique::Fit) {
            continue;
        }
        let Some(fit) = Fit::new(graph, trial, metadata, choice, node, filter)? else { continue };
        // The nearest have a scale for each channel.
        let mut least = if kept == Kept::FourOfOneScale { f64::INFINITY } else { trial.error(choice)? };
        let fits = if options.uses(Technique::Errors) { &[true, false][..] } else { &[false] };
        for &makes_up in fits {
            let found = fit.closest(kept, makes_up).map(Arc::new);
            if found.is_none() {
                continue;
            }
            let before = std::mem::replace(&mut choice.rounded[node.output], found);
            let error = trial.error(choice)?;
            if error < least {
                least = error;
            } else {
                choice.rounded[node.output] = before;
            }
        }
    }
    listener.hear("fitting weights", count, count);
    Ok(())
}
