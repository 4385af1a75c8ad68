//! Matrix products of 64-bit ARM: `smmla` multiplies two rows of eight bytes with two outputs' eight weights.
//!
//! Two groups of four terms, as the file holds them, are zipped into eight; where a run has an odd one left, its other inputs are
//! zero.

use core::arch::aarch64::*;
use core::arch::asm;

use super::aarch64::some_bytes;
use super::tile::Rows;
use crate::panels::{PANEL, QUAD};

/// A product, see [`super::tile::Product`].
///
/// # Safety
/// As there; the processor has `i8mm`.
#[target_feature(enable = "neon,i8mm")]
pub unsafe fn product(rows: Rows<i8>, count: usize, weight: &[i8], terms: usize, sums: *mut i32) {
    let outputs = weight.len() / terms;
    for panel in (0..outputs).step_by(PANEL) {
        let width = PANEL.min(outputs - panel);
        let weight = weight[panel * terms..].as_ptr();
        for lane in (0..width).step_by(8) {
            let tile = Tile { rows, weight, width, lane, outputs: 8.min(width - lane) };
            // SAFETY: the outputs and their sums exist, and `count` rows.
            unsafe {
                let sums = sums.add(panel + lane);
                let mut row = 0;
                while row < count {
                    let left = count - row;
                    match (left, tile.outputs > 4) {
                        (7.., true) => tile.run::<4, 2>(row, left, sums, outputs),
                        (7.., false) => tile.run::<4, 1>(row, left, sums, outputs),
                        (_, true) => tile.run::<1, 2>(row, left, sums, outputs),
                        (_, false) => tile.run::<1, 1>(row, left, sums, outputs),
                    }
                    row += if left >= 7 { 8 } else { 2 };
                }
            }
        }
    }
}

/// Up to eight outputs of a panel.
#[derive(Clone, Copy)]
struct Tile {
    rows: Rows<i8>,
    weight: *const i8,
    /// Outputs of the panel.
    width: usize,
    /// The first of the tile.
    lane: usize,
    outputs: usize,
}

impl Tile {
    /// Sums of `P` pairs of rows and `G` groups of four outputs; of rows behind the last, the last again, and not stored.
    ///
    /// # Safety
    /// The processor has `i8mm`; the outputs exist, with room for their sums, and `left` rows from `row` on.
    #[inline(always)]
    unsafe fn run<const P: usize, const G: usize>(&self, row: usize, left: usize, sums: *mut i32, stride: usize) {
        // SAFETY: promised by the caller; weights are read of the tile's outputs only, inputs of the runs only.
        unsafe {
            let mut acc = [[[vdupq_n_s32(0); 2]; G]; P];
            let mut group = self.weight.add(self.lane * QUAD);
            let step = self.width * QUAD;
            for run in 0..self.rows.runs {
                let at: [[*const i8; 2]; P] = core::array::from_fn(|p| {
                    [0, 1].map(|i| self.rows.run::<1>(row + (2 * p + i).min(left - 1), run)[0])
                });
                let pairs = self.rows.len / (2 * QUAD);
                for pair in 0..pairs {
                    let both = [group, group.add(step)];
                    let inputs = |at: *const i8| vld1_s8(at.add(pair * 2 * QUAD));
                    self.multiply(&mut acc, both, &at, inputs);
                    group = group.add(2 * step);
                }
                if !self.rows.len.is_multiple_of(2 * QUAD) {
                    // Whatever the second weights are, their inputs are zero.
                    let inputs = |at: *const i8| {
                        let quad = at.add(pairs * 2 * QUAD).cast::<u32>().read_unaligned();
                        vreinterpret_s8_u64(vcreate_u64(quad.into()))
                    };
                    self.multiply(&mut acc, [group; 2], &at, inputs);
                    group = group.add(step);
                }
            }
            for (p, acc) in acc.iter().enumerate() {
                for (g, &[first, second]) in acc.iter().enumerate() {
                    let both = [
                        vcombine_s32(vget_low_s32(first), vget_low_s32(second)),
                        vcombine_s32(vget_high_s32(first), vget_high_s32(second)),
                    ];
                    for (i, four) in both.into_iter().enumerate().take(left.saturating_sub(2 * p)) {
                        let mut stored = [0; 4];
                        vst1q_s32(stored.as_mut_ptr(), four);
                        let place = sums.add((row + 2 * p + i) * stride + 4 * g);
                        core::ptr::copy_nonoverlapping(stored.as_ptr(), place, 4.min(self.outputs - 4 * g));
                    }
                }
            }
        }
    }

    /// Adds the products of eight terms: weights from two places, inputs as `inputs` reads them.
    ///
    /// # Safety
    /// As [`Tile::run`].
    #[inline(always)]
    unsafe fn multiply<const P: usize, const G: usize>(
        &self,
        acc: &mut [[[int32x4_t; 2]; G]; P],
        places: [*const i8; 2],
        at: &[[*const i8; 2]; P],
        inputs: impl Fn(*const i8) -> int8x8_t,
    ) {
        // SAFETY: promised by the caller; of the weights only those of the tile's outputs are read.
        unsafe {
            let mut weights = [[vdupq_n_s8(0); 2]; G];
            for (g, weights) in weights.iter_mut().enumerate() {
                let [first, second] = places.map(|place| {
                    let place = place.add(4 * QUAD * g);
                    let whole = self.outputs >= 4 * (g + 1);
                    let weights = if whole { vld1q_s8(place) } else { some_bytes(place, self.outputs - 4 * g) };
                    vreinterpretq_s32_s8(weights)
                });
                *weights = [vzip1q_s32(first, second), vzip2q_s32(first, second)].map(|w| vreinterpretq_s8_s32(w));
            }
            for (acc, at) in acc.iter_mut().zip(at) {
                let inputs = vcombine_s8(inputs(at[0]), inputs(at[1]));
                for (acc, weights) in acc.iter_mut().zip(&weights) {
                    for (acc, &weights) in acc.iter_mut().zip(weights) {
                        *acc = smmla(*acc, inputs, weights);
                    }
                }
            }
        }
    }
}

/// Two rows of eight bytes times two outputs' weights: `[row 0 output 0, row 0 output 1, row 1 output 0, row 1 output 1]`.
///
/// # Safety
/// The processor has `i8mm`.
#[inline(always)]
unsafe fn smmla(mut sums: int32x4_t, inputs: int8x16_t, weights: int8x16_t) -> int32x4_t {
    // SAFETY: registers only.
    unsafe {
        asm!(
            ".arch_extension i8mm",
            "smmla {sums:v}.4s, {inputs:v}.16b, {weights:v}.16b",
            sums = inout(vreg) sums,
            inputs = in(vreg) inputs,
            weights = in(vreg) weights,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
