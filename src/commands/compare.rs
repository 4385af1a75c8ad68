//! `driftlet compare`: what quantization cost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use driftlet_checkpoint::{map_file, write_atomic};
use driftlet_metrics::{Collected, Comparison, Grid, SHOWN, Shard, html, table};
use driftlet_runtime::Guidance;

use crate::comparison::{Gallery, collect, figures};
use crate::model_file::ModelFile;
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
    /// Also precision and recall against the test split of Fashion-MNIST, which must be on this machine
    #[arg(long)]
    recall: bool,
    /// Seed of the first picture
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Strength of guidance
    #[arg(long, default_value_t = 1.0)]
    guidance: f32,
    /// Bootstrap resamples behind each interval
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    resamples: u32,
    /// Only part I of N, from 0, into the file of --out; `driftlet stats merge` joins them
    #[arg(long, value_name = "I/N", value_parser = shard, requires = "out")]
    shard: Option<Shard>,
    /// File for what was added up of the pictures (safetensors)
    #[arg(long)]
    out: Option<PathBuf>,
    /// Figures of a file that --out or `driftlet stats merge` wrote, instead of generating
    #[arg(long, value_name = "FILE", conflicts_with_all = ["models", "samples", "seed", "guidance", "shard", "out"])]
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
    let collected = match &arguments.from {
        Some(file) => read(file)?,
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
    let comparison = figures(&collected, arguments.resamples, arguments.recall)?;
    print!("{}", table(&comparison));
    if let Some(path) = &arguments.json {
        write_json(&comparison, path)?;
    }
    if let Some(path) = &arguments.html {
        write_html(&collected, &comparison, "What quantization cost", path)?;
    }
    Ok(())
}

/// The pictures of the arguments.
fn generate(arguments: &Arguments) -> Result<Collected> {
    ensure!(arguments.models.len() > 1, "nothing to compare with the first model; give one more .drift file");
    let files = arguments.models.iter().map(|path| ModelFile::open(path)).collect::<Result<Vec<_>>>()?;
    let batch = Batch {
        first_seed: arguments.seed,
        count: arguments.samples as usize,
        class: None,
        guidance: Guidance::from_f32(arguments.guidance),
    };
    let shard = arguments.shard.unwrap_or(Shard::WHOLE);
    ensure!(
        !shard.leaves(batch.count).is_empty(),
        "--shard {}/{}: {} samples do not make so many parts; a part has at least 256",
        shard.index,
        shard.of,
        batch.count
    );
    collect(&files, &batch, shard)
}

/// `I/N`.
fn shard(text: &str) -> Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
    match numbers {
        Some((index, of)) if index < of && of <= 1 << 20 => Ok(Shard { index, of }),
        _ => Err("give part I of N as I/N, from 0/N on, 0/4 to 3/4 say".into()),
    }
}

/// Reads a file of sums.
pub fn read(path: &Path) -> Result<Collected> {
    Ok(Collected::from_bytes(&path.display().to_string(), &map_file(path)?)?)
}

/// Writes the figures.
pub fn write_json(comparison: &Comparison, path: &Path) -> Result<()> {
    write(path, &serde_json::to_vec_pretty(comparison)?)
}

/// Writes the page.
pub fn write_html(collected: &Collected, comparison: &Comparison, title: &str, path: &Path) -> Result<()> {
    const COLUMNS: usize = 10;
    const ROWS: usize = SHOWN / COLUMNS;
    let gallery = Gallery::new(collected);
    let mut grids = vec![(comparison.reference.name.clone(), gallery.grid(0, COLUMNS, ROWS)?)];
    for (i, candidate) in comparison.candidates.iter().enumerate() {
        grids.push((candidate.model.name.clone(), gallery.grid(i + 1, COLUMNS, ROWS)?));
    }
    for (i, candidate) in comparison.candidates.iter().enumerate() {
        let caption = format!("{} against {}, difference x 8", candidate.model.name, comparison.reference.name);
        grids.push((caption, gallery.difference(i + 1, COLUMNS, ROWS)?));
    }
    let grids: Vec<Grid> = grids.iter().map(|(caption, png)| Grid { caption, png }).collect();
    write(path, html(title, comparison, &grids).as_bytes())
}

/// Writes a file as a whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
