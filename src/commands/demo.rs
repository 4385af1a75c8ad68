//! `driftlet demo`: the whole story on what the command line carries with it.

use std::path::PathBuf;

use anyhow::Result;
use driftlet_checkpoint::{Checkpoint, Config};
use driftlet_metrics::{Shard, table};
use driftlet_quantize::Precision;
use driftlet_runtime::Guidance;

use super::compare::{write, write_html, write_json};
use crate::comparison::{Beside, Gallery, Measure, collect, distance, figures};
use crate::model_file::ModelFile;
use crate::network::Choice;
use crate::sampling::Batch;
use crate::shipped;

/// Arguments of `driftlet demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Directory for samples.png, report.html and report.json
    #[arg(long, default_value = "driftlet-demo")]
    out: PathBuf,
    /// Pictures per model
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(128..=1_000_000))]
    samples: u32,
    /// Seed of the first picture
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Quantizes the shipped checkpoint three ways, generates, compares, writes and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let checkpoint = shipped::generator()?;
    let precisions = [Precision::F32, Precision::F16, Precision::Int8];
    let quantized = precisions.map(|precision| ModelFile::made(&checkpoint, shipped::GENERATOR, precision));
    let files = quantized.into_iter().collect::<Result<Vec<_>>>()?;
    let batch = Batch {
        first_seed: arguments.seed,
        count: arguments.samples as usize,
        class: None,
        guidance: Guidance::from_q8(256),
    };
    let collected =
        collect(&files, &batch, Beside { layers: 16, second_run: true }, Shard::WHOLE, &Choice::Classifier)?;
    let mut comparison = figures(&collected, &Measure { resamples: 200, ..Measure::default() })?;
    let untrained = Checkpoint::random(Config::new(checkpoint.config.architecture.clone()), 0);
    let untrained = ModelFile::made(&untrained, "untrained", Precision::F32)?;
    comparison.untrained = Some(distance(untrained, &batch)?);

    write(&arguments.out.join("samples.png"), &Gallery::new(&collected).side_by_side(10, 6)?)?;
    let title = "Driftlet: one model in f32, f16 and int8";
    write_html(&collected, &comparison, &files, title, &arguments.out.join("report.html"))?;
    write_json(&comparison, &arguments.out.join("report.json"))?;
    print!("{}", table(&comparison));
    for name in ["samples.png", "report.html", "report.json"] {
        println!("{}", arguments.out.join(name).display());
    }
    Ok(())
}
