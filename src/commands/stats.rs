//! `driftlet stats`: statistics of a data set, what Frechet distances are measured to; and shards become one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use driftlet_checkpoint::Checkpoint;
use driftlet_data::{Split, fashion_mnist};
use driftlet_metrics::{Collected, Statistics, extract};
use driftlet_quantize::Precision;

use super::compare::{read, write};
use crate::model_file::{ModelFile, name_of};
use crate::progress::Progress;

/// Arguments of `driftlet stats`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Checkpoint directory of a classifier: the feature network
    #[arg(required = true)]
    classifier: Option<PathBuf>,
    /// Directory for statistics-test.safetensors and statistics-train.safetensors
    #[arg(long, required = true)]
    out: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Join the files of all shards of one run: the same bytes as without shards
    Merge {
        /// Files that `driftlet compare --shard` wrote, in any order
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The file to write, for `driftlet compare --from`
        #[arg(long)]
        out: PathBuf,
    },
}

/// Looks at both splits of Fashion-MNIST, or merges.
pub fn run(arguments: &Arguments) -> Result<()> {
    match (&arguments.command, &arguments.classifier, &arguments.out) {
        (Some(Command::Merge { files, out }), ..) => merge(files, out),
        (None, Some(classifier), Some(out)) => splits(classifier, out),
        // The command line asks for both.
        (None, ..) => anyhow::bail!("give a classifier and --out"),
    }
}

fn merge(files: &[PathBuf], out: &Path) -> Result<()> {
    let parts = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let whole = Collected::merge(parts)?;
    write(out, &whole.to_bytes()?)?;
    let missing = whole.complete().err().map_or_else(String::new, |problem| format!("; {problem}"));
    println!("{}: {} files{missing}", out.display(), files.len());
    Ok(())
}

fn splits(classifier: &Path, out: &Path) -> Result<()> {
    let checkpoint = Checkpoint::load(classifier)?;
    let file = ModelFile::made(&checkpoint, &name_of(classifier), Precision::F32)?;
    let model = file.model()?;
    for (split, name) in [(Split::Test, "test"), (Split::Train, "train")] {
        let images = fashion_mnist(None, split)?;
        let progress = Progress::new(&format!("looking at the {name} split"), images.len() as u64);
        let features = extract(&model, &images.pixels, &|| progress.step()).with_context(|| file.name().to_owned())?;
        progress.finish();
        let path = out.join(format!("statistics-{name}.safetensors"));
        write(&path, &Statistics::of(&features.data, features.dim)?.to_bytes()?)?;
        let accuracy = features.accuracy(images.labels.iter().map(|&l| l.into()));
        println!("{}: {} pictures, accuracy {:.2} %", path.display(), images.len(), 100.0 * accuracy);
    }
    Ok(())
}
