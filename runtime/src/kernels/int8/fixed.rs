//! Fixed point: products of integers and multipliers, one rounding, the saturation of what is stored.

/// `floor(v / 2^shift + 1/2)` for shifts in `1..=62` and `|v| < 2^62 + 2^61`, which the rounding term keeps below `2^63`.
#[inline(always)]
pub(super) fn round_shift(v: i64, shift: u32) -> i64 {
    (v + (1 << (shift - 1))) >> shift
}

/// As [`round_shift`], of numbers whose result fits 32 bits.
#[inline(always)]
pub(super) fn round_shift_short(v: i64, shift: u32) -> i32 {
    if !SHORT {
        return round_shift(v, shift) as i32;
    }
    // Shifting by 32 bits at most, what comes in from above does not reach the lower half: vectors have that shift, and then
    // twice as many lanes.
    let first = shift.min(32);
    ((v + (1 << (shift - 1))) as u64 >> first) as i32 >> (shift - first)
}

/// Whether results of 32 bits are worth loops of their own: where vectors are wide and code may be larger.
pub(super) const SHORT: bool = cfg!(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
));

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
    /// `a * first + b * second` for `|a| <= 2^30` and `|b| < 2^17`: products of `2^61` and `2^48`.
    #[inline(always)]
    pub fn exact(self, a: i32, b: i32) -> i64 {
        i64::from(a) * i64::from(self.first) + i64::from(b) * i64::from(self.second)
    }

    /// The most that [`Self::exact`] gives for numbers of such magnitudes.
    #[inline(always)]
    pub fn bound(self, a: u64, b: u64) -> u64 {
        a * u64::from(self.first.unsigned_abs()) + b * u64::from(self.second.unsigned_abs())
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
    fn short_results_are_the_same() {
        for shift in 1..=62 {
            for bit in 0..=62 {
                for v in [-1i64, 0, 1].map(|v| v + (1 << bit)).into_iter().flat_map(|v| [v, -v]) {
                    // Results of 32 bits.
                    if let Ok(y) = i32::try_from(round_shift(v, shift)) {
                        assert_eq!(round_shift_short(v, shift), y, "{v} {shift}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_numbers_stay_in_64_bits() {
        let one = Scale { multiplier: i32::MAX, shift: 62 };
        assert_eq!([i32::MAX, i32::MIN].map(|v| one.apply(v)), [1, -1]);
        let two = Scales { first: i32::MAX, second: i32::MAX, shift: 62 };
        assert_eq!(round_shift(two.exact(1 << 30, (1 << 17) - 1), two.shift), 1);
        assert_eq!(round_shift(two.exact(-(1 << 30), 1 - (1 << 17)), two.shift), -1);
    }
}
