//! Why training stops.

use std::path::PathBuf;

use driftlet_checkpoint::CheckpointError;
use driftlet_data::DataError;

/// Why training stops before its end. Every message names the file or field and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The configuration is wrong.
    #[error("{file}: {problem}")]
    Config {
        /// The file or option.
        file: String,
        /// The field, and what is wrong with it.
        problem: String,
    },
    /// The backend is not there.
    #[error("backend `{name}`: {problem}")]
    Backend {
        /// Its name.
        name: String,
        /// What is missing, and what to do.
        problem: String,
    },
    /// The data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The operating system refused.
    #[error("cannot write {}: {source}; what was saved before is whole, continue with --resume", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The directory holds a run already, or none to resume.
    #[error("{}: {problem}", directory.display())]
    Run {
        /// The run's directory.
        directory: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Numbers overflowed.
    #[error("step {step}: {what} is not finite; the checkpoint in {} is from before; lower optimizer.learning_rate", checkpoint.display())]
    NotFinite {
        /// The step.
        step: u64,
        /// Loss, gradient or weight.
        what: &'static str,
        /// The last good checkpoint.
        checkpoint: PathBuf,
    },
    /// Someone pressed Ctrl-C.
    #[error("interrupted after step {step}; continue with --resume")]
    Interrupted {
        /// The last step that is saved.
        step: u64,
    },
}
