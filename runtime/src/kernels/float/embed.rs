//! Embeddings that are added to a vector.

use super::Weight;
use crate::kernels::int8::Position;

/// `out = input + row + row + ...`, in the order of the rows.
pub fn embed_styles<'r, W: Weight + 'r>(input: &[f32], rows: impl Iterator<Item = &'r [W]>, out: &mut [f32]) {
    out.copy_from_slice(input);
    for row in rows {
        for (out, w) in out.iter_mut().zip(row) {
            *out += w.to_f32();
        }
    }
}

/// `out = input + (1 - t) * row + t * next row` with `t = fraction / 2^shift`.
pub fn interpolate<W: Weight>(table: &[W], at: Position, input: &[f32], out: &mut [f32]) {
    let width = out.len();
    let low = &table[at.row * width..][..width];
    let high = &table[(at.row + 1) * width..][..width];
    let t = at.fraction as f32 / (1u32 << at.shift) as f32;
    for (((out, &x), low), high) in out.iter_mut().zip(input).zip(low).zip(high) {
        let (low, high) = (low.to_f32(), high.to_f32());
        *out = x + (low + (high - low) * t);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, numbers};

    #[test]
    fn styles_are_added() {
        let (input, rows) = (numbers(1, 9), [2, 3, 4].map(|seed| numbers(seed, 9)));
        let mut out = vec![0.0; 9];
        embed_styles(&input, rows.iter().map(Vec::as_slice), &mut out);
        let expected: Vec<f64> =
            (0..9).map(|i| f64::from(input[i]) + rows.iter().map(|r| f64::from(r[i])).sum::<f64>()).collect();
        assert_close(&out, &expected, 1e-6);
        embed_styles::<u16>(&input, core::iter::empty(), &mut out);
        assert_eq!(out, input);
    }

    #[test]
    fn guidance_lies_between_two_rows() {
        let (input, table) = (numbers(1, 6), numbers(2, 3 * 6));
        let mut out = vec![0.0; 6];
        interpolate(&table, Position { row: 1, fraction: 3, shift: 3 }, &input, &mut out);
        let expected: Vec<f64> = (0..6)
            .map(|i| f64::from(input[i]) + 0.625 * f64::from(table[6 + i]) + 0.375 * f64::from(table[12 + i]))
            .collect();
        assert_close(&out, &expected, 1e-6);
    }
}
