//! `driftlet quantize`: from a checkpoint to a `.drift` file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use driftlet_checkpoint::{Checkpoint, CheckpointView, MappedCheckpoint, write_atomic_with};
use driftlet_quantize::{
    Activations, Decisions, Features, Kept, Listener, Options, Precision, RamLimit, Technique, WeightBits, quantize_to,
    quantize_with_decoder_to,
};

use crate::model_file::{ModelFile, name_of};
use crate::network::read_statistics;
use crate::progress::Progress;
use crate::shipped;

/// Arguments of `driftlet quantize`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Checkpoint directory
    checkpoint: PathBuf,
    /// Checkpoint directory of the decoder that makes pictures of the generator's latents: both become one file
    #[arg(long, value_name = "CHECKPOINT")]
    decoder: Option<PathBuf>,
    /// Arithmetic of the result; with a budget int8
    #[arg(long, value_enum, required_unless_present = "budget")]
    precision: Option<PrecisionName>,
    /// Bits of an int8 model's activations
    #[arg(long, value_enum, default_value = "16")]
    activations: ActivationBits,
    /// Bits of an int8 model's weights
    #[arg(long, value_enum, default_value = "8")]
    weights: WeightWidth,
    /// Most bytes of an int8 file (as 60000, 200KB, 1M): every layer gets weights of 8 or of 4 bits, whatever costs the pictures least
    #[arg(long, value_parser = size, value_name = "BYTES")]
    budget: Option<usize>,
    /// Print what every layer got under the budget, and why
    #[arg(long, requires = "budget")]
    explain: bool,
    /// What a budget judges layers by: a classifier's checkpoint with the statistics-train.safetensors that `driftlet stats` made
    /// of the data it should be like, or `none` for the error of single pictures [default: the shipped classifier for Fashion-MNIST,
    /// else none]
    #[arg(long, requires = "budget", value_name = "CHECKPOINT")]
    features: Option<PathBuf>,
    /// Leave out what makes an int8 model's pictures better, to see what it is worth
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TECHNIQUES")]
    without: Vec<TechniqueName>,
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
    size(text).map(RamLimit::Bytes).map_err(|problem| format!("{problem}, or `least`"))
}

/// A number of bytes: K and M are binary, KB and MB decimal.
fn size(text: &str) -> Result<usize, String> {
    let units = [("KB", 1000), ("MB", 1_000_000), ("K", 1 << 10), ("M", 1 << 20)];
    let upper = text.to_uppercase();
    let split = units.into_iter().find_map(|(name, unit)| upper.strip_suffix(name).map(|digits| (digits, unit)));
    let (digits, unit) = split.unwrap_or((&upper, 1));
    let bytes = digits.parse().ok().and_then(|number: usize| number.checked_mul(unit)).filter(|&bytes| bytes > 0);
    bytes.ok_or("a number of bytes such as 32768, 32K, 200KB or 1M".into())
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

/// Widths of weights on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum WeightWidth {
    /// Half the size
    #[value(name = "4")]
    Four,
    /// Hardly any error
    #[value(name = "8")]
    Eight,
}

/// Techniques on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum TechniqueName {
    /// Channels of 8-bit activations brought to a common range
    Balance,
    /// Ranges of 8-bit activations by the error of the pictures
    Ranges,
    /// Correction of biases
    Bias,
    /// Weights of 4 bits fitted to the layer's inputs
    Fit,
    /// Fitted weights that make up for the errors of the layers before
    Errors,
}

impl From<TechniqueName> for Technique {
    fn from(name: TechniqueName) -> Self {
        match name {
            TechniqueName::Balance => Technique::Balance,
            TechniqueName::Ranges => Technique::Ranges,
            TechniqueName::Bias => Technique::Bias,
            TechniqueName::Fit => Technique::Fit,
            TechniqueName::Errors => Technique::Errors,
        }
    }
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
    let precision = arguments.precision.map_or(Precision::Int8, Precision::from);
    if arguments.budget.is_some() && precision != Precision::Int8 {
        bail!("--budget is for --precision int8: {} files have one width of weights", precision.name());
    }
    if !arguments.without.is_empty() && precision != Precision::Int8 {
        bail!("--without is for --precision int8: it leaves out what only integers need");
    }
    let mut options = Options::new(&name_of(&arguments.checkpoint), precision);
    options.budget = arguments.budget;
    options.activations = match arguments.activations {
        ActivationBits::Eight => Activations::Eight,
        ActivationBits::Sixteen => Activations::Sixteen,
    };
    options.weights = match arguments.weights {
        WeightWidth::Four => WeightBits::Four,
        WeightWidth::Eight => WeightBits::Eight,
    };
    options.calibration_samples = arguments.calibration_samples;
    options.without = arguments.without.iter().map(|&name| name.into()).collect();
    options.ram_limit = arguments.ram_limit.unwrap_or_default();
    if arguments.budget.is_some() {
        options.features = features(arguments.features.as_deref(), &checkpoint)?;
    }
    options.listener = listener();
    let (mut refused, mut decisions) = (None, Decisions::default());
    let written = write_atomic_with(&arguments.out, |temporary| {
        let mut sink = BufWriter::new(File::create(temporary)?);
        let quantized = match &decoder {
            None => quantize_to(&checkpoint, &options, &mut sink),
            Some(decoder) => quantize_with_decoder_to(&checkpoint, decoder, &options, &mut sink),
        };
        quantized.map(|decided| decisions = decided).map_err(|error| {
            refused = Some(error);
            std::io::Error::other("refused")
        })
    });
    if let Some(error) = refused {
        let decoder = arguments.decoder.iter().map(|path| format!(" with decoder {}", path.display()));
        let files: String = [arguments.checkpoint.display().to_string()].into_iter().chain(decoder).collect();
        return Err(error).context(files);
    }
    written.with_context(|| format!("cannot write {}", arguments.out.display()))?;
    if arguments.explain {
        explain(&decisions);
    }
    Ok(())
}

/// What a budget judges layers by; `None` for the error of single pictures.
fn features(given: Option<&Path>, checkpoint: &CheckpointView) -> Result<Option<Features>> {
    let (network, statistics) = match given {
        Some(none) if none == Path::new("none") => return Ok(None),
        Some(folder) => {
            let statistics = read_statistics(&folder.join("statistics-train.safetensors"));
            let remedy = || format!("--features {}: `driftlet stats` makes the statistics", folder.display());
            (Checkpoint::load(folder)?, statistics.with_context(remedy)?)
        }
        None => {
            let network = shipped::classifier()?;
            if network.config.data != checkpoint.config.data {
                return Ok(None);
            }
            (network, shipped::train_statistics()?)
        }
    };
    let features = Features::new(&network, statistics.mean, &statistics.covariance);
    features
        .map(Some)
        .with_context(|| format!("--features {}", given.unwrap_or(Path::new(shipped::CLASSIFIER)).display()))
}

/// Shows one search after another.
fn listener() -> Listener {
    let shown: Mutex<Option<(String, Progress)>> = Mutex::new(None);
    Listener::new(move |what, done, total| {
        let Ok(mut shown) = shown.lock() else { return };
        if shown.as_ref().is_none_or(|(label, _)| label != what) {
            *shown = Some((what.to_owned(), Progress::new(what, total)));
        }
        if let Some((_, progress)) = &*shown {
            progress.reach(done);
        }
        if done == total
            && let Some((_, progress)) = shown.take()
        {
            progress.finish();
        }
    })
}

/// A row for each layer: what it got, what every choice takes, and what it costs alone.
fn explain(decisions: &Decisions) {
    let name = |kept| match kept {
        Kept::Eight => "8 bits",
        Kept::Four => "4 bits",
        Kept::FourOfOneScale => "4 bits, one scale",
    };
    let cost = match decisions.wholes {
        Some(_) => "the Frechet distance that it adds",
        None => "error of the pictures that it adds",
    };
    println!("{:24} {:18} {:>8}  tried: bytes, {cost}", "layer", "weights", "bytes");
    for layer in &decisions.layers {
        let tried = layer.tried.iter().map(|&(kept, bytes, error)| match kept {
            Kept::Eight => format!("{} {bytes}", name(kept)),
            _ => format!("{} {bytes} {error:+.5}", name(kept)),
        });
        let tried = tried.collect::<Vec<_>>().join("; ");
        println!("{:24} {:18} {:>8}  {tried}", layer.name, name(layer.kept), layer.bytes);
        println!("{:24} {}", "", layer.why);
    }
    if let Some(w) = &decisions.wholes {
        println!("Frechet distance to the data's statistics, {} pictures:", w.pictures);
        println!("  f32 {:.3}, 8 bits everywhere {:.3}", w.float, w.eight);
        println!("  least sum over layers {:.3}, best of {} files judged as a whole {:.3}", w.sum, w.files, w.taken);
    }
}
