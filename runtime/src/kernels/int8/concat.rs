//! Concatenation: each part moves to its place in the scale of the whole.

use super::fixed::Scale;
use super::operand::BLOCK;
use super::{Operand, Output};
use crate::kernels::Kernels;
use crate::kernels::vectors::{self, Work};

/// Where a part goes: runs of `run` numbers, one at every `step` from `first` on.
///
/// Along positions a part is one run behind the parts before it; along channels there is a run for each position, and
/// `step` is the number of channels of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub first: usize,
    pub run: usize,
    pub step: usize,
}

/// Writes one part of a concatenation in the output's scale.
pub fn requantize(kernels: Kernels, part: &Operand, scale: Scale, place: Place, out: &mut Output) {
    vectors::run(kernels, Requantize { part, scale, place, out });
}

struct Requantize<'a, 'o> {
    part: &'a Operand<'a>,
    scale: Scale,
    place: Place,
    out: &'a mut Output<'o>,
}

impl Work for Requantize<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { part, scale, place, out } = self;
        let (run, store) = (place.run.max(1), out.store());
        let mut numbers = [0; BLOCK];
        for (k, start) in (0..part.len(out)).step_by(run).enumerate() {
            let to = place.first + k * place.step;
            for c in (0..run).step_by(BLOCK) {
                let numbers = &mut numbers[..BLOCK.min(run - c)];
                part.read(start + c, out, numbers);
                for x in numbers.iter_mut() {
                    *x = store.apply(scale.apply((*x).into()));
                }
                out.write(to + c, numbers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, Value, by_all, fixed_point};
    use super::*;

    #[test]
    fn parts_keep_their_reals() {
        let mut random = Random(11);
        for round in 0..200 {
            // Along channels, every position takes `run` numbers of each part; along positions there is one run a part.
            let along_channels = round % 2 == 0;
            let positions = if along_channels { random.size(1, 9) } else { 1 };
            let runs = [(); 3].map(|()| random.size(1, 9));
            let whole: usize = runs.iter().sum();
            let mut out = Value::room(&mut random, positions * whole);
            let mut expected = vec![f64::NAN; out.len()];
            let mut bounds = vec![0.0; out.len()];
            let mut first = 0;
            for run in runs {
                let part = Value::random(&mut random, positions * run);
                let ratio = random.scale(1e-3, 100.0);
                let (m, shift) = fixed_point(&[ratio], 31);
                let place = Place { first, run, step: whole };
                by_all(&mut out, |kernels, _, out| {
                    requantize(kernels, &part.operand(), Scale { multiplier: m[0], shift }, place, out)
                });
                for (i, x) in part.numbers().into_iter().enumerate() {
                    let to = first + i / run * whole + i % run;
                    expected[to] = x * ratio;
                    bounds[to] = 0.5 + x.abs() * 0.5 / 2f64.powi(shift as i32);
                }
                first += run;
            }
            out.assert_near(&expected, |i| bounds[i] + 1e-9);
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let part = Value::new([-32768, 32767], 0, 16);
        for shift in [1, 62] {
            let mut out = Value::new([0; 2], 0, 16);
            let place = Place { first: 0, run: 2, step: 2 };
            by_all(&mut out, |kernels, _, out| {
                requantize(kernels, &part.operand(), Scale { multiplier: i32::MAX, shift }, place, out)
            });
            assert_eq!(out.stored(), if shift == 1 { [-32768, 32767] } else { [0, 0] });
        }
    }
}
