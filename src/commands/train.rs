//! `driftlet train`: hands over to the trainer.

use std::path::PathBuf;

use anyhow::Result;
use driftlet_trainer::{TrainOptions, train};

/// Arguments of `driftlet train`.
#[derive(clap::Args)]
pub struct Arguments {
    /// What to train, and how
    config: PathBuf,
    /// Directory for checkpoints, log and sample grids
    #[arg(long)]
    out: PathBuf,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    backend: String,
    /// Continue a run that was interrupted
    #[arg(long)]
    resume: bool,
    /// Override a field of the configuration, like `optimizer.learning_rate=1e-4`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Trains.
pub fn run(arguments: Arguments) -> Result<()> {
    let Arguments { config, out, backend, resume, set } = arguments;
    Ok(train(TrainOptions { config, out, backend, resume, set })?)
}
