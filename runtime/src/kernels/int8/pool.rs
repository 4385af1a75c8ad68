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
