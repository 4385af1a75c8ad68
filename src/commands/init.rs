//! `driftlet init`: random weights.

use std::path::PathBuf;

use anyhow::{Context, Result};
use driftlet_checkpoint::{Architecture, Checkpoint, Config};

use super::import::weights;

/// Arguments of `driftlet init`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Network to make: `micro`, ..
    #[arg(long)]
    preset: String,
    /// Seed of the weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Checkpoint directory to write
    #[arg(long)]
    out: PathBuf,
}

/// Writes a checkpoint of random weights.
pub fn run(arguments: &Arguments) -> Result<()> {
    let architecture = preset(&arguments.preset)?;
    let checkpoint = Checkpoint::random(Config::new(architecture), arguments.seed);
    checkpoint.save(&arguments.out)?;
    println!("{}: {} random weights", arguments.out.display(), weights(&checkpoint.config));
    Ok(())
}

/// A network by name.
pub fn preset(name: &str) -> Result<Architecture> {
    Architecture::preset(name)
        .with_context(|| format!("no preset is called `{name}`; there are: {}", Architecture::presets().join(", ")))
}
