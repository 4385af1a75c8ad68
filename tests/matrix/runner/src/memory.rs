//! What every target has: room for one file and its arena.

use driftlet_matrix::{Engine, Hash, hash};
use driftlet_runtime::{Aligned, Alone, Kernels, Model};

/// The largest file.
const FILE: usize = 1 << 20;
/// The largest arena.
const ARENA: usize = 1 << 18;
/// What arenas hold before: nothing may depend on it.
const FILL: u8 = 0x5a;

/// Room for a file and an arena.
pub struct Memory {
    file: Aligned<[u8; FILE]>,
    arena: Aligned<[u8; ARENA]>,
}

impl Memory {
    pub const fn new() -> Self {
        Self { file: Aligned([0; FILE]), arena: Aligned([0; ARENA]) }
    }

    /// Where a file goes.
    pub fn file(&mut self) -> &mut [u8] {
        &mut self.file.0
    }

    /// Runs the file of so many bytes so many times.
    pub fn hash(&mut self, kernels: Kernels, len: usize, passes: u32) -> Result<Hash, &'static str> {
        let file = self.file.0.get(..len).ok_or("the file is too long")?;
        let model = Model::parse(file).map_err(|_| "the file is not a model that this runtime reads")?;
        let engine = Engine { kernels, workers: &Alone };
        hash(engine, &model, &mut self.arena.0, FILL, passes).map_err(|_| "the model does not start")
    }
}
