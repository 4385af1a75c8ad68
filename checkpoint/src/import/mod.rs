//! Checkpoints from other people's formats that need no framework to read.

mod flax;
mod msgpack;

pub use flax::import_flax;
