//! One hash of many passes of a model.

use core::fmt;

use driftlet_runtime::{Kernels, Model, Sampler, StartError, View, Workers};
use sha2::{Digest, Sha256};

use crate::requests::request;

/// Passes of each small network.
pub const PICTURES: u32 = 64;

/// SHA-256 of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Who computes.
#[derive(Clone, Copy)]
pub struct Engine<'e> {
    /// The kernels.
    pub kernels: Kernels,
    /// The threads.
    pub workers: &'e dyn Workers,
}

/// Runs a model so many times and hashes the raw result and the picture of every pass. The arena is filled with `fill`
/// first: what it held before must not matter.
///
/// # Errors
/// As [`Sampler::new`].
pub fn hash(engine: Engine, model: &Model, arena: &mut [u8], fill: u8, passes: u32) -> Result<Hash, StartError> {
    arena.fill(fill);
    let mut sampler = Sampler::new(model, arena)?;
    sampler.set_kernels(engine.kernels);
    sampler.set_workers(engine.workers);
    let mut all = Sha256::new();
    for (start, class, guidance) in (0..passes).filter_map(|index| request(model, index)) {
        sampler.generate_from(start, class, guidance);
        match sampler.raw() {
            View::I16(numbers) => numbers.iter().for_each(|x| all.update(x.to_le_bytes())),
            View::I8(numbers) => numbers.iter().for_each(|x| all.update(x.to_le_bytes())),
            View::F32(numbers) => numbers.iter().for_each(|x| all.update(x.to_le_bytes())),
            View::U8(numbers) => all.update(numbers),
        }
        all.update(sampler.picture());
    }
    Ok(Hash(all.finalize().into()))
}
