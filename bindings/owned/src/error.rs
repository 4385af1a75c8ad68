//! What can be wrong with a file or a request.

use driftlet_runtime::{ParseError, StartError};

/// Why a file is no generator, or a request cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not valid.
    #[error(transparent)]
    File(#[from] ParseError),
    /// The file holds something else, or the environment asks for kernels that are not there.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The weights' checksum is wrong.
    #[error("the weights are damaged (checksum); fetch or quantize the file again")]
    TornWeights,
    /// The model makes latents.
    #[error("the model makes latents, no pictures; quantize it together with a decoder")]
    NoPictures,
    /// A class that the model does not have.
    #[error("class {given} does not exist: {}", known(*classes))]
    NoSuchClass {
        /// The class asked for.
        given: u32,
        /// Number of classes of the model.
        classes: u32,
    },
    /// Guidance that the model was not trained on.
    #[error("guidance {given} lies outside {weakest} to {strongest}, which the model was trained on")]
    Guidance {
        /// The strength asked for.
        given: f32,
        /// The model's least.
        weakest: f32,
        /// The model's largest.
        strongest: f32,
    },
    /// A place that is not on the way between two seeds.
    #[error("position {0} lies outside 0 to 1")]
    Position(f32),
    /// Memory of the wrong length for a picture.
    #[error("a picture has {expected} bytes, but there is room for {given}")]
    Length {
        /// Bytes of a picture.
        expected: usize,
        /// Bytes given.
        given: usize,
    },
}

fn known(classes: u32) -> String {
    match classes {
        0 => "the model takes no class, only 0 stands for that".into(),
        n => format!("the model has classes 0 to {}", n - 1),
    }
}
