//! Fixed point: products of integers and multipliers, one rounding, the saturation of what is stored.

/// `floor(v / 2^shift + 1/2)` for shifts in `1..=62` and `|v| < 2^62 + 2^61`, which the rounding term keeps below `2^63`.
#[inline(always)]
pub(super) fn round_shift(v: i64, shift: u32) -> i64 {
    (v + (1 << (shift - 1))) >> shift
}

/// Fixed-point scale of one number.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Factor, `0..2^31`.
    pub multiplier: i32,
    /// Bits dropped after the product, `1..=62`.
    pub shift: u32,
}

impl Scale {
    /// `floor(v * multiplier / 2^shift + 1/2)` for `|v| < 2^31`.
    #[inline(always)]
    pub fn apply(self, v: i32) -> i64 {
        round_shift(i64::from(v) * i64::from(self.multiplier), self.shift)
    }
}

/// Fixed-point scales of two numbers that are added before the one rounding.
#[derive(Clone, Copy, Debug)]
pub struct Scales {
    /// Factor of the first, `0..2^31`.
    pub first: i32,
    /// Factor of the second, `0..2^31`.
    pub second: i32,
    /// Bits dropped after the sum, `1..=62`.
    pub shift: u32,
}

impl Scales {
    /// `floor((a * first + b * second) / 2^shift + 1/2)` for `|a| <= 2^30` and `|b| < 2^17`: products of `2^61` and `2^48`.
    #[inline(always)]
    pub fn apply(self, a: i32, b: i32) -> i64 {
        let sum = i64::from(a) * i64::from(self.first) + i64::from(b) * i64::from(self.second);
        round_shift(sum, self.shift)
    }
}

/// Integers that a kernel reads and writes.
pub trait Int: Copy + Into<i32> {
    /// The nearest value of this type.
    fn saturate(v: i64) -> Self;
}

impl Int for i8 {
    #[inline(always)]
    fn saturate(v: i64) -> Self {
        v.clamp(-128, 127) as i8
    }
}

impl Int for i16 {
    #[inline(always)]
    fn saturate(v: i64) -> Self {
        v.clamp(-32768, 32767) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up() {
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|v| round_shift(v, 1)), [-1, -1, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn the_largest_numbers_stay_in_64_bits() {
        let one = Scale { multiplier: i32::MAX, shift: 62 };
        assert_eq!([i32::MAX, i32::MIN].map(|v| one.apply(v)), [1, -1]);
        let two = Scales { first: i32::MAX, second: i32::MAX, shift: 62 };
        assert_eq!(two.apply(1 << 30, (1 << 17) - 1), 1);
        assert_eq!(two.apply(-(1 << 30), 1 - (1 << 17)), -1);
    }
}
