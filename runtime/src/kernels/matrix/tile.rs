//! Sums of a few rows and outputs, kept in registers over all terms.

use crate::panels::{PANEL, QUAD};

/// Rows of the widest tile. On WebAssembly fewer: V8 has 15 registers on x86-64, and a tenth more time is spent with 6 rows.
pub const ROWS: usize = if cfg!(target_arch = "wasm32") { 4 } else { 6 };

/// Rows of inputs, each in several runs.
#[derive(Clone, Copy)]
pub struct Rows<E> {
    /// Where the runs begin: the first runs of all rows, then the second.
    pub table: *const *const E,
    /// Rows of the table.
    pub rows: usize,
    /// Runs of a row.
    pub runs: usize,
    /// Terms of a run, a multiple of [`QUAD`].
    pub len: usize,
}

impl<E> Rows<E> {
    /// Where a run of some rows begins.
    ///
    /// # Safety
    /// The rows exist.
    #[inline(always)]
    pub unsafe fn run<const R: usize>(&self, row: usize, run: usize) -> [*const E; R] {
        // SAFETY: promised by the caller.
        core::array::from_fn(|r| unsafe { *self.table.add(run * self.rows + row + r) })
    }
}

/// Computes the sums `[count, outputs]` of so many rows and of the outputs whose weights are given: panels of the file's
/// order, of which the last may be narrow.
///
/// # Safety
/// The processor has the instructions; there are `count` rows whose runs have `terms` terms together, all readable, and room
/// for the sums.
pub type Product<E> = unsafe fn(rows: Rows<E>, count: usize, weight: &[i8], terms: usize, sums: *mut i32);

/// What an instruction set does with four inputs and their weights, for several outputs at once.
///
/// # Safety
/// Every function needs the processor's instructions, and what its pointer points to.
pub unsafe trait Dot {
    /// An input as the instruction takes it.
    type Input: Copy;
    /// Four inputs, for every output.
    type Inputs: Copy;
    /// Four weights of each output.
    type Weights: Copy;
    /// Sums of the outputs.
    type Sums: Copy;
    /// Outputs side by side; divides [`PANEL`].
    const OUTPUTS: usize;

    unsafe fn zero() -> Self::Sums;
    unsafe fn inputs(at: *const Self::Input) -> Self::Inputs;
    unsafe fn weights(at: *const i8) -> Self::Weights;
    /// The weights of fewer outputs; reads no others.
    unsafe fn some_weights(at: *const i8, outputs: usize) -> Self::Weights;
    unsafe fn dot(sums: Self::Sums, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sums;
    unsafe fn store(sums: Self::Sums, at: *mut i32);
    /// Stores the sums of the first `outputs` alone.
    #[inline(always)]
    unsafe fn store_some(sums: Self::Sums, at: *mut i32, outputs: usize) {
        let mut stored = [0; PANEL];
        // SAFETY: a register has at most a panel of sums; the caller has room for `outputs`.
        unsafe {
            Self::store(sums, stored.as_mut_ptr());
            core::ptr::copy_nonoverlapping(stored.as_ptr(), at, outputs);
        }
    }
}

/// A [`Product`] by tiles of [`ROWS`] x `WIDE` registers of sums where there is enough of both, else by smaller ones.
#[inline(always)]
pub unsafe fn product<D: Dot, const WIDE: usize>(
    rows: Rows<D::Input>,
    count: usize,
    weight: &[i8],
    terms: usize,
    sums: *mut i32,
) {
    let outputs = weight.len() / terms;
    let mut output = 0;
    while output < outputs {
        let width = PANEL.min(outputs - output / PANEL * PANEL);
        // Registers side by side: over several panels only where all of them are full.
        let full = outputs / PANEL * PANEL;
        let wide = WIDE * D::OUTPUTS;
        let fits = |vectors: usize| {
            let end = output + vectors * D::OUTPUTS;
            end <= full || end <= output / PANEL * PANEL + width
        };
        let block = Block {
            rows,
            count,
            weight: weight[output / PANEL * PANEL * terms..].as_ptr(),
            lane: output % PANEL,
            width,
            terms,
            // SAFETY: within the sums.
            sums: unsafe { sums.add(output) },
            stride: outputs,
        };
        // SAFETY: as promised to this function; tiles reach over outputs that exist.
        unsafe {
            // A single row is as fast as its weights come from memory: one stream of them comes fastest.
            if fits(WIDE) && (count > 1 || WIDE <= 2) {
                match WIDE {
                    // 16 of 32 registers hold sums.
                    2 if cfg!(target_arch = "aarch64") => block.tiles::<D, 8, WIDE>(),
                    _ => block.tiles::<D, ROWS, WIDE>(),
                }
                output += wide;
            } else if WIDE > 2 && fits(2) {
                block.tiles::<D, 8, 2>();
                output += 2 * D::OUTPUTS;
            } else {
                // The rest of a narrow panel, less than two registers.
                let rest = width - output % PANEL;
                match rest.checked_sub(D::OUTPUTS) {
                    None | Some(0) => block.narrow_tiles::<D, 1>(rest),
                    Some(second) => block.narrow_tiles::<D, 2>(second),
                }
                output += rest;
            }
        }
    }
}

/// All rows of some outputs.
#[derive(Clone, Copy)]
struct Block<E> {
    rows: Rows<E>,
    count: usize,
    /// The panel of the first output.
    weight: *const i8,
    /// The first output's place in it.
    lane: usize,
    /// Outputs of the panel.
    width: usize,
    terms: usize,
    sums: *mut i32,
    /// From the sums of a row to those of the next.
    stride: usize,
}

impl<E: Copy> Block<E> {
    #[inline(always)]
    unsafe fn tiles<D: Dot<Input = E>, const R: usize, const V: usize>(&self) {
        let mut row = 0;
        while row < self.count {
            // SAFETY: the rows exist.
            unsafe {
                match self.count - row {
                    left if left >= R => {
                        self.tile::<D, R, V>(row);
                        row += R;
                    }
                    left if left >= 4 && R > 4 => {
                        self.tile::<D, 4, V>(row);
                        row += 4;
                    }
                    2.. => {
                        self.tile::<D, 2, V>(row);
                        row += 2;
                    }
                    _ => {
                        self.tile::<D, 1, V>(row);
                        row += 1;
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<D: Dot<Input = E>, const R: usize, const V: usize>(&self, row: usize) {
        // SAFETY: rows `row..row + R` of `terms` inputs exist, and the weights of `V` registers of outputs.
        unsafe {
            let mut sums = [[D::zero(); V]; R];
            let mut group = self.weight.add(self.lane * QUAD);
            for run in 0..self.rows.runs {
                let inputs = self.rows.run::<R>(row, run);
                for term in (0..self.rows.len).step_by(QUAD) {
                    let mut weights = [D::weights(group); V];
                    for (v, weights) in weights.iter_mut().enumerate().skip(1) {
                        // A register of a later panel lies a panel's weights behind; lanes are the same.
                        let (panel, lane) = (v * D::OUTPUTS / PANEL, v * D::OUTPUTS % PANEL);
                        *weights = D::weights(group.add(panel * PANEL * self.terms + lane * QUAD));
                    }
                    for (sums, at) in sums.iter_mut().zip(inputs) {
                        let inputs = D::inputs(at.add(term));
                        for (sums, &weights) in sums.iter_mut().zip(&weights) {
                            *sums = D::dot(*sums, inputs, weights);
                        }
                    }
                    group = group.add(QUAD * self.width);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, &sums) in sums.iter().enumerate() {
                    D::store(sums, self.sums.add((row + r) * self.stride + v * D::OUTPUTS));
                }
            }
        }
    }

    /// Fewer outputs than `V` registers hold: the last has so many.
    #[inline(always)]
    unsafe fn narrow_tiles<D: Dot<Input = E>, const V: usize>(&self, outputs: usize) {
        let mut row = 0;
        while row < self.count {
            // SAFETY: the rows exist.
            unsafe {
                match self.count - row {
                    // More rows of two registers would not fit into 16 of them.
                    8.. if V == 1 => {
                        self.narrow_tile::<D, 8, V>(row, outputs);
                        row += 8;
                    }
                    ROWS.. if V > 1 => {
                        self.narrow_tile::<D, ROWS, V>(row, outputs);
                        row += ROWS;
                    }
                    4.. => {
                        self.narrow_tile::<D, 4, V>(row, outputs);
                        row += 4;
                    }
                    _ => {
                        self.narrow_tile::<D, 1, V>(row, outputs);
                        row += 1;
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn narrow_tile<D: Dot<Input = E>, const R: usize, const V: usize>(&self, row: usize, outputs: usize) {
        // SAFETY: as for `tile`; of the weights only those of the outputs are read, and only their sums are written.
        unsafe {
            let mut sums = [[D::zero(); V]; R];
            let mut group = self.weight.add(self.lane * QUAD);
            for run in 0..self.rows.runs {
                let inputs = self.rows.run::<R>(row, run);
                for term in (0..self.rows.len).step_by(QUAD) {
                    let last = D::some_weights(group.add((V - 1) * D::OUTPUTS * QUAD), outputs);
                    let mut weights = [last; V];
                    for (v, weights) in weights.iter_mut().enumerate().take(V - 1) {
                        *weights = D::weights(group.add(v * D::OUTPUTS * QUAD));
                    }
                    for (sums, at) in sums.iter_mut().zip(inputs) {
                        let inputs = D::inputs(at.add(term));
                        for (sums, &weights) in sums.iter_mut().zip(&weights) {
                            *sums = D::dot(*sums, inputs, weights);
                        }
                    }
                    group = group.add(QUAD * self.width);
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let place = self.sums.add((row + r) * self.stride);
                for (v, &sums) in sums.iter().enumerate().take(V - 1) {
                    D::store(sums, place.add(v * D::OUTPUTS));
                }
                D::store_some(sums[V - 1], place.add((V - 1) * D::OUTPUTS), outputs);
            }
        }
    }
}
