//! Layers of one output: dot products, with terms side by side in registers where other layers have outputs.

use super::tile::{Block, Start, Stored};
use crate::kernels::float::lanes::Lanes;

/// Partial sums, in as many registers as that takes.
const SUMS: usize = 16;

impl<W: Stored> Block<W> {
    /// The sums of a single output whose weights lie one behind the other. Input `i` of a tap goes to partial sum `i mod 16`.
    ///
    /// # Safety
    /// As the task; the weights are those of the block's terms.
    #[inline(always)]
    pub unsafe fn dots<L: Lanes>(&self, weight: *const W) {
        for row in 0..self.count {
            let mut sums = [0.0; SUMS];
            // SAFETY: promised by the caller.
            unsafe {
                self.partial_sums::<L>(row, weight, &mut sums);
                let at = row * self.sums.stride;
                let place = self.sums.first.add(at);
                let start = match self.sums.start {
                    Start::Zero => 0.0,
                    Start::Bias(bias) => *bias,
                    Start::Residual(bias, residual) => *bias + *residual.add(at),
                    Start::Sums => *place,
                };
                let sum = start + total(sums);
                *place = if self.sums.relu { sum.max(0.0) } else { sum };
            }
        }
    }

    #[inline(always)]
    unsafe fn partial_sums<L: Lanes>(&self, row: usize, mut weight: *const W, stored: &mut [f32; SUMS]) {
        // SAFETY: promised by the caller; only inputs and weights of the tap are touched.
        unsafe {
            let mut sums = [L::splat(0.0); SUMS / 4];
            for tap in 0..self.taps {
                let inputs = *self.inputs.add(tap * self.count + row);
                for first in (0..self.depth).step_by(SUMS) {
                    for (r, sum) in sums.iter_mut().take(SUMS / L::COUNT).enumerate() {
                        let at = first + r * L::COUNT;
                        if at + L::COUNT <= self.depth {
                            *sum = L::load(inputs.add(at)).times_plus(W::load(weight.add(at)), *sum);
                        } else if at < self.depth {
                            let left = self.depth - at;
                            let weights = W::load_some(weight.add(at), left);
                            *sum = L::load_some(inputs.add(at), left).times_plus(weights, *sum);
                        }
                    }
                }
                weight = weight.add(self.depth);
            }
            for (r, sum) in sums.into_iter().take(SUMS / L::COUNT).enumerate() {
                sum.store(stored.as_mut_ptr().add(r * L::COUNT));
            }
        }
    }
}

/// Sums of what lies half as far apart, then of these, to the last.
#[inline(always)]
fn total(mut sums: [f32; SUMS]) -> f32 {
    for half in [8, 4, 2, 1] {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
    }
    sums[0]
}
