//! Trains drifting generators, their encoders and metric classifiers with Burn.
//!
//! One call, [`train`], reads a TOML file (see `configs/`), finds the data, and runs until the last step or an
//! interruption; `resume` continues exactly where it stopped. [`drift`] is the method itself (Deng et al., "Generative
//! Modeling via Drifting", arXiv 2602.04770), generic over Burn's backends.
//!
//! A run's directory holds `config.toml` (what was asked for), `log.jsonl`, `samples/*.png`, `checkpoint/` (the averaged
//! weights, ready to quantize) and `state.safetensors` (everything that `resume` needs).

mod ahead;
mod backend;
mod config;
mod dataset;
pub mod drift;
mod error;
#[cfg(any(feature = "flex", feature = "tch"))]
mod infer;
pub mod networks;
mod order;
mod run;
mod tasks;

use std::path::PathBuf;

pub use error::TrainError;
#[cfg(any(feature = "flex", feature = "tch"))]
pub use infer::{InferError, infer};

/// What to train, and where.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// TOML file.
    pub config: PathBuf,
    /// Directory of the run.
    pub out: PathBuf,
    /// `cpu`, or the name of a backend that was compiled in: `flex`, `tch`, `cuda`, `wgpu`.
    pub backend: String,
    /// Continue the run in `out`.
    pub resume: bool,
    /// Overrides like `optimizer.learning_rate=1e-4`.
    pub set: Vec<String>,
}

/// Trains until the last step of the configuration.
///
/// # Errors
/// [`TrainError`]; after [`TrainError::Interrupted`] and [`TrainError::NotFinite`] the run can be resumed.
pub fn train(options: TrainOptions) -> Result<(), TrainError> {
    let config = config::load(&options.config, &options.set)?;
    backend::run(&config, &options)
}
