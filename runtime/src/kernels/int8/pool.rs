//! Mean over all positions.

use super::fixed::Scale;
use super::operand::BLOCK;
use super::{Operand, Output};
use crate::kernels::Kernels;
use crate::kernels::vectors::{self, Work};

/// The mean of each channel: the exact sum times a scale that holds the number of positions.
pub fn global_avg_pool(kernels: Kernels, x: &Operand, scale: Scale, out: &mut Output) {
    vectors::run(kernels, Pool { x, scale, out });
}

struct Pool<'a, 'o> {
    x: &'a Operand<'a>,
    scale: Scale,
    out: &'a mut Output<'o>,
}

impl Work for Pool<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { x, scale, out } = self;
        let (channels, store) = (out.len().max(1), out.store());
        let mut numbers = [0; BLOCK];
        for first in (0..out.len()).step_by(BLOCK) {
            let numbers = &mut numbers[..BLOCK.min(out.len() - first)];
            let mut sums = [0i64; BLOCK];
            for position in (0..x.len(out)).step_by(channels) {
                x.read(position + first, out, numbers);
                for (sum, &x) in sums.iter_mut().zip(&*numbers) {
                    *sum += i64::from(x);
                }
            }
            for (y, sum) in numbers.iter_mut().zip(sums) {
                // Up to 2^46 * 2^31: 128 bits, once a channel.
                let exact = i128::from(sum) * i128::from(scale.multiplier) + (1 << (scale.shift - 1));
                *y = store.apply((exact >> scale.shift).clamp(i32::MIN.into(), i32::MAX.into()) as i64);
            }
            out.write(first, numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, Value, by_all, fixed_point};
    use super::*;

    #[test]
    fn means_agree_with_doubles() {
        let mut random = Random(12);
        for _ in 0..200 {
            let (positions, channels) = (random.size(1, 300), random.size(1, 20));
            let x = Value::random(&mut random, positions * channels);
            let mut out = Value::room(&mut random, channels);
            let ratio = random.scale(1e-3, 100.0) / positions as f64;
            let (m, shift) = fixed_point(&[ratio], 31);
            by_all(&mut out, |kernels, _, out| {
                global_avg_pool(kernels, &x.operand(), Scale { multiplier: m[0], shift }, out)
            });
            let numbers = x.numbers();
            let sums: Vec<f64> = (0..channels).map(|c| numbers.iter().skip(c).step_by(channels).sum()).collect();
            let expected: Vec<_> = sums.iter().map(|sum| sum * ratio).collect();
            out.assert_near(&expected, |c| 0.5 + sums[c].abs() * 0.5 / 2f64.powi(shift as i32) + 1e-9);
        }
    }

    #[test]
    fn long_sums_do_not_overflow() {
        // 2^17 positions: the sum has 33 bits, its product 64.
        for q in [-32768, 32767] {
            let x = Value::new(vec![q; 1 << 17], 0, 16);
            let mut out = Value::new([0], 0, 16);
            for (shift, expected) in [(1, f64::INFINITY), (48, 1.0), (62, 2f64.powi(-14))] {
                let scale = Scale { multiplier: i32::MAX, shift };
                by_all(&mut out, |kernels, _, out| global_avg_pool(kernels, &x.operand(), scale, out));
                out.assert_near(&[f64::from(q) * expected], |_| 0.5001);
            }
        }
    }
}
