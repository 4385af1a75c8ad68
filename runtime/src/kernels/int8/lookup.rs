//! Functions of one number by table: activations alone, and as one factor of a product.

use super::fixed::{Scale, round_shift};
use super::{Operand, Output};

/// A function of the stored integer.
///
/// For 8-bit inputs 256 entries, one for each integer from -128 on; for inputs of 9 to 16 bits 257 entries at equal
/// distances over the whole range of the bits, with linear interpolation. The input's zero point is part of the function.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    pub entries: &'a [i16],
    /// Entries are in `2^-exponent` of the output's unit, `0..=8`.
    pub exponent: u32,
}

impl Table<'_> {
    /// The function of `raw`, an integer of so many bits, in `2^-8` of an entry's unit; at most `2^23` in magnitude.
    fn at(&self, raw: i32, bits: u8) -> i32 {
        if bits == 8 {
            return i32::from(self.entries[(raw + 128) as usize]) * 256;
        }
        let position = ((raw + (1 << (bits - 1))) << (16 - bits)) as usize;
        let (low, high) = (self.entries[position >> 8], self.entries[(position >> 8) + 1]);
        let fraction = (position & 255) as i32;
        i32::from(low) * 256 + (i32::from(high) - i32::from(low)) * fraction
    }
}

/// `out = f(x)`; `x` may be in place.
pub fn lookup(x: &Operand, table: &Table, out: &mut Output) {
    for i in 0..out.len() {
        let y = table.at(x.raw(i, out), x.bits);
        out.set(i, round_shift(y.into(), 8 + table.exponent));
    }
}

/// `out = f(a) * b` with `f(a)` rounded to an entry's unit (the table's exponent is not read); either may be in place.
/// Both factors are at most `2^15` in magnitude, so their product is at most `2^30`.
pub fn mul(a: &Operand, table: &Table, b: &Operand, scale: Scale, out: &mut Output) {
    for i in 0..out.len() {
        let factor = (table.at(a.raw(i, out), a.bits) + 128) >> 8;
        out.set(i, scale.apply(factor * b.at(i, out)));
    }
}
