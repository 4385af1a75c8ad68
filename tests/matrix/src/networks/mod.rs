//! The small networks: one module per family of operators.

mod architectures;
mod builder;
mod convolutions;
mod functions;
mod layers;
mod maps;
mod tokens;
mod vectors;

use std::boxed::Box;
use std::vec::Vec;

use driftlet_quantize::graph::Graph;

pub use architectures::{architectures, golden, shipped};
pub use layers::layers;

/// A network that is given as a graph.
pub struct Network {
    /// Its name in lists of hashes.
    pub name: &'static str,
    /// Its operators and weights.
    pub graph: Graph<'static>,
}

/// The networks that are written as graphs.
pub fn graphs() -> Vec<Network> {
    let network = |(name, graph)| Network { name, graph };
    Vec::from([
        ("dense", convolutions::dense()),
        ("wide", convolutions::wide()),
        ("depthwise", convolutions::depthwise()),
        ("transposed", convolutions::transposed()),
        ("lookups", functions::lookups()),
        ("products", functions::products()),
        ("embeddings", vectors::embeddings()),
        ("squeeze", vectors::squeeze()),
        ("moves", maps::moves()),
        ("sums", maps::sums()),
        ("norms", tokens::norms()),
        ("attentions", tokens::attentions()),
        ("keys", tokens::keys()),
    ])
    .into_iter()
    .map(network)
    .collect()
}

/// Makes the file of a network whose weights are a checkpoint.
pub type Make = Box<dyn Fn(&driftlet_quantize::Options) -> Result<Vec<u8>, crate::Failure>>;
