//! What can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

/// Why a checkpoint cannot be read or written. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// `config.json` is not what it should be.
    #[error("{file}: {problem}")]
    Config {
        /// The file.
        file: String,
        /// The field, what is wrong with it, and what to do.
        problem: String,
    },
    /// `weights.safetensors` does not hold what the configuration says.
    #[error("{file}: {problem}")]
    Weights {
        /// The file.
        file: String,
        /// The tensor, what is wrong with it, and what to do.
        problem: String,
    },
}
