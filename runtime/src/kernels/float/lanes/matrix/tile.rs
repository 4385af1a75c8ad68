//! Sums of a few rows and outputs, kept in registers over all terms of a block.

use core::mem::MaybeUninit;

use super::{GROUP, TERMS};
use crate::kernels::float::Weight;
use crate::kernels::float::lanes::{Lanes, Task};
use crate::panels::PANEL;

/// Rows of the widest tile.
pub const ROWS: usize = 6;

/// Weights that are loaded into registers.
pub trait Stored: Weight + Sync {
    /// Whether they have half precision.
    const HALF: bool;
    /// # Safety
    /// As [`Lanes::load`].
    unsafe fn load<L: Lanes>(at: *const Self) -> L;
    /// # Safety
    /// As [`Lanes::load_some`].
    unsafe fn load_some<L: Lanes>(at: *const Self, count: usize) -> L;
}

impl Stored for f32 {
    const HALF: bool = false;
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const Self) -> L {
        // SAFETY: promised by the caller.
        unsafe { L::load(at) }
    }
    #[inline(always)]
    unsafe fn load_some<L: Lanes>(at: *const Self, count: usize) -> L {
        // SAFETY: promised by the caller.
        unsafe { L::load_some(at, count) }
    }
}

impl Stored for u16 {
    const HALF: bool = true;
    #[inline(always)]
    unsafe fn load<L: Lanes>(at: *const Self) -> L {
        // SAFETY: promised by the caller.
        unsafe { L::load_half(at) }
    }
    #[inline(always)]
    unsafe fn load_some<L: Lanes>(at: *const Self, count: usize) -> L {
        // SAFETY: promised by the caller.
        unsafe { L::load_some_half(at, count) }
    }
}

/// Rows of inputs, and the weights of some outputs for the same terms. As a task it adds their products to the sums, each term
/// of a sum after the other.
///
/// Everything that it points to exists, and nobody else touches its sums.
pub struct Block<W> {
    /// Where the inputs of a row lie: the pointers of all rows to their first tap, then to the second, and so on.
    pub inputs: *const *const f32,
    /// Rows.
    pub count: usize,
    pub taps: usize,
    /// Inputs of each tap, one behind the other.
    pub depth: usize,
    pub weights: Order<W>,
    pub outputs: usize,
    pub sums: Sums,
}

/// Where the weights of the block's terms lie.
#[derive(Clone, Copy)]
pub enum Order<W> {
    /// In panels of so many terms as a file has them, the last of which may be narrow; the block's terms begin at one of them.
    Panels { weight: *const W, terms: usize, first_term: usize },
    /// Those of the first term for all outputs, a stride later those of the next.
    Rows { weight: *const W, stride: usize },
}

/// Numbers `[row, output]` in the place of the result.
#[derive(Clone, Copy)]
pub struct Sums {
    pub first: *mut f32,
    /// From a row to the next.
    pub stride: usize,
    pub start: Start,
    /// Sums are complete after this block, and negative ones become 0.
    pub relu: bool,
}

/// What the block's products are added to.
#[derive(Clone, Copy)]
pub enum Start {
    Zero,
    /// A number for each output.
    Bias(*const f32),
    /// The same and, for each sum, what lies as the sums do.
    Residual(*const f32, *const f32),
    /// What lies in the place of the sums.
    Sums,
}

impl<W: Stored> Task for Block<W> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        // Of 32 registers 24 hold sums, of 16 12, of fewer 8.
        // SAFETY: promised by the caller.
        unsafe {
            match (self.weights, L::REGISTERS) {
                (Order::Panels { weight, first_term, .. }, _) if self.outputs == 1 => {
                    self.dots::<L>(weight.add(first_term));
                }
                (Order::Panels { weight, terms, first_term }, _)
                    if W::HALF && L::WIDENS_SLOWLY && self.count >= ROWS && self.fits_room() =>
                {
                    self.widened::<L>(weight, terms, first_term);
                }
                (_, 32) => self.product::<L, ROWS, 4>(),
                (_, 16) => self.product::<L, ROWS, 2>(),
                _ => self.product::<L, 4, 2>(),
            }
        }
    }
}

impl<W: Stored> Block<W> {
    /// Whether its weights are no more than [`widened`](Self::widened) has room for.
    fn fits_room(&self) -> bool {
        self.outputs <= GROUP && self.taps * self.depth <= TERMS
    }

    /// With weights that are widened once for all rows.
    ///
    /// # Safety
    /// As the task; the weights lie in such panels, and [fit](Self::fits_room).
    #[inline(always)]
    unsafe fn widened<L: Lanes>(&self, weight: *const W, terms: usize, first_term: usize) {
        let taken = self.taps * self.depth;
        let mut room = [const { MaybeUninit::<f32>::uninit() }; GROUP * TERMS];
        let wide = room.as_mut_ptr().cast::<f32>();
        for output in (0..self.outputs).step_by(PANEL) {
            // Those of a panel's terms lie one behind the other.
            let width = PANEL.min(self.outputs - output);
            let count = taken * width;
            // SAFETY: they exist, and there is room for as many.
            unsafe {
                let (from, to) = (weight.add(output * terms + first_term * width), wide.add(output * taken));
                let whole = count / L::COUNT * L::COUNT;
                for i in (0..whole).step_by(L::COUNT) {
                    W::load::<L>(from.add(i)).store(to.add(i));
                }
                W::load_some::<L>(from.add(whole), count - whole).store_some(to.add(whole), count - whole);
            }
        }
        let weights = Order::Panels { weight: wide.cast_const(), terms: taken, first_term: 0 };
        let Self { inputs, count, taps, depth, outputs, sums, .. } = *self;
        // SAFETY: as promised, and all these weights have been written.
        unsafe { Block { inputs, count, taps, depth, weights, outputs, sums }.run::<L>() };
    }

    /// By tiles of `HIGH` rows x `WIDE` registers of sums where there is enough of both, else by smaller ones.
    // Pages fetch WebAssembly, so weights of both precisions share one copy there.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    unsafe fn product<L: Lanes, const HIGH: usize, const WIDE: usize>(&self) {
        let mut output = 0;
        while output < self.outputs {
            let lane = output % PANEL;
            let width = PANEL.min(self.outputs - (output - lane));
            // Registers side by side: over several panels only where all of them are full.
            let full = self.outputs / PANEL * PANEL;
            let fits = |registers: usize| {
                let end = output + registers * L::COUNT;
                end <= full || end <= output - lane + width
            };
            // SAFETY: as promised to this function; tiles reach over outputs that exist.
            unsafe {
                let (weight, step, panel) = match self.weights {
                    Order::Panels { weight, terms, first_term } => {
                        (weight.add((output - lane) * terms + first_term * width + lane), width, PANEL * terms)
                    }
                    Order::Rows { weight, stride } => (weight.add(output), stride, PANEL),
                };
                let strip = Strip { block: self, weight, step, panel, output, lanes: L::COUNT.min(width - lane) };
                if fits(WIDE) && L::FACTORS == 4 && step == PANEL {
                    strip.tiles::<L, HIGH, WIDE, false, PANEL>();
                    output += WIDE * L::COUNT;
                } else if fits(WIDE) {
                    strip.tiles::<L, HIGH, WIDE, false, 0>();
                    output += WIDE * L::COUNT;
                } else if WIDE > 2 && fits(2) {
                    strip.tiles::<L, 8, 2, false, 0>();
                    output += 2 * L::COUNT;
                } else if fits(1) {
                    strip.tiles::<L, 8, 1, false, 0>();
                    output += L::COUNT;
                } else {
                    strip.tiles::<L, 8, 1, true, 0>();
                    output += strip.lanes;
                }
            }
        }
    }
}

/// All rows of some outputs.
#[derive(Clone, Copy)]
struct Strip<'b, W> {
    block: &'b Block<W>,
    /// Of the first output.
    weight: *const W,
    /// From the weights of a term to those of the next.
    step: usize,
    /// From a panel to the next.
    panel: usize,
    /// The first output.
    output: usize,
    /// Outputs of its register.
    lanes: usize,
}

impl<W: Stored> Strip<'_, W> {
    /// Tiles of up to `R` rows and of `V` registers; `NARROW`: of a single one that is not full; `STEP`: the step, if it is
    /// known to the compiler, else 0.
    #[inline(always)]
    unsafe fn tiles<L: Lanes, const R: usize, const V: usize, const NARROW: bool, const STEP: usize>(&self) {
        let mut row = 0;
        while row < self.block.count {
            // SAFETY: the rows exist.
            row += unsafe {
                match self.block.count - row {
                    left if left >= R => self.tile::<L, R, V, NARROW, STEP>(row),
                    4.. => self.tile::<L, 4, V, NARROW, STEP>(row),
                    2.. => self.tile::<L, 2, V, NARROW, STEP>(row),
                    _ => self.tile::<L, 1, V, NARROW, STEP>(row),
                }
            };
        }
    }

    /// Rows `row..row + R`. Returns how many they are.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const R: usize, const V: usize, const NARROW: bool, const STEP: usize>(
        &self,
        row: usize,
    ) -> usize {
        let (block, to) = (self.block, self.block.sums);
        let step = if STEP > 0 { STEP } else { self.step };
        // SAFETY: the rows and the weights of `V` registers of outputs exist; of those of a narrow one only its outputs are
        // touched.
        unsafe {
            let at = |r: usize| (row + r) * to.stride + self.output;
            let load = |from: *const f32| if NARROW { L::load_some(from, self.lanes) } else { L::load(from) };
            let mut sums = [[L::splat(0.0); V]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    let place = at(r) + v * L::COUNT;
                    let bias = |bias: *const f32| load(bias.add(self.output + v * L::COUNT));
                    *sum = match to.start {
                        Start::Zero => L::splat(0.0),
                        Start::Bias(b) => bias(b),
                        Start::Residual(b, residual) => bias(b).add(load(residual.add(place))),
                        Start::Sums => load(to.first.add(place)),
                    };
                }
            }
            let mut weight = self.weight;
            let mut inputs = block.inputs.add(row);
            for _ in 0..block.taps {
                let rows: [*const f32; R] = core::array::from_fn(|r| *inputs.add(r));
                let whole = if L::FACTORS == 4 { block.depth / 4 * 4 } else { 0 };
                for i in (0..whole).step_by(4) {
                    let x = rows.map(|row| L::factors(row.add(i)));
                    self.by_factors::<L, R, V, NARROW, 0>(weight, &x, &mut sums);
                    self.by_factors::<L, R, V, NARROW, 1>(weight.wrapping_add(step), &x, &mut sums);
                    self.by_factors::<L, R, V, NARROW, 2>(weight.wrapping_add(2 * step), &x, &mut sums);
                    self.by_factors::<L, R, V, NARROW, 3>(weight.wrapping_add(3 * step), &x, &mut sums);
                    weight = weight.wrapping_add(4 * step);
                }
                for i in whole..block.depth {
                    // Weights first, then row by row: inputs of all rows at once, beside the sums, are more than 16 registers.
                    let mut weights = [L::splat(0.0); V];
                    for (v, weights) in weights.iter_mut().enumerate() {
                        *weights = self.weights::<L, NARROW>(weight, v);
                    }
                    for (row, sums) in rows.into_iter().zip(&mut sums) {
                        let x = L::splat(*row.add(i));
                        for (sum, &weights) in sums.iter_mut().zip(&weights) {
                            *sum = x.times_plus(weights, *sum);
                        }
                    }
                    weight = weight.wrapping_add(step);
                }
                inputs = inputs.add(block.count);
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, mut sum) in sums.into_iter().enumerate() {
                    if to.relu {
                        sum = sum.max(L::splat(0.0));
                    }
                    let place = to.first.add(at(r) + v * L::COUNT);
                    if NARROW { sum.store_some(place, self.lanes) } else { sum.store(place) }
                }
            }
        }
        R
    }

    /// Adds the products of a term: its weights times factor `I` of each row's inputs.
    ///
    /// # Safety
    /// The weights of `V` registers exist; of a narrow one those of its outputs.
    #[inline(always)]
    unsafe fn by_factors<L: Lanes, const R: usize, const V: usize, const NARROW: bool, const I: i32>(
        &self,
        weight: *const W,
        inputs: &[L; R],
        sums: &mut [[L; V]; R],
    ) {
        for v in 0..V {
            // SAFETY: promised by the caller.
            unsafe {
                let weights = self.weights::<L, NARROW>(weight, v);
                for (&x, sums) in inputs.iter().zip(&mut *sums) {
                    sums[v] = weights.times_factor_plus::<I>(x, sums[v]);
                }
            }
        }
    }

    /// A term's weights for a register of outputs.
    ///
    /// # Safety
    /// They exist; of a narrow register those of its outputs.
    #[inline(always)]
    unsafe fn weights<L: Lanes, const NARROW: bool>(&self, weight: *const W, register: usize) -> L {
        // A register of a later panel lies panels behind; only full ones have followers.
        let (panel, lane) = (register * L::COUNT / PANEL, register * L::COUNT % PANEL);
        // SAFETY: promised by the caller.
        unsafe {
            let from = weight.add(panel * self.panel + lane);
            if NARROW { W::load_some(from, self.lanes) } else { W::load(from) }
        }
    }
}
