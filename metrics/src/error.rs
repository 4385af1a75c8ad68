//! Why a figure cannot be computed.

use driftlet_runtime::{InputError, StartError};

/// Why a figure cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Numbers do not fit together.
    #[error("{0}")]
    Shape(String),
    /// A file of statistics is not what it should be.
    #[error("{file}: {problem}")]
    Statistics {
        /// The file.
        file: String,
        /// The field, and what is wrong with it.
        problem: String,
    },
    /// The feature network cannot be started.
    #[error("feature network: {0}")]
    Start(#[from] StartError),
    /// The feature network takes other pictures.
    #[error("feature network: {0}")]
    Input(#[from] InputError),
    /// The eigenvalues of a covariance matrix cannot be found.
    #[error("the covariance matrix has no eigenvalues: a feature is not finite")]
    Eigenvalues,
}
