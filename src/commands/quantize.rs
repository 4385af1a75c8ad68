//! `driftlet quantize`: from a checkpoint to a `.drift` file.

use std::path::PathBuf;

use anyhow::{Context, Result};
use driftlet_checkpoint::{Checkpoint, write_atomic};
use driftlet_quantize::{Activations, Options, Precision, quantize};

use crate::model_file::{ModelFile, name_of};

/// Arguments of `driftlet quantize`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Checkpoint directory
    checkpoint: PathBuf,
    /// Arithmetic of the result
    #[arg(long, value_enum)]
    precision: PrecisionName,
    /// Bits of an int8 model's activations
    #[arg(long, value_enum, default_value = "16")]
    activations: ActivationBits,
    /// File to write
    #[arg(long)]
    out: PathBuf,
    /// Pictures generated to learn the ranges of activations (int8)
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    calibration_samples: u32,
}

/// Widths of activations on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ActivationBits {
    /// Half the memory
    #[value(name = "8")]
    Eight,
    /// Hardly any error
    #[value(name = "16")]
    Sixteen,
}

/// Names of precisions on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum PrecisionName {
    /// Single precision: the reference
    F32,
    /// Half-precision weights
    F16,
    /// Integers only
    Int8,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Precision::F32,
            PrecisionName::F16 => Precision::F16,
            PrecisionName::Int8 => Precision::Int8,
        }
    }
}

/// Quantizes and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let checkpoint = Checkpoint::load(&arguments.checkpoint)?;
    let mut options = Options::new(&name_of(&arguments.checkpoint), arguments.precision.into());
    options.activations = match arguments.activations {
        ActivationBits::Eight => Activations::Eight,
        ActivationBits::Sixteen => Activations::Sixteen,
    };
    options.calibration_samples = arguments.calibration_samples;
    let bytes = quantize(&checkpoint, &options).with_context(|| arguments.checkpoint.display().to_string())?;
    write_atomic(&arguments.out, &bytes).with_context(|| format!("cannot write {}", arguments.out.display()))?;
    let file = ModelFile::open(&arguments.out)?;
    let arena = file.model()?.arena_len();
    println!("{}: {} bytes, arena {arena} bytes, sha256 {}", arguments.out.display(), bytes.len(), file.hash());
    Ok(())
}
