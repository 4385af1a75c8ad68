//! The Driftlet runtime: one pass of a drifting generator, without an allocator, the same bytes on every machine.
//!
//! A `.drift` file is mapped or linked in place. [`Model::parse`] proves everything about it; a [`Sampler`] borrows the
//! model and an arena of the caller's, and makes pictures. After the parse nothing can fail.
//!
//! ```no_run
//! use driftlet_runtime::{Guidance, Model, Sampler};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = std::fs::read("model.drift")?;
//! let model = Model::parse(&file)?;
//! let mut arena = vec![0; model.arena_len() + 15];
//! let mut sampler = Sampler::new(&model, &mut arena)?;
//! let class = model.class(3).ok_or("no such class")?;
//! let pixels: &[u8] = sampler.generate(42, class, Guidance::from_f32(1.5));
//! # Ok(()) }
//! ```
//!
//! # A tour
//!
//! ## The file
//!
//! [`Model::parse`] takes the bytes of a file, aligned to 4: of a mapping, of a `Vec` (allocators align more), or of a static
//! that [`Aligned`] wraps. Nothing is copied, so the model borrows them. A file of strangers cannot do harm, but it can
//! ask for much: [`Model::arena_len`] and [`Model::work`] say how much before anything runs. [`Model::verify_weights`] finds a
//! torn copy.
//!
//! ## The arena
//!
//! All memory that a pass needs is one piece of the caller's, [`Model::arena_len`] bytes from an address that is a multiple of
//! 16 (give 15 more, and any address will do). Its length is exact and known when the file is written, so a
//! microcontroller can set it aside at compile time. Its content need not be cleared and means nothing afterwards.
//!
//! ## Pictures
//!
//! A seed, a class and a strength of guidance name a picture; an integer model makes the same bytes of it on every machine.
//! [`Sampler::generate`] returns 8-bit pixels, `[height, width, channels]` row-major
//! ([`Model::image_shape`]). What was made last is there to be read again in other forms: [`Sampler::rgb`],
//! [`Sampler::gray`], [`Sampler::unrounded`], and [`Sampler::raw`] as it is stored.
//!
//! [`Sampler::generate_batch`] makes one picture after the other into the caller's memory, by one arena.
//!
//! ## Line by line
//!
//! A [`LineSampler`] hands a picture out line by line, to a display say. It runs every model of pictures, and alone those whose
//! file says that their last operators run in bands ([`Model::bands`], `driftlet quantize --ram-limit`): their whole
//! picture never lies in the arena, nor do their largest maps.
//!
//! ## Other starts
//!
//! [`Sampler::generate_from`] takes a [`Start`]: a seed, a place on the way [between two seeds](Start::Between), or
//! [given noise](Start::Given), for latents that were found elsewhere.
//!
//! ## Progress, and calling it off
//!
//! [`Sampler::generate_observed`] calls back after each operator with a [`Step`], and stops if it is told to. Threads are the
//! caller's: a sampler may be sent to one, and any number of samplers may share a model.
//!
//! ## In pieces
//!
//! Where other tasks wait, [`Sampler::start`] and [`LineSampler::start`] begin a picture that is made in [`Pieces`], of about as
//! many multiply-accumulates as they are told: between two calls of [`Pieces::step`] an application does what it likes.
//!
//! ## Networks that look at pictures
//!
//! A `.drift` file may hold a classifier instead, or an encoder: [`Network`] takes 8-bit pixels and gives features and
//! result. These are float models.
//!
//! ## Without an operating system
//!
//! The crate is `no_std` and has no allocator. Without the default feature it links no float instruction, and of operators those
//! of plain convolutional generators; name `transformer` and `bands` where a file needs them, the parse says so:
//!
//! ```toml
//! driftlet-runtime = { version = "0.1", default-features = false }
//! ```
//!
//! ```
//! use driftlet_runtime::{Aligned, Guidance, Model, Sampler};
//!
//! # const FILE: &[u8; 3] = b"...";
//! // In flash: static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("model.drift"));
//! static MODEL: &Aligned<[u8]> = &Aligned(*FILE);
//!
//! fn picture(arena: &mut Aligned<[u8; 56_448]>, show: impl FnOnce(&[u8])) -> Result<(), &'static str> {
//!     let model = Model::parse(&MODEL.0).map_err(|_| "the model is not valid")?;
//!     let mut sampler = Sampler::new(&model, &mut arena.0).map_err(|_| "the arena is too small")?;
//!     let class = model.class(0).ok_or("no such class")?;
//!     show(sampler.generate(7, class, Guidance::from_q8(256)));
//!     Ok(())
//! }
//! # assert!(picture(&mut Aligned([0; 56_448]), |_| ()).is_err());
//! ```
//!
//! `firmware-demo` is a whole program of this kind.
//!
//! ## Files for tools
//!
//! [`Model::op_info`] lists operators with their shapes, memory and multiply-accumulates; [`Model::metadata`] is the JSON that the
//! quantizer wrote. [`format`](mod@format) has readers and writers of every record, and [`noise`] what stands behind a seed.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `float` | yes | f32 and f16 models, and all of the below; without it no float instruction is linked |
//! | `transformer` | by `float` | all integer operators but noise, embeddings of class and guidance, linear layers, convolutions, pixels |
//! | `bands` | by `float` | models that run in bands (`driftlet quantize --ram-limit`) |
//! | `nibbles` | by `float` | weights of 4 bits (`driftlet quantize --weights 4`, `--budget`) |
//! | `messages` | by `float` | errors say what is wrong with a damaged file, not only where |
//! | `std` | no | `Pool`, threads that share an operator; the processor is asked for its instruction sets at run time |
#![cfg_attr(not(any(test, feature = "std")), no_std)]

#[cfg(target_endian = "big")]
compile_error!("a .drift file is used in place and is little-endian; big-endian targets are not supported");

pub mod bands;
mod execute;
pub mod format;
mod kernels;
mod lines;
mod model;
pub mod noise;
pub mod panels;
mod pieces;
mod pixels;
#[cfg(feature = "std")]
mod pool;
mod sampler;
mod start;
mod validate;
mod workers;

pub use execute::{Step, View};
pub use kernels::{Kernels, attention_scratch_len};
pub use lines::LineSampler;
pub use model::{Bands, Class, Guidance, Model, OpInfo, ParseError};
pub use pieces::Pieces;
#[cfg(feature = "float")]
pub use pixels::from_unit;
#[cfg(feature = "std")]
pub use pool::Pool;
pub use sampler::{Aligned, Sampler, StartError};
#[cfg(feature = "float")]
pub use sampler::{InputError, Network, Seen};
pub use start::{GivenNoise, Start};
pub use workers::{Alone, Workers};
