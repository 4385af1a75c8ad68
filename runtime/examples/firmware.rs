//! What firmware does: no standard library, no heap, the model in flash and the arena in a static. It builds for every target:
//!
//! `cargo build --release -p driftlet-runtime --example firmware --no-default-features --target thumbv7em-none-eabihf`
#![no_std]

use driftlet_runtime::{Aligned, Guidance, Model, Sampler};

/// In flash: `Aligned(*include_bytes!("model.drift"))`, aligned as weights like it.
pub type File = Aligned<[u8]>;

/// Bytes that `driftlet inspect` prints as arena.
pub const ARENA_LEN: usize = 56_448;

/// Makes the picture of a seed and shows it row by row.
///
/// # Errors
/// Says what is wrong with model, arena or class.
pub fn show(
    file: &'static File,
    arena: &'static mut Aligned<[u8; ARENA_LEN]>,
    (seed, class): (u64, u32),
    mut row: impl FnMut(&[u8]),
) -> Result<(), &'static str> {
    let model = Model::parse(&file.0).map_err(|_| "the model is not valid")?;
    let mut sampler = Sampler::new(&model, &mut arena.0).map_err(|_| "the arena is too small")?;
    let class = model.class(class).ok_or("no such class")?;
    let [_, width, channels] = model.image_shape().ok_or("no pictures")?;
    sampler.generate(seed, class, Guidance::from_q8(256)).chunks(width * channels).for_each(&mut row);
    Ok(())
}
