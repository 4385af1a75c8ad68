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
