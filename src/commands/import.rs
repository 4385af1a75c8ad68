//! `driftlet import`: checkpoints from other people's formats.

use std::path::PathBuf;

use anyhow::Result;
use driftlet_checkpoint::{Config, import_flax};

/// Arguments of `driftlet import`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Directory of a published artifact (`ema_params.msgpack` and `metadata.json`), or a file of weights under our names:
    /// `.pt`, `.pth`, `.safetensors`
    source: PathBuf,
    /// Network that a file of weights is for
    #[arg(long)]
    preset: Option<String>,
    /// Network that a file of weights is for, as in another checkpoint's config.json
    #[arg(long, conflicts_with = "preset")]
    like: Option<PathBuf>,
    /// Checkpoint directory to write
    #[arg(long)]
    out: PathBuf,
}

/// Reads, verifies and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = match arguments.source.is_dir() {
        true => import_flax(&arguments.source, &arguments.out)?,
        false => import_weights(arguments)?,
    };
    println!("{}: {} weights", arguments.out.display(), weights(&config));
    Ok(())
}

/// Reads PyTorch's or safetensors' weights of a network that the arguments name.
#[cfg(feature = "train")]
fn import_weights(arguments: &Arguments) -> Result<Config> {
    use driftlet_checkpoint::Checkpoint;

    let architecture = match (&arguments.preset, &arguments.like) {
        (Some(name), _) => super::init::preset(name)?,
        (None, Some(like)) => Checkpoint::load(like)?.config.architecture,
        (None, None) => anyhow::bail!("{}: say which network it is, --preset or --like", arguments.source.display()),
    };
    let checkpoint = driftlet_trainer::import::read_weights(&arguments.source, &architecture)?;
    checkpoint.save(&arguments.out)?;
    Ok(checkpoint.config)
}

/// As with the feature `train`, which is not there.
#[cfg(not(feature = "train"))]
fn import_weights(arguments: &Arguments) -> Result<Config> {
    let Arguments { source, preset, like, .. } = arguments;
    let asked = preset.is_some() || like.is_some();
    anyhow::ensure!(asked, "{}: is not a directory; published artifacts are directories", source.display());
    anyhow::bail!(
        "{}: weights of PyTorch are read with the feature train; build with `--features train`",
        source.display()
    )
}

/// Number of a network's weights.
pub fn weights(config: &Config) -> usize {
    config.architecture.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}
