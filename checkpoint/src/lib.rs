//! Checkpoints of drifting generators: architecture, weights, atomic files.
//!
//! A checkpoint is a directory with `config.json` (what the network is and how it was trained) and
//! `weights.safetensors` (f32, under the names of [`Architecture::parameters`]).
//!
//! ```
//! use driftlet_checkpoint::{Architecture, Checkpoint, Config};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let micro = Architecture::preset("micro").ok_or("no such preset")?;
//! let checkpoint = Checkpoint::random(Config::new(micro), 1);
//! assert_eq!(checkpoint.tensor("noise.bias").shape, [80]);
//! # Ok(()) }
//! ```

mod architecture;
mod atomic;
mod checkpoint;
mod config;
mod error;
mod import;
mod lazy;
mod mapping;
mod random;
mod view;

pub use architecture::{
    Architecture, Classifier, ConvLayer, ConvNextV2, Dit, EdgeConv, Encoder, Interface, Mlp, ResnetMae, Stage,
    VaeDecoder,
};
pub use atomic::{remove_leftovers, write_atomic, write_atomic_with};
pub use checkpoint::{Checkpoint, Tensor};
pub use config::Config;
pub use error::CheckpointError;
pub use import::{ImportError, import_diffusers, import_flax, read_parameters, read_weights};
pub use lazy::{LazyTensor, save_lazily};
pub use mapping::{map_file, release};
pub use view::{CheckpointView, MappedCheckpoint, TensorView};
