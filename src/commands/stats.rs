//! `driftlet stats`: statistics of a data set, what Frechet distances are measured to.

use std::path::PathBuf;

use anyhow::{Context, Result};
use driftlet_checkpoint::Checkpoint;
use driftlet_data::{Split, fashion_mnist};
use driftlet_metrics::{Statistics, extract};
use driftlet_quantize::Precision;

use super::compare::write;
use crate::model_file::{ModelFile, name_of};
use crate::progress::Progress;

/// Arguments of `driftlet stats`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Checkpoint directory of a classifier: the feature network
    classifier: PathBuf,
    /// Directory for statistics-test.safetensors and statistics-train.safetensors
    #[arg(long)]
    out: PathBuf,
}

/// Looks at both splits of Fashion-MNIST.
pub fn run(arguments: &Arguments) -> Result<()> {
    let checkpoint = Checkpoint::load(&arguments.classifier)?;
    let file = ModelFile::made(&checkpoint, &name_of(&arguments.classifier), Precision::F32)?;
    let model = file.model()?;
    for (split, name) in [(Split::Test, "test"), (Split::Train, "train")] {
        let images = fashion_mnist(None, split)?;
        let progress = Progress::new(&format!("looking at the {name} split"), images.len() as u64);
        let features = extract(&model, &images.pixels, &|| progress.step()).with_context(|| file.name().to_owned())?;
        progress.finish();
        let path = arguments.out.join(format!("statistics-{name}.safetensors"));
        write(&path, &Statistics::of(&features.data, features.dim)?.to_bytes()?)?;
        let accuracy = features.accuracy(images.labels.iter().map(|&l| l.into()));
        println!("{}: {} pictures, accuracy {:.2} %", path.display(), images.len(), 100.0 * accuracy);
    }
    Ok(())
}
