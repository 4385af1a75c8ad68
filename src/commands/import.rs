//! `driftlet import`: checkpoints from other people's formats.

use std::path::{Path, PathBuf};

use anyhow::Result;
use driftlet_checkpoint::{Checkpoint, Config, import_diffusers, import_flax, read_weights};

use super::sample::extension;

/// Arguments of `driftlet import`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Directory of a published artifact (`ema_params.msgpack` and `metadata.json`) or of diffusers' AutoencoderKL
    /// (`config.json` and `diffusion_pytorch_model.safetensors`, or another safetensors file beside such a config.json);
    /// or a file of weights under our names: `.pt`, `.pth`, `.safetensors`
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
    let Arguments { source, out, .. } = arguments;
    let config = match source.is_dir() {
        _ if is_of_diffusers(arguments) => import_diffusers(source, out)?,
        true => import_flax(source, out)?,
        false => import_weights(arguments)?,
    };
    println!("{}: {} weights", arguments.out.display(), weights(&config));
    Ok(())
}

/// Whether a config.json says what network the weights are for, and not the arguments.
fn is_of_diffusers(Arguments { source, preset, like, .. }: &Arguments) -> bool {
    let has_config = |directory: &Path| directory.join("config.json").is_file();
    match source.is_dir() {
        true => has_config(source),
        false => {
            let named = preset.is_some() || like.is_some();
            extension(source) == "safetensors" && !named && source.parent().is_some_and(has_config)
        }
    }
}

/// Reads PyTorch's or safetensors' weights of a network that the arguments name.
fn import_weights(arguments: &Arguments) -> Result<Config> {
    let architecture = match (&arguments.preset, &arguments.like) {
        (Some(name), _) => super::init::preset(name)?,
        (None, Some(like)) => Checkpoint::load(like)?.config.architecture,
        (None, None) => anyhow::bail!("{}: say which network it is, --preset or --like", arguments.source.display()),
    };
    let checkpoint = read_weights(&arguments.source, &architecture)?;
    checkpoint.save(&arguments.out)?;
    Ok(checkpoint.config)
}

/// Number of a network's weights.
pub fn weights(config: &Config) -> usize {
    config.architecture.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}
