//! What the command line carries with it: the demonstration model, the feature network and the data's statistics.

use anyhow::Result;
use driftlet_checkpoint::Checkpoint;
use driftlet_metrics::Statistics;

/// Name of the shipped generator.
pub const GENERATOR: &str = "fashion-micro";
/// Name of the shipped feature network.
pub const CLASSIFIER: &str = "fashion-classifier";

/// The shipped generator.
pub fn generator() -> Result<Checkpoint> {
    let config = include_bytes!("../models/fashion-micro/config.json");
    let weights = include_bytes!("../models/fashion-micro/weights.safetensors");
    Ok(Checkpoint::from_bytes(GENERATOR, config, weights)?)
}

/// The shipped feature network.
pub fn classifier() -> Result<Checkpoint> {
    let config = include_bytes!("../models/fashion-classifier/config.json");
    let weights = include_bytes!("../models/fashion-classifier/weights.safetensors");
    Ok(Checkpoint::from_bytes(CLASSIFIER, config, weights)?)
}

/// Statistics of the feature network on the test split of Fashion-MNIST.
pub fn test_statistics() -> Result<Statistics> {
    let bytes = include_bytes!("../models/fashion-classifier/statistics-test.safetensors");
    Ok(Statistics::from_bytes("statistics-test.safetensors", bytes)?)
}

/// Statistics of the feature network on the train split.
pub fn train_statistics() -> Result<Statistics> {
    let bytes = include_bytes!("../models/fashion-classifier/statistics-train.safetensors");
    Ok(Statistics::from_bytes("statistics-train.safetensors", bytes)?)
}
