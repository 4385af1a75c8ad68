//! `driftlet compare`: what quantization cost.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use driftlet_checkpoint::write_atomic;
use driftlet_metrics::{Grid, html, table};
use driftlet_runtime::Guidance;

use crate::comparison::{self, Compared};
use crate::model_file::ModelFile;
use crate::sampling::Batch;

/// Arguments of `driftlet compare`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The model to compare with: a .drift file, or a checkpoint directory (as f32)
    reference: PathBuf,
    /// The models to compare
    #[arg(required = true)]
    candidates: Vec<PathBuf>,
    /// Pictures per model, the same seeds for all
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(128..=1_000_000))]
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
    /// File for the figures
    #[arg(long)]
    json: Option<PathBuf>,
    /// File for a page with pictures
    #[arg(long)]
    html: Option<PathBuf>,
}

/// Generates, compares, prints and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    let paths = std::iter::once(&arguments.reference).chain(&arguments.candidates);
    let files = paths.map(|path| ModelFile::open(path)).collect::<Result<Vec<_>>>()?;
    let batch = Batch {
        first_seed: arguments.seed,
        count: arguments.samples as usize,
        class: None,
        guidance: Guidance::from_f32(arguments.guidance),
    };
    let compared = comparison::run(&files, &batch, arguments.resamples, arguments.recall)?;
    print!("{}", table(&compared.comparison));
    if let Some(path) = &arguments.json {
        write_json(&compared, path)?;
    }
    if let Some(path) = &arguments.html {
        write_html(&compared, "What quantization cost", path)?;
    }
    Ok(())
}

/// Writes the figures.
pub fn write_json(compared: &Compared, path: &Path) -> Result<()> {
    let json = serde_json::to_vec_pretty(&compared.comparison)?;
    write(path, &json)
}

/// Writes the page.
pub fn write_html(compared: &Compared, title: &str, path: &Path) -> Result<()> {
    const ROWS: usize = 8;
    let columns = 10;
    let comparison = &compared.comparison;
    let mut grids = vec![(comparison.reference.name.clone(), compared.grid(0, columns, ROWS)?)];
    for (i, candidate) in comparison.candidates.iter().enumerate() {
        grids.push((candidate.model.name.clone(), compared.grid(i + 1, columns, ROWS)?));
    }
    for (i, candidate) in comparison.candidates.iter().enumerate() {
        let caption = format!("{} against {}, difference x 8", candidate.model.name, comparison.reference.name);
        grids.push((caption, compared.difference(i + 1, columns, ROWS)?));
    }
    let grids: Vec<Grid> = grids.iter().map(|(caption, png)| Grid { caption, png }).collect();
    write(path, html(title, comparison, &grids).as_bytes())
}

/// Writes a file as a whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
