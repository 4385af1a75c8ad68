//! The int8 files whose hashes are committed, in two sets: small networks that run often, and larger ones that run a few times.

use std::boxed::Box;
use std::format;
use std::io::Cursor;
use std::string::String;
use std::vec::Vec;

use aligned_vec::AVec;
use driftlet_quantize::graph::Graph;
use driftlet_quantize::{Activations, Description, Options, Precision, WeightBits, quantize_graph};
use driftlet_runtime::format::ALIGN;

use crate::PICTURES;
use crate::networks::{self, architectures, golden, graphs, shipped};

/// Why a file cannot be made.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Passes of a model that people use: each way of starting once.
const PICTURES_OF_MODELS: u32 = 4;

/// Calibration pictures of small networks: few enough that numbers saturate later.
const CALIBRATION: u32 = 16;

/// A `.drift` file.
pub struct File {
    /// `networks` or `models`: the list that its hash stands in.
    pub set: &'static str,
    /// Its name there.
    pub name: String,
    /// How often it runs.
    pub passes: u32,
    /// Its content.
    pub bytes: AVec<u8>,
}

/// Small networks of which there are files with weights of 4 bits too: linear layers and convolutions in every form.
const FOUR: [&str; 6] = ["dense", "wide", "transposed", "edge-conv", "dit", "decoder"];

/// Makes every file: each small network with 16- and with 8-bit activations (a name that ends with `-8`), some with weights of
/// 4 bits (`-w4`, `-w4-8`), golden generators and shipped models with 16.
///
/// # Errors
/// If a golden or shipped network cannot be read, or the quantizer refuses one.
pub fn files() -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for (weights, activations, ending) in [
        (WeightBits::Eight, Activations::Sixteen, ""),
        (WeightBits::Eight, Activations::Eight, "-8"),
        (WeightBits::Four, Activations::Sixteen, "-w4"),
        (WeightBits::Four, Activations::Eight, "-w4-8"),
    ] {
        let mut add = |name: &str, make: &dyn Fn(&Options) -> Result<Vec<u8>, Failure>| -> Result<(), Failure> {
            if weights == WeightBits::Four && !FOUR.contains(&name) {
                return Ok(());
            }
            let name = format!("{name}{ending}");
            let options = Options {
                activations,
                weights,
                calibration_samples: Some(CALIBRATION),
                ..Options::new(&name, Precision::Int8)
            };
            files.push(File { set: "networks", bytes: made(&name, make, &options)?, name, passes: PICTURES });
            Ok(())
        };
        for network in graphs() {
            add(network.name, &|options| of_graph(&network.graph, options))?;
        }
        for (name, make) in architectures() {
            add(name, &make)?;
        }
    }
    // Under a budget that asks for less than 4 bits everywhere: scales that all channels of a layer share.
    for (name, make) in architectures().into_iter().take(1) {
        let four = Options {
            weights: WeightBits::Four,
            activations: Activations::Eight,
            calibration_samples: Some(CALIBRATION),
            ..Options::new(&format!("{name}-budget"), Precision::Int8)
        };
        let len = make(&four)?.len();
        let bytes = made(&four.name, &make, &Options { budget: Some(len - 64), ..four.clone() })?;
        files.push(File { set: "networks", bytes, name: four.name, passes: PICTURES });
    }
    for (name, make) in golden()?.into_iter().chain(shipped()?) {
        let bytes = made(&name, &make, &Options::new(&name, Precision::Int8))?;
        files.push(File { set: "models", bytes, name, passes: PICTURES_OF_MODELS });
    }
    Ok(files)
}

/// The layers that kernels of microcontrollers are measured with, with 16- and with 8-bit activations (`layers-8`). They are
/// too large for a list of hashes: who measures compares one picture with the host's.
///
/// # Errors
/// If the quantizer refuses them.
pub fn layers() -> Result<Vec<File>, Failure> {
    let graph = networks::layers();
    let of = |(activations, name): (Activations, &str)| {
        let options =
            Options { activations, calibration_samples: Some(CALIBRATION), ..Options::new(name, Precision::Int8) };
        let bytes = made(name, &|options| of_graph(&graph, options), &options)?;
        Ok(File { set: "layers", bytes, name: name.into(), passes: 1 })
    };
    [(Activations::Sixteen, "layers"), (Activations::Eight, "layers-8")].into_iter().map(of).collect()
}

fn of_graph(graph: &Graph, options: &Options) -> Result<Vec<u8>, Failure> {
    let mut file = Cursor::new(Vec::new());
    quantize_graph(graph, &Description::default(), options, &mut file)?;
    Ok(file.into_inner())
}

fn made(
    name: &str,
    make: &dyn Fn(&Options) -> Result<Vec<u8>, Failure>,
    options: &Options,
) -> Result<AVec<u8>, Failure> {
    let bytes = make(options).map_err(|e| format!("{name}: {e}"))?;
    Ok(AVec::from_slice(ALIGN as usize, &bytes))
}
