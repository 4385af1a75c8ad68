//! Checkpoints from other people's formats that need no framework to read.

mod diffusers;
mod flax;
mod msgpack;
mod numbers;

pub use diffusers::import_diffusers;
pub use flax::import_flax;
