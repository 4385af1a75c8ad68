//! Mean over all positions.

use super::fixed::Scale;
use super::{Operand, Output};

/// The mean of each channel: the exact sum times a scale that holds the number of positions.
pub fn global_avg_pool(x: &Operand, scale: Scale, out: &mut Output) {
    let channels = out.len().max(1);
    for c in 0..out.len() {
        let sum: i64 = (c..x.len(out)).step_by(channels).map(|i| i64::from(x.at(i, out))).sum();
        // Up to 2^46 * 2^31: 128 bits, once a channel.
        let exact = i128::from(sum) * i128::from(scale.multiplier) + (1 << (scale.shift - 1));
        out.set(c, (exact >> scale.shift).clamp(i32::MIN.into(), i32::MAX.into()) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, Value, fixed_point};
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
            global_avg_pool(&x.operand(), Scale { multiplier: m[0], shift }, &mut out.output());
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
                global_avg_pool(&x.operand(), scale, &mut out.output());
                out.assert_near(&[f64::from(q) * expected], |_| 0.5001);
            }
        }
    }
}
