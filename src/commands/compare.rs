//! `driftlet compare`: what quantization cost.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use driftlet_checkpoint::{map_file, write_atomic};
use driftlet_metrics::{Collected, Comparison, Grid, Page, SHOWN, Shard, html, table};
use driftlet_runtime::{Guidance, LineSampler, Start};
use sha2::{Digest, Sha256};

use crate::comparison::{Beside, Gallery, Measure, collect, figures};
use crate::model_file::{ModelFile, arena, hex};
use crate::network::Choice;
use crate::sampling::Batch;

/// Arguments of `driftlet compare`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The model to compare with, and the models to compare: .drift files, or checkpoint directories (as f32)
    #[arg(required_unless_present = "from", num_args = 1..)]
    models: Vec<PathBuf>,
    /// Pictures per model, the same seeds for all
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(128..=100_000_000))]
    samples: u32,
    /// Also figures that need Fashion-MNIST itself, which must be on this machine: kernel distance, precision, recall,
    /// density, coverage, and how near pictures come to those of the train split
    #[arg(long)]
    recall: bool,
    /// Feature vectors of a test split that `driftlet stats --vectors` wrote, all parts: figures as of --recall, for any data; what
    /// distances are measured to unless --reference-stats says otherwise
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["recall", "shard"])]
    test_vectors: Vec<PathBuf>,
    /// The same of a train split, all parts, for the floor and for what was learnt by heart
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "shard")]
    train_vectors: Vec<PathBuf>,
    /// Seed of the first picture
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Strength of guidance
    #[arg(long, default_value_t = 1.0)]
    guidance: f32,
    /// Bootstrap resamples behind each interval
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    resamples: u32,
    /// Pictures on which to measure what each operator of a candidate costs; 0 for none
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    layers: u32,
    /// Feature network: `classifier`, the shipped one, or `inception=FILE` with pytorch-fid's weight file
    #[arg(long, value_name = "NETWORK", default_value = "classifier", value_parser = Choice::parse)]
    features: Choice,
    /// Statistics to measure Frechet distances to, instead of those of the test split: .npz with mu and sigma, or
    /// safetensors of `driftlet stats`
    #[arg(long, value_name = "FILE")]
    reference_stats: Option<PathBuf>,
    /// Only part I of N, from 0, into the file of --out; `driftlet stats merge` joins them
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "out")]
    shard: Option<Shard>,
    /// File for what was added up of the pictures (safetensors)
    #[arg(long)]
    out: Option<PathBuf>,
    /// Figures of a file that --out or `driftlet stats merge` wrote, instead of generating
    #[arg(long, value_name = "FILE", conflicts_with_all = ["models", "samples", "seed", "guidance", "layers", "shard", "out"])]
    from: Option<PathBuf>,
    /// File for the figures
    #[arg(long, conflicts_with = "shard")]
    json: Option<PathBuf>,
    /// File for a page with pictures
    #[arg(long, conflicts_with = "shard")]
    html: Option<PathBuf>,
}

/// Generates, compares, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (collected, files) = match &arguments.from {
        Some(file) => (read(file)?, Vec::new()),
        None => generate(arguments)?,
    };
    if let Some(path) = &arguments.out {
        write(path, &collected.to_bytes()?)?;
    }
    if arguments.shard.is_some() {
        return Ok(());
    }
    if let (Err(problem), Some(file)) = (collected.complete(), &arguments.from) {
        bail!("{}: {problem}", file.display());
    }
    let measure = Measure {
        choice: arguments.features.clone(),
        reference: arguments.reference_stats.clone(),
        resamples: arguments.resamples,
        data: arguments.recall,
        test: arguments.test_vectors.clone(),
        train: arguments.train_vectors.clone(),
    };
    let comparison = figures(&collected, &measure)?;
    print!("{}", table(&comparison));
    if let Some(path) = &arguments.json {
        write_json(&comparison, path)?;
    }
    if let Some(path) = &arguments.html {
        write_html(&collected, &comparison, &files, "What quantization cost", path)?;
    }
    Ok(())
}

/// The pictures of the arguments, and the models that made them.
fn generate(arguments: &Arguments) -> Result<(Collected, Vec<ModelFile>)> {
    ensure!(arguments.models.len() > 1, "nothing to compare with the first model; give one more .drift file");
    let files = arguments.models.iter().map(|path| ModelFile::open(path)).collect::<Result<Vec<_>>>()?;
    let batch = Batch {
        first_seed: arguments.seed,
        count: arguments.samples as usize,
        class: None,
        guidance: Guidance::from_f32(arguments.guidance),
    };
    let beside = Beside { layers: arguments.layers, second_run: true };
    let shard = arguments.shard.unwrap_or(Shard::WHOLE);
    check_shard(shard, batch.count)?;
    Ok((collect(&files, &batch, beside, shard, &arguments.features)?, files))
}

/// Reads `I/N`.
pub fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((index, of)) if index < of && of <= 1 << 20 => Ok(Shard { index, of }),
        _ => Err("give part I of N as I/N, from 0/N on, 0/4 to 3/4 say".into()),
    }
}

/// Refuses parts without pictures.
pub fn check_shard(shard: Shard, samples: usize) -> Result<()> {
    let Shard { index, of } = shard;
    let problem = "do not make so many parts; a part has at least 256";
    ensure!(!shard.leaves(samples).is_empty(), "--shard {index}/{of}: {samples} samples {problem}");
    Ok(())
}

/// Reads a file of sums.
pub fn read(path: &Path) -> Result<Collected> {
    Ok(Collected::from_bytes(&path.display().to_string(), &map_file(path)?)?)
}

/// Writes the figures.
pub fn write_json(comparison: &Comparison, path: &Path) -> Result<()> {
    write(path, &serde_json::to_vec_pretty(comparison)?)
}

/// Writes the page; times the models, where they are at hand.
pub fn write_html(
    collected: &Collected,
    comparison: &Comparison,
    files: &[ModelFile],
    title: &str,
    path: &Path,
) -> Result<()> {
    const COLUMNS: usize = 10;
    const ROWS: usize = SHOWN / COLUMNS;
    let gallery = Gallery::new(collected);
    let mut samples = vec![(comparison.reference.name.clone(), gallery.grid(0, COLUMNS, ROWS)?)];
    let mut differences = Vec::new();
    for (i, candidate) in comparison.candidates.iter().enumerate() {
        samples.push((candidate.model.name.clone(), gallery.grid(i + 1, COLUMNS, ROWS)?));
        let caption = format!("{} against {}, difference x 8", candidate.model.name, comparison.reference.name);
        differences.push((caption, gallery.difference(i + 1, COLUMNS, ROWS)?));
    }
    let milliseconds = files.iter().map(milliseconds).collect::<Result<Vec<_>>>()?;
    let page = Page {
        title,
        samples: &grids(&samples),
        differences: &grids(&differences),
        milliseconds: (!files.is_empty()).then_some(&milliseconds[..]),
        program: &program(),
    };
    write(path, html(&page, comparison).as_bytes())
}

fn grids(pictures: &[(String, Vec<u8>)]) -> Vec<Grid<'_>> {
    pictures.iter().map(|(caption, png)| Grid { caption, png }).collect()
}

/// Version and SHA-256 of this program, which holds the runtime.
fn program() -> String {
    let hash = std::env::current_exe().and_then(std::fs::read).map(|bytes| hex(&Sha256::digest(&bytes)));
    let hash = hash.unwrap_or_else(|_| "its file cannot be read".into());
    format!("driftlet {}: {hash}", env!("CARGO_PKG_VERSION"))
}

/// Median time of a picture on one core.
fn milliseconds(file: &ModelFile) -> Result<f64> {
    const RUNS: usize = 15;
    let model = file.model()?;
    let mut memory = arena(&model);
    let mut sampler = LineSampler::new(&model, &mut memory)?;
    let mut pixels = vec![0; model.image_shape().map_or(0, |shape| shape.iter().product())];
    let class = model.class(0).context("a model without a class")?;
    let mut times = Vec::with_capacity(RUNS);
    for seed in 0..RUNS as u64 {
        let start = Instant::now();
        sampler.generate_into(Start::Seed(seed), class, model.guidance_range().0, &mut pixels);
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// Writes a file as a whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
