//! `driftlet import`: checkpoints from other people's formats.

use std::path::PathBuf;

use anyhow::Result;
use driftlet_checkpoint::{Config, import_flax};

/// Arguments of `driftlet import`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Directory of a published artifact: `ema_params.msgpack` and `metadata.json`
    source: PathBuf,
    /// Checkpoint directory to write
    #[arg(long)]
    out: PathBuf,
}

/// Reads, verifies and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = import_flax(&arguments.source, &arguments.out)?;
    println!("{}: {} weights", arguments.out.display(), weights(&config));
    Ok(())
}

/// Number of a network's weights.
pub fn weights(config: &Config) -> usize {
    config.architecture.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}
