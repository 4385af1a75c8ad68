//! Embeddings: rows of 16-bit tables, all in one scale.

use super::fixed::Int;

/// A place between two rows of a table: `row + fraction / 2^shift`.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub row: usize,
    pub fraction: u32,
    pub shift: u32,
}

/// `out = input + row at the given position of the table`, saturating; see [`Position`].
pub fn interpolate(table: &[i16], at: Position, input: &[i16], out: &mut [i16]) {
    let width = out.len();
    let low = &table[at.row * width..][..width];
    let high = &table[(at.row + 1) * width..][..width];
    for (((out, &x), &low), &high) in out.iter_mut().zip(input).zip(low).zip(high) {
        let (low, high) = (i32::from(low), i32::from(high));
        let half = (1 << at.shift) >> 1;
        let y = low + (((high - low) * at.fraction as i32 + half) >> at.shift);
        *out = i16::saturate(i64::from(i32::from(x) + y));
    }
}

/// `out = input + the given rows of the table`, saturating once. Up to 65534 rows fit the 32-bit sum.
pub fn embed_styles(table: &[i16], rows: impl Iterator<Item = usize> + Clone, input: &[i16], out: &mut [i16]) {
    let width = out.len();
    for (i, (out, &x)) in out.iter_mut().zip(input).enumerate() {
        let sum: i32 = rows.clone().map(|row| i32::from(table[row * width + i])).sum();
        *out = i16::saturate((i32::from(x) + sum).into());
    }
}
