//! `driftlet quantize`: from a checkpoint to a `.drift` file.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result};
use driftlet_checkpoint::{MappedCheckpoint, write_atomic_with};
use driftlet_quantize::{Activations, Options, Precision, RamLimit, quantize_to, quantize_with_decoder_to};

use crate::model_file::{ModelFile, name_of};
use crate::targets::bytes;

/// Arguments of `driftlet quantize`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Checkpoint directory
    checkpoint: PathBuf,
    /// Checkpoint directory of the decoder that makes pictures of the generator's latents: both become one file
    #[arg(long, value_name = "CHECKPOINT")]
    decoder: Option<PathBuf>,
    /// Arithmetic of the result
    #[arg(long, value_enum)]
    precision: PrecisionName,
    /// Bits of an int8 model's activations
    #[arg(long, value_enum, default_value = "16")]
    activations: ActivationBits,
    /// File to write
    #[arg(long)]
    out: PathBuf,
    /// Pictures generated to learn the ranges of activations; 256 if left out, and fewer for networks that take long
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    calibration_samples: Option<u32>,
    /// Most bytes of the arena (as 32K, 1M), or `least`: where whole maps do not fit, the last operators run a few rows at a
    /// time, and the picture comes line by line
    #[arg(long, value_parser = ram_limit, value_name = "BYTES")]
    ram_limit: Option<RamLimit>,
}

fn ram_limit(text: &str) -> Result<RamLimit, String> {
    if text == "least" {
        return Ok(RamLimit::Least);
    }
    let bytes = bytes(text).ok().and_then(|bytes| usize::try_from(bytes).ok()).filter(|&bytes| bytes > 0);
    bytes.map(RamLimit::Bytes).ok_or("a number of bytes such as 32768, 32K or 1M, or `least`".into())
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
    write(arguments)?;
    let file = ModelFile::open(&arguments.out)?;
    let (arena, bytes) = (file.model()?.arena_len(), file.bytes().len());
    println!("{}: {bytes} bytes, arena {arena} bytes, sha256 {}", arguments.out.display(), file.hash());
    Ok(())
}

/// Replaces the file as a whole. The checkpoint, which may fill memory, is closed with it.
fn write(arguments: &Arguments) -> Result<()> {
    let checkpoint = MappedCheckpoint::open(&arguments.checkpoint)?;
    let checkpoint = checkpoint.view()?;
    let decoder = arguments.decoder.as_deref().map(MappedCheckpoint::open).transpose()?;
    let decoder = decoder.as_ref().map(MappedCheckpoint::view).transpose()?;
    let mut options = Options::new(&name_of(&arguments.checkpoint), arguments.precision.into());
    options.activations = match arguments.activations {
        ActivationBits::Eight => Activations::Eight,
        ActivationBits::Sixteen => Activations::Sixteen,
    };
    options.calibration_samples = arguments.calibration_samples;
    options.ram_limit = arguments.ram_limit.unwrap_or_default();
    let mut refused = None;
    let written = write_atomic_with(&arguments.out, |temporary| {
        let mut sink = BufWriter::new(File::create(temporary)?);
        let quantized = match &decoder {
            None => quantize_to(&checkpoint, &options, &mut sink),
            Some(decoder) => quantize_with_decoder_to(&checkpoint, decoder, &options, &mut sink),
        };
        quantized.map_err(|error| {
            refused = Some(error);
            std::io::Error::other("refused")
        })
    });
    if let Some(error) = refused {
        let decoder = arguments.decoder.iter().map(|path| format!(" with decoder {}", path.display()));
        let files: String = [arguments.checkpoint.display().to_string()].into_iter().chain(decoder).collect();
        return Err(error).context(files);
    }
    written.with_context(|| format!("cannot write {}", arguments.out.display()))
}
