//! The Driftlet runtime: one pass of a drifting generator, without an allocator, the same bytes on every machine.
//!
//! A `.drift` file is mapped or linked in place. [`Model::parse`] proves everything about it; a [`Sampler`] borrows the
//! model and an arena of the caller's, and makes pictures. After the parse nothing can fail.
//!
//! ```no_run
//! use driftlet_runtime::{Guidance, Model, Sampler};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (file, mut arena) = (std::fs::read("model.drift")?, vec![0; 1 << 16]);
//! let model = Model::parse(&file)?;
//! let mut sampler = Sampler::new(&model, &mut arena)?;
//! let class = model.class(3).ok_or("no such class")?;
//! let pixels: &[u8] = sampler.generate(42, class, Guidance::from_f32(1.5));
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `float` | yes | f32 and f16 models; without it no float instruction is linked |
//! | `std` | no | `Pool`, threads that share an operator; the processor is asked for its instruction sets at run time |
#![cfg_attr(not(any(test, feature = "std")), no_std)]

#[cfg(target_endian = "big")]
compile_error!("a .drift file is used in place and is little-endian; big-endian targets are not supported");

mod execute;
pub mod format;
mod kernels;
mod model;
pub mod noise;
pub mod panels;
mod pixels;
#[cfg(feature = "std")]
mod pool;
mod sampler;
mod start;
mod validate;
mod workers;

pub use execute::{Step, View};
pub use kernels::{Kernels, attention_scratch_len};
pub use model::{Class, Guidance, Model, OpInfo, ParseError};
#[cfg(feature = "float")]
pub use pixels::from_unit;
#[cfg(feature = "std")]
pub use pool::Pool;
pub use sampler::{Aligned, Sampler, StartError};
#[cfg(feature = "float")]
pub use sampler::{InputError, Network, Seen};
pub use start::{GivenNoise, Start};
pub use workers::{Alone, Workers};
