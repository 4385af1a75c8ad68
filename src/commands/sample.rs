//! `driftlet sample`: pictures of a model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use driftlet_checkpoint::{Architecture, Checkpoint, write_atomic};
use driftlet_data::grid_png;
use driftlet_metrics::npy;
use driftlet_runtime::{Guidance, Model};
use sha2::{Digest, Sha256};

use crate::given_noise;
use crate::model_file::{ModelFile, hex};
use crate::sampling::{Batch, generate_all};

/// Arguments of `driftlet sample`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A .drift file, or a checkpoint directory (as f32)
    model: PathBuf,
    /// Class by number or name; all in turn if left out
    #[arg(long)]
    class: Option<String>,
    /// Strength of guidance
    #[arg(long, default_value_t = 1.0)]
    guidance: f32,
    /// Seed of the first picture; the next ones follow
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of pictures
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// File to write: a grid (.png), an array [count, height, width, channels] (.npy); .safetensors with --inputs
    #[arg(long, required_unless_present = "hash")]
    out: Option<PathBuf>,
    /// Print `sha256 seed class guidance` of each picture's bytes, and the hash of all
    #[arg(long)]
    hash: bool,
    /// Given inputs instead of seeds: `noise` (n, ..), `class_labels` (n) and `cfg_scale` (n); the last two may be left out.
    /// A checkpoint of a transformer also takes `style_indices` (n, styles), one of an encoder takes `input` (n, h, w, c)
    #[arg(long, conflicts_with_all = ["class", "seed", "count", "hash"])]
    inputs: Option<PathBuf>,
}

/// Generates and writes.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(checkpoint) = only_a_checkpoint(&arguments.model)? {
        let (Some(inputs), Some(out)) = (&arguments.inputs, &arguments.out) else {
            bail!("{}: a network of this type runs on given inputs so far; give --inputs", arguments.model.display());
        };
        return given_noise::run_checkpoint(&checkpoint, inputs, out);
    }
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    check_guidance(arguments.guidance, &model)?;
    if let (Some(inputs), Some(out)) = (&arguments.inputs, &arguments.out) {
        return given_noise::run(&model, inputs, out, arguments.guidance);
    }
    let Some([height, width, channels]) = model.image_shape() else {
        let what = "makes no pictures (latents run with --inputs); give a generator of pictures";
        bail!("{}: {what}", arguments.model.display());
    };
    let batch = Batch {
        first_seed: arguments.seed,
        count: arguments.count as usize,
        class: arguments.class.as_deref().map(|name| class_index(name, &model)).transpose()?,
        guidance: Guidance::from_f32(arguments.guidance),
    };
    let pixels = generate_all(&model, &batch, "generating")?;
    if arguments.hash {
        print_hashes(&model, &batch, &pixels, height * width * channels);
    }
    let Some(out) = &arguments.out else { return Ok(()) };
    let columns = if batch.class.is_none() { model.classes().clamp(1, 20) as usize } else { 10.min(batch.count) };
    let bytes = match extension(out).as_str() {
        "png" => grid_png(&pixels, [height, width, channels], columns)
            .map_err(|e| anyhow!("cannot draw {}: {e}", out.display()))?,
        "npy" => npy("|u1", &[batch.count, height, width, channels], &pixels),
        _ => bail!("{}: unknown kind of file; name it .png or .npy", out.display()),
    };
    write_atomic(out, &bytes).with_context(|| format!("cannot write {}", out.display()))?;
    eprintln!("{}: {} pictures", out.display(), batch.count);
    Ok(())
}

/// A checkpoint of a network that no .drift file can hold yet.
fn only_a_checkpoint(path: &Path) -> Result<Option<Checkpoint>> {
    if !path.is_dir() {
        return Ok(None);
    }
    let checkpoint = Checkpoint::load(path)?;
    let lowered = matches!(
        checkpoint.config.architecture,
        Architecture::EdgeConv(_) | Architecture::Classifier(_) | Architecture::Dit(_)
    );
    Ok((!lowered).then_some(checkpoint))
}

fn print_hashes(model: &Model, batch: &Batch, pixels: &[u8], image_len: usize) {
    for (i, image) in pixels.chunks_exact(image_len).enumerate() {
        let class = batch.class_of(i, model.classes());
        println!(
            "{}  seed {} class {class} guidance {}",
            hex(&Sha256::digest(image)),
            batch.seed_of(i),
            batch.guidance.to_f32()
        );
    }
    println!("{}  all", hex(&Sha256::digest(pixels)));
}

/// Refuses what the model would silently clamp.
pub fn check_guidance(strength: f32, model: &Model) -> Result<()> {
    let (weakest, strongest) = model.guidance_range();
    let (weakest, strongest) = (weakest.to_f32(), strongest.to_f32());
    if weakest < strongest && !(weakest..=strongest).contains(&strength) {
        bail!("guidance {strength} is out of range: the model knows {weakest} to {strongest}");
    }
    Ok(())
}

/// A class by number or by name.
fn class_index(name: &str, model: &Model) -> Result<u32> {
    if let Ok(index) = name.parse() {
        return Ok(index);
    }
    let metadata: serde_json::Value = serde_json::from_slice(model.metadata()).unwrap_or_default();
    let names: Vec<&str> =
        metadata["class_names"].as_array().into_iter().flatten().filter_map(|n| n.as_str()).collect();
    let found = names.iter().position(|n| n.eq_ignore_ascii_case(name));
    let index = found.with_context(|| format!("no class is called `{name}`; there are: {}", names.join(", ")))?;
    Ok(index as u32)
}

/// The ending of a file's name, in lower case.
pub fn extension(path: &Path) -> String {
    path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase())
}
