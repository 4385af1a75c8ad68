//! Checkpoints from other people's formats that need no framework to read.

mod diffusers;
mod flax;
mod msgpack;
mod numbers;
mod torch;

pub use diffusers::import_diffusers;
pub use flax::import_flax;
pub use torch::{ImportError, read_parameters, read_weights};
