//! `driftlet export`: networks for other engines.

use std::path::PathBuf;

use anyhow::{Context, Result};
use driftlet_checkpoint::MappedCheckpoint;
use driftlet_quantize::export_onnx;

use super::compare::write;
use crate::model_file::name_of;

/// Arguments of `driftlet export`.
#[derive(clap::Args)]
#[command(after_help = "The file takes `noise` [1, ..], and what the network reads of `class_labels` [1] (i64), \
`style_indices` [1, styles] (i64) and `cfg_scale` [1, 1]; a classifier takes `input` [1, height, width, channels]. It gives \
`output` [1, height, width, channels], the picture in [-1, 1] before it is rounded to pixels.")]
pub struct Arguments {
    /// Checkpoint directory of a generator, decoder or classifier
    checkpoint: PathBuf,
    /// ONNX file to write, in f32
    #[arg(long)]
    onnx: PathBuf,
}

/// Converts and writes.
pub fn run(Arguments { checkpoint: path, onnx }: &Arguments) -> Result<()> {
    let checkpoint = MappedCheckpoint::open(path)?;
    let bytes = export_onnx(&checkpoint.view()?, &name_of(path)).with_context(|| path.display().to_string())?;
    write(onnx, &bytes)?;
    println!("{}: {} bytes", onnx.display(), bytes.len());
    Ok(())
}
