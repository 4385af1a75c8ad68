//! Weights that PyTorch has trained, as checkpoints of our architectures or under their own names.

mod archive;
mod bytes;
mod pickle;
mod weights;

use std::path::PathBuf;

pub use weights::{read_parameters, read_weights};

/// Why weights cannot be imported. Every message names the file and, where there is one, the parameter.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is damaged, or of a kind that is not read.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A parameter is missing, superfluous, or not what the architecture asks for.
    #[error("{}: parameter {name} {problem}", path.display())]
    Parameter {
        /// The file.
        path: PathBuf,
        /// The parameter, as the file would name it.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
}
