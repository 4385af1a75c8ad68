//! `driftlet stats`: statistics of a data set, what Frechet distances are measured to; and shards become one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use driftlet_data::{Filter, FolderOptions, Images, Split, fashion_mnist, image_folder};
use driftlet_metrics::{Collected, DataVectors, Features, Shard, Statistics, VectorsAbout};

use super::compare::{check_shard, read, shard, write};
use crate::comparison::collect_images;
use crate::network::{Choice, FeatureNetwork};

/// Arguments of `driftlet stats`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Checkpoint directory of a classifier, as feature network instead of --features; without --data, looks at both splits
    /// of Fashion-MNIST and writes statistics-test.safetensors and statistics-train.safetensors into --out
    classifier: Option<PathBuf>,
    /// Pictures to look at: `test` or `train` of Fashion-MNIST, or a folder of pictures, one folder per class
    #[arg(long)]
    data: Option<String>,
    /// Side that the pictures of a folder are scaled to
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Feature network: `classifier`, the shipped one, or `inception=FILE` with pytorch-fid's weight file
    #[arg(long, value_name = "NETWORK", default_value = "classifier", value_parser = Choice::parse)]
    features: Choice,
    /// File for mean and covariance, `mu` and `sigma` of NumPy, as pytorch-fid and `driftlet compare --reference-stats`
    /// read them
    #[arg(long, conflicts_with = "shard")]
    npz: Option<PathBuf>,
    /// File for the feature vectors of all pictures, or of those of the shard, for `driftlet compare --test-vectors` and
    /// --train-vectors
    #[arg(long, requires = "data")]
    vectors: Option<PathBuf>,
    /// Only part I of N, from 0, into the files of --out and --vectors; `driftlet stats merge` joins the first
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "data")]
    shard: Option<Shard>,
    /// File for what was added up; with a classifier and without --data, a directory
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Join the files of all shards of one run: the same bytes as without shards
    Merge {
        /// Files that `driftlet compare --shard` or `driftlet stats --shard` wrote, in any order
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The file to write, for `driftlet compare --from`
        #[arg(long, required_unless_present = "npz")]
        out: Option<PathBuf>,
        /// File for mean and covariance of the first model or the data
        #[arg(long)]
        npz: Option<PathBuf>,
    },
}

/// Looks at pictures, or merges.
pub fn run(arguments: &Arguments) -> Result<()> {
    match (&arguments.command, &arguments.classifier, &arguments.data) {
        (Some(Command::Merge { files, out, npz }), ..) => merge(files, out.as_deref(), npz.as_deref()),
        (None, _, Some(data)) => look(arguments, data),
        (None, Some(classifier), None) => match &arguments.out {
            Some(out) => splits(classifier, out),
            None => bail!("give --out, a directory for the statistics of both splits; or --data and --npz"),
        },
        (None, None, None) => {
            bail!("give --data test, train or a folder, and --npz, --vectors or --out; or `merge` and files")
        }
    }
}

/// Looks at one set of pictures.
fn look(arguments: &Arguments, data: &str) -> Result<()> {
    if arguments.npz.is_none() && arguments.out.is_none() && arguments.vectors.is_none() {
        bail!("nothing to write; give --npz, --out, --vectors or several of them");
    }
    let images = pictures(data, arguments.size)?;
    let network = match &arguments.classifier {
        Some(path) => FeatureNetwork::of_checkpoint(path)?,
        None => FeatureNetwork::new(&arguments.features, [images.height, images.width, images.channels])?,
    };
    let shard = arguments.shard.unwrap_or(Shard::WHOLE);
    check_shard(shard, images.len())?;
    let mut vectors = Vec::new();
    let mut watch = |seen: &[Features]| {
        if arguments.vectors.is_some() {
            seen.iter().for_each(|seen| vectors.extend_from_slice(&seen.data));
        }
    };
    let collected = collect_images(data, &images, shard, &network, &mut watch)?;
    if let Some(path) = &arguments.vectors {
        let (about, samples) = (&collected.about, collected.samples());
        let count = samples.len();
        let about = VectorsAbout {
            data: data.into(),
            data_hash: about.models[0].hash.clone(),
            samples: about.samples,
            first: samples.start,
            network_hash: about.network_hash.clone(),
        };
        let vectors = DataVectors { about, dim: collected.about.dim, features: vectors };
        write(path, &vectors.to_bytes()?)?;
        println!("{}: feature vectors of {count} of {} pictures", path.display(), images.len());
    }
    if let Some(path) = &arguments.out {
        write(path, &collected.to_bytes()?)?;
        println!("{}: {} of {} pictures", path.display(), collected.samples().len(), images.len());
    }
    write_npz(&collected, arguments.npz.as_deref())
}

fn pictures(data: &str, size: usize) -> Result<Images> {
    Ok(match data {
        "test" => fashion_mnist(None, Split::Test)?,
        "train" => fashion_mnist(None, Split::Train)?,
        folder => image_folder(Path::new(folder), FolderOptions { size, filter: Filter::Triangle })?.0,
    })
}

fn write_npz(collected: &Collected, path: Option<&Path>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    collected.complete().with_context(|| format!("cannot write {}", path.display()))?;
    let sum = collected.parts.first().and_then(|part| part.tree.total()).context("no pictures")?;
    let statistics = sum.moments.statistics()?;
    write(path, &statistics.to_npz()?)?;
    println!("{}: mu and sigma of {} pictures, {} features", path.display(), statistics.count, statistics.dim());
    Ok(())
}

fn merge(files: &[PathBuf], out: Option<&Path>, npz: Option<&Path>) -> Result<()> {
    let parts = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let whole = Collected::merge(parts)?;
    if let Some(out) = out {
        write(out, &whole.to_bytes()?)?;
        let missing = whole.complete().err().map_or_else(String::new, |problem| format!("; {problem}"));
        println!("{}: {} files{missing}", out.display(), files.len());
    }
    write_npz(&whole, npz)
}

fn splits(classifier: &Path, out: &Path) -> Result<()> {
    let network = FeatureNetwork::of_checkpoint(classifier)?;
    for (split, name) in [(Split::Test, "test"), (Split::Train, "train")] {
        let (features, labels) = network.look(split)?;
        let path = out.join(format!("statistics-{name}.safetensors"));
        write(&path, &Statistics::of(&features.data, features.dim)?.to_bytes()?)?;
        let accuracy = features.accuracy(labels.iter().map(|&l| l.into()));
        println!("{}: {} pictures, accuracy {:.2} %", path.display(), labels.len(), 100.0 * accuracy);
    }
    Ok(())
}
