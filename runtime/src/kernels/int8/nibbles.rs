//! Weights of 4 bits, two a byte: each times the multiplier of its group is a weight of 8 bits, so that every kernel of those runs
//! on them too. A few panels at a time are expanded, into the operator's working memory.

use core::ops::Range;

use crate::panels::{PANEL, Panels, QUAD, SHARE};

/// Expands some panels to weights of 8 bits. `weight` and `multipliers` hold those of all panels, as files do; `out` is as long
/// as the expanded panels are.
pub fn expand(panels: &Panels, range: Range<usize>, weight: &[u8], multipliers: &[u8], out: &mut [i8]) {
    let groups = panels.terms.div_ceil(SHARE);
    let mut out = out;
    for panel in range {
        let (first, width) = (panel * PANEL, panels.width(panel));
        let (expanded, rest) = out.split_at_mut(width * panels.terms);
        out = rest;
        let bytes = &weight[panels.start(panel) / 2..][..expanded.len() / 2];
        let mut factors = [[0; 2]; PANEL];
        let shares = expanded.chunks_mut(SHARE * width).zip(bytes.chunks(SHARE * width / 2)).enumerate();
        for (group, (expanded, bytes)) in shares {
            for (lane, factor) in factors[..width].iter_mut().enumerate() {
                let at = first * groups + group * width + lane;
                // Stored less 1.
                *factor = [((multipliers[at / 2] >> (at % 2 * 4)) & 15) as i8 + 1; 2];
            }
            // A whole number of lanes, each of two bytes.
            let factors = factors[..width].as_flattened();
            for (expanded, bytes) in expanded.chunks_exact_mut(QUAD * width).zip(bytes.chunks_exact(2 * width)) {
                for ((pair, &byte), &factor) in expanded.as_chunks_mut().0.iter_mut().zip(bytes).zip(factors) {
                    // From -8 * 16 to 7 * 16: never beyond 8 bits.
                    *pair = [((byte << 4) as i8 >> 4) * factor, (byte as i8 >> 4) * factor];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn every_weight_is_its_nibble_times_its_multiplier() {
        let mut random = Random(21);
        for (outputs, terms) in [(1, 4), (16, 16), (16, 36), (37, 20), (64, 576), (3, 64), (31, 12)] {
            let panels = Panels { outputs, terms, group: QUAD };
            let groups = terms.div_ceil(SHARE);
            let draw =
                |random: &mut Random, n: usize| -> Vec<u8> { (0..n).map(|_| random.between(0, 255) as u8).collect() };
            let weight = draw(&mut random, outputs * terms / 2);
            let multipliers = draw(&mut random, (outputs * groups).div_ceil(2));
            let nibble = |bytes: &[u8], i: usize| i32::from(bytes[i / 2] >> (i % 2 * 4) & 15);
            let expected = |output: usize, term: usize| {
                let at = panels.at(output, term);
                let four = nibble(&weight, at);
                let four = if four < 8 { four } else { four - 16 };
                let (panel, width) = (output / PANEL, panels.width(output / PANEL));
                let share = panel * PANEL * groups + term / SHARE * width + output % PANEL;
                (at, four * (nibble(&multipliers, share) + 1))
            };
            let count = outputs.div_ceil(PANEL);
            for range in [0..count, 0..1, count - 1..count] {
                let start = panels.start(range.start);
                let first = range.start * PANEL;
                let here = first..outputs.min(range.end * PANEL);
                let mut out = vec![99; here.len() * terms];
                expand(&panels, range, &weight, &multipliers, &mut out);
                for (output, term) in here.flat_map(|o| (0..terms).map(move |t| (o, t))) {
                    let (at, value) = expected(output, term);
                    assert_eq!(i32::from(out[at - start]), value, "{panels:?}, output {output}, term {term}");
                }
            }
        }
    }
}
