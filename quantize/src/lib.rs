//! From a checkpoint to a `.drift` file: graph, calibration, integers, memory plan.
//!
//! ```text
//! checkpoint --lower--> graph --float--> program --emit--> .drift (f32)
//!                         |                                  |
//!                         |                              calibrate (runs the f32 file)
//!                         |                                  |
//!                         +---- integers or float <----------+
//!                                    |
//!                                 program --emit--> .drift (int8 or f16)
//! ```
//!
//! ```
//! use driftlet_checkpoint::{Architecture, Checkpoint, Config};
//! use driftlet_quantize::{Options, Precision, quantize};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let architecture = Architecture::preset("micro").ok_or("no such preset")?;
//! let checkpoint = Checkpoint::random(Config::new(architecture), 1);
//! let file = quantize(&checkpoint, &Options::new("example", Precision::F16))?;
//! # assert!(!file.is_empty());
//! # Ok(()) }
//! ```

mod balance;
mod bias;
mod calibrate;
mod emit;
mod fidelity;
mod float;
pub mod graph;
mod inception;
mod integers;
mod lower;
mod onnx;
mod plan;
mod program;
mod progress;
mod runnable;
mod sharing;
mod tune;

pub use driftlet_runtime::format::Precision;
pub use inception::{inception, inception_parameters};
pub use integers::rounding::WeightBits;
pub use onnx::export_onnx;
pub use progress::Listener;
pub use tune::judge::Features;
pub use tune::mixed::{Decisions, Kept, LayerChoice, Wholes};

use std::io::{Cursor, Seek, SeekFrom, Write};

use balance::Balance;
use driftlet_checkpoint::{Checkpoint, CheckpointView, Config};
use graph::Graph;
use program::{Layer, Metadata, Program};
use runnable::Runnable;

/// Width of an int8 model's activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// Least memory.
    Eight,
    /// As many of 16 bits as sums of 32 bits allow: twice the memory, and hardly any error.
    Sixteen,
}

/// What the arena may take: where whole maps take more, the last operators of a generator of pictures run in bands, and its
/// pictures come line by line ([`LineSampler`](driftlet_runtime::LineSampler)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RamLimit {
    /// Whole maps, and whole pictures.
    #[default]
    None,
    /// So many bytes.
    Bytes(usize),
    /// As little as bands reach.
    Least,
}

/// What makes an int8 model's pictures nearer to those of the float model; all of it is used unless [`Options::without`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Technique {
    /// Channels of 8-bit activations brought to a common range.
    Balance,
    /// Ranges of 8-bit activations by the error of the pictures; without it they hold all that was seen.
    Ranges,
    /// Biases that take back what rounded weights shift. Fitted weights have biases of their own.
    Bias,
    /// Weights of 4 bits fitted to the layer's inputs; without it they are the nearest.
    Fit,
    /// Fitted weights that make up for the errors of the layers before.
    Errors,
}

/// How to quantize.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of the model, kept in the file.
    pub name: String,
    /// Arithmetic of the result.
    pub precision: Precision,
    /// Width of activations; for [`Precision::Int8`] only.
    pub activations: Activations,
    /// Width of weights; for [`Precision::Int8`] only.
    pub weights: WeightBits,
    /// Most bytes of the file; for [`Precision::Int8`] only: each layer gets weights of 4 or of 8 bits, whatever `weights` says.
    pub budget: Option<usize>,
    /// Number of pictures generated to learn ranges and means of activations, [`Precision::F32`] needs none; `None` takes
    /// 256, and fewer, down to 4, for networks of which one picture takes long.
    pub calibration_samples: Option<u32>,
    /// Seed of the first of these pictures.
    pub calibration_seed: u64,
    /// What the arena may take.
    pub ram_limit: RamLimit,
    /// Judges what layers get under a budget by the distribution of the pictures; without it by the error of each picture.
    pub features: Option<Features>,
    /// Hears how far a search is.
    pub listener: Listener,
    /// What is left out, for [`Precision::Int8`], to see what it is worth.
    pub without: Vec<Technique>,
}

impl Options {
    /// The defaults: up to 256 calibration pictures from seed 2^32 on, far from the seeds that people try.
    pub fn new(name: &str, precision: Precision) -> Self {
        Self {
            name: name.into(),
            precision,
            activations: Activations::Sixteen,
            weights: WeightBits::Eight,
            budget: None,
            calibration_samples: None,
            calibration_seed: 1 << 32,
            ram_limit: RamLimit::None,
            features: None,
            listener: Listener::default(),
            without: Vec::new(),
        }
    }

    /// Whether a technique is used.
    fn uses(&self, technique: Technique) -> bool {
        !self.without.contains(&technique)
    }

    /// What pictures were made for, for the file's description: what decides about ranges, or means that correct biases.
    fn method(&self) -> &'static str {
        match (self.precision, self.activations) {
            (Precision::Int8, Activations::Eight) if self.uses(Technique::Ranges) => "error of the pictures",
            (Precision::Int8, Activations::Eight) => "extremes",
            (Precision::Int8, Activations::Sixteen) => "largest magnitudes",
            _ => "means for the bias",
        }
    }
}

/// Makes the bytes of a `.drift` file. The same checkpoint and options give the same bytes.
///
/// # Errors
/// [`QuantizeError`] for networks that the runtime cannot run, and weights that the precision cannot hold.
pub fn quantize(checkpoint: &Checkpoint, options: &Options) -> Result<Vec<u8>, QuantizeError> {
    let mut file = Cursor::new(Vec::new());
    quantize_to(&checkpoint.view(), options, &mut file)?;
    let file = file.into_inner();
    let aligned = aligned_vec::AVec::<u8>::from_slice(driftlet_runtime::format::ALIGN as usize, &file);
    driftlet_runtime::Model::parse(&aligned).map_err(|e| QuantizeError::Defect(e.to_string()))?;
    Ok(file)
}

/// As [`quantize`], into a file, say: nothing of the size of the weights is held in memory but, for part of the time, the
/// checkpoint. Large networks are kept in temporary files meanwhile. Returns what was decided about each layer where
/// [`Options::budget`] left a choice.
///
/// # Errors
/// As [`quantize`], and [`QuantizeError::Write`].
pub fn quantize_to(
    checkpoint: &CheckpointView,
    options: &Options,
    sink: &mut (impl Write + Seek),
) -> Result<Decisions, QuantizeError> {
    let graph = lower::lower(checkpoint)?;
    let Config { data, class_names, .. } = checkpoint.config;
    run(&graph, &Description { data, class_names }, options, sink, &|| checkpoint.release())
}

/// As [`quantize_to`], of a generator of latents and the decoder that makes pictures of them: one file, from seed to pixels.
/// The decoder takes the size of the generator's latents, whatever its own configuration says.
///
/// # Errors
/// As [`quantize_to`], and [`QuantizeError::Parameter`] where the two do not fit together.
pub fn quantize_with_decoder_to(
    generator: &CheckpointView,
    decoder: &CheckpointView,
    options: &Options,
    sink: &mut (impl Write + Seek),
) -> Result<Decisions, QuantizeError> {
    let graph = lower::lower_with_decoder(generator, decoder)?;
    let Config { data, class_names, .. } = generator.config;
    let release = || {
        generator.release();
        decoder.release();
    };
    run(&graph, &Description { data, class_names }, options, sink, &release)
}

/// What a file says about the data of its network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description<'a> {
    /// Name of the data set.
    pub data: &'a str,
    /// Names of the classes.
    pub class_names: &'a [String],
}

/// As [`quantize_to`], of a network that is given as a graph: any that the runtime's operators can express.
///
/// ```
/// use driftlet_quantize::graph::{Filter, Graph, Layout, Op};
/// use driftlet_quantize::{Description, Options, Precision, quantize_graph};
///
/// # fn main() -> Result<(), driftlet_quantize::QuantizeError> {
/// let mut graph = Graph::default();
/// let noise = graph.push(Op::Noise, &[], [1, 1, 4]);
/// let filter = Filter {
///     name: "out".into(),
///     weight: vec![0.5; 12 * 4].into(),
///     layout: Layout::InputsLast,
///     bias: vec![0.0; 12].into(),
///     outputs: 12,
///     kernel: [1, 1],
///     inputs: 4,
///     relu: false,
/// };
/// graph.output = graph.push(Op::Linear(filter), &[noise], [2, 2, 3]);
/// graph.pixels = Some(graph.push(Op::Pixels { tanh: true }, &[graph.output], [2, 2, 3]));
/// let mut file = std::io::Cursor::new(Vec::new());
/// quantize_graph(&graph, &Description::default(), &Options::new("example", Precision::Int8), &mut file)?;
/// # assert!(!file.into_inner().is_empty());
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`quantize_to`].
pub fn quantize_graph(
    graph: &Graph,
    description: &Description,
    options: &Options,
    sink: &mut (impl Write + Seek),
) -> Result<Decisions, QuantizeError> {
    run(graph, description, options, sink, &|| ())
}

/// Calls `release` where the weights of the graph will not be read for long.
fn run(
    graph: &Graph,
    description: &Description,
    options: &Options,
    sink: &mut (impl Write + Seek),
    release: &dyn Fn(),
) -> Result<Decisions, QuantizeError> {
    let mut metadata = Metadata {
        name: options.name.clone(),
        precision: options.precision.name().into(),
        data: description.data.into(),
        class_names: description.class_names.to_vec(),
        quantizer: concat!("driftlet ", env!("CARGO_PKG_VERSION")).into(),
        layers: graph.nodes.iter().map(|node| Layer { name: node.op.name().into(), sqnr: None }).collect(),
        arena_bound: None,
        arena_bound_op: None,
        arena_whole: None,
        calibration: None,
    };
    // Only generators can calibrate themselves.
    let generator = !graph.nodes.iter().any(|node| matches!(node.op, graph::Op::Input));
    if options.precision == Precision::F32 || !generator && options.precision == Precision::F16 {
        emit::emit(&float::program(graph, options.precision, None)?, &metadata, options.ram_limit, sink)?;
        return Ok(Decisions::default());
    }
    let reference = Runnable::reference(graph, &metadata)?;
    release();
    let calibration = calibrate::calibrate(&reference.model()?, graph, options)?;
    reference.release();
    metadata.calibration = Some(calibration.summary.clone());
    let (mut balance, mut decisions) = (Balance::none(graph), Decisions::default());
    let mut program: Program = match options.precision {
        Precision::Int8 => {
            let (choice, decided) = tune::choose(graph, &reference, &calibration, options, &metadata, release)?;
            (balance, decisions) = (choice.balance.clone(), decided);
            integers::program(graph, &choice)?
        }
        Precision::F32 | Precision::F16 => float::program(graph, options.precision, Some(&calibration.means))?,
    };
    if options.ram_limit == RamLimit::None {
        plan::spare::widen(&mut program);
    }
    let candidate = Runnable::new(&program, &metadata)?;
    release();
    let seed = options.calibration_seed;
    let ratios = fidelity::measure(&reference.model()?, &candidate.model()?, graph, &balance, seed)?;
    let listed = metadata.layers.iter_mut().zip(ratios);
    listed.for_each(|(layer, ratio)| layer.sqnr = ratio.map(|ratio| (ratio * 10.0).round() / 10.0));
    // Before the weights are read once more.
    drop((reference, candidate));
    emit::emit(&program, &metadata, options.ram_limit, sink)?;
    if let Some(budget) = options.budget.filter(|_| options.precision == Precision::Int8) {
        let len = sink.seek(SeekFrom::End(0)).map_err(QuantizeError::Write)? as usize;
        if len > budget {
            return Err(QuantizeError::Budget { budget, least: len });
        }
    }
    Ok(decisions)
}

/// Why a checkpoint cannot be quantized.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    /// The runtime has no operators for this network.
    #[error("a network of type `{0}` cannot be made into a .drift file; give a generator or a classifier")]
    Unsupported(&'static str),
    /// A parameter has no counterpart in the file.
    #[error("{field}: {problem}")]
    Parameter {
        /// The tensor or configuration field.
        field: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The result is larger than the format allows.
    #[error("the model is too large for a .drift file: {0}")]
    TooLarge(&'static str),
    /// Not even bands make the arena small enough.
    #[error(
        "the arena needs {least} bytes at least ({whole} with whole maps), more than the limit of {limit}; raise the limit, \
         give 8-bit activations, or choose a smaller network"
    )]
    RamLimit {
        /// Bytes allowed.
        limit: usize,
        /// The least that was found.
        least: usize,
        /// Without bands.
        whole: usize,
    },
    /// Not even weights of 4 bits make the file small enough.
    #[error(
        "the file needs {least} bytes at least, more than the budget of {budget}; raise the budget, or choose a smaller network"
    )]
    Budget {
        /// Bytes allowed.
        budget: usize,
        /// The least that was found.
        least: usize,
    },
    /// ONNX export does not know an operator.
    #[error("{0} is not exported to ONNX yet")]
    NotInOnnx(&'static str),
    /// Integer models do not have an operator.
    #[error("int8 models have no {0}; quantize to f16 or f32")]
    NotInIntegers(&'static str),
    /// The file cannot be written.
    #[error("cannot write the model: {0}; is there room on the disk?")]
    Write(#[source] std::io::Error),
    /// Calibration needs a picture.
    #[error("calibration needs at least one picture; set calibration samples to 1 or more")]
    NoCalibration,
    /// The runtime refuses what was made: a defect of the quantizer.
    #[error("the file just made does not pass its own proof ({0}); please report this")]
    Defect(String),
}

impl QuantizeError {
    pub(crate) fn parameter(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Parameter { field: field.into(), problem: problem.into() }
    }
}
