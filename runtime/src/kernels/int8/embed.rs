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
        // Up to 22 bits of position and 17 of difference.
        let (low, high) = (i64::from(low), i64::from(high));
        let y = low + (((high - low) * i64::from(at.fraction) + (1 << at.shift >> 1)) >> at.shift);
        *out = i16::saturate(i64::from(x) + y);
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

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    #[test]
    fn rows_are_added_to_the_input() {
        let mut random = Random(14);
        for _ in 0..100 {
            let (width, rows, chosen) = (random.size(1, 9), random.size(1, 9), random.size(0, 9));
            let mut draw = |n: usize| -> Vec<i16> { (0..n).map(|_| random.between(-32768, 32767) as i16).collect() };
            let (table, input) = (draw(rows * width), draw(width));
            let chosen: Vec<_> = (0..chosen).map(|_| random.size(0, rows - 1)).collect();
            let mut out = vec![0; width];
            embed_styles(&table, chosen.iter().copied(), &input, &mut out);
            for (i, &y) in out.iter().enumerate() {
                let sum = chosen.iter().map(|row| i64::from(table[row * width + i])).sum::<i64>() + i64::from(input[i]);
                assert_eq!(i64::from(y), sum.clamp(-32768, 32767));
            }
        }
    }

    #[test]
    fn sums_saturate_once_and_do_not_overflow() {
        let mut out = [0; 2];
        // Both would come out as -1 if a sum in between were clamped.
        embed_styles(&[32767, -32768, -32768, 32767], [0, 1].into_iter(), &[32767, -32768], &mut out);
        assert_eq!(out, [32766, -32768]);
        embed_styles(&[-32768], core::iter::repeat_n(0, 65534), &[-32768], &mut out[..1]);
        assert_eq!(out[0], -32768);
    }

    #[test]
    fn interpolation_meets_its_rows() {
        let table = [-32768, 100, 32767, -100];
        let at = |fraction| Position { row: 0, fraction, shift: 14 };
        let mut out = [0; 2];
        interpolate(&table, at(0), &[0, 0], &mut out);
        assert_eq!(out, [-32768, 100]);
        interpolate(&table, at(1 << 14), &[0, 0], &mut out);
        assert_eq!(out, [32767, -100]);
        interpolate(&table, at(1 << 13), &[-1, 7], &mut out);
        assert_eq!(out, [-1, 7]);
    }
}
