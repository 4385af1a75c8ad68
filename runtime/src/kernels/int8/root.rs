//! Normalization without a float: mean, square root and reciprocal once per group, one product and one shift a number.

use super::fixed::round_shift;

/// `y = (x - mean) * sqrt(n) / sqrt(D)` for `n` integers, with `D` the sum of their squared distances from the mean plus
/// epsilon. Divides once a group; see `docs/arithmetic.md`.
///
/// Numbers are below `2^15` in magnitude (or equal to `-2^15`), groups shorter than `2^31`, as [`super::Operand`] reads
/// them; `sum` and `sum_of_squares` are those of the very numbers that [`Normalizer::apply`] gets.
#[derive(Clone, Copy, Debug)]
pub struct Normalizer {
    /// Mean in `2^-14`, 0 for a root mean square.
    mean_q14: i64,
    /// The factor `sqrt(n) / sqrt(D)` is `mantissa / 2^shift`, with a mantissa in `2^30..2^31`.
    mantissa: i64,
    /// `15..=62`.
    shift: u32,
}

impl Normalizer {
    /// Divides by the root of the mean square. `epsilon` is the real epsilon times `n / scale^2`.
    pub fn rms(sum_of_squares: u64, n: u32, epsilon: u64) -> Self {
        Self::new(0, sum_of_squares.saturating_add(epsilon), n)
    }

    /// Subtracts the mean and divides by the standard deviation. `epsilon` is the real epsilon times `n / scale^2`.
    pub fn centred(sum: i64, sum_of_squares: u64, n: u32, epsilon: u64) -> Self {
        let count = i64::from(n.max(1));
        // With sum = q n + r and 0 <= r < n, floor(sum^2 / n) = q (sum + r) + floor(r^2 / n): |q| <= 2^15 and |sum + r|
        // is at most 2^46, r^2 is below 2^62. Rounding down here keeps D at its exact value or above, so no |y| exceeds
        // sqrt(n).
        let (q, r) = (sum.div_euclid(count), sum.rem_euclid(count));
        let spread = sum_of_squares.saturating_sub((q * (sum + r) + r * r / count) as u64);
        // |sum| < 2^46 and count / 2 < 2^30.
        let mean_q14 = ((sum << 14) + count / 2).div_euclid(count);
        Self::new(mean_q14, spread.saturating_add(epsilon), n)
    }

    fn new(mean_q14: i64, squares: u64, n: u32) -> Self {
        let (numerator, up) = normalized_root(n.max(1).into());
        let (denominator, down) = normalized_root(squares.max(1));
        // Both roots have 32 bits, so their ratio lies between 1/2 and 2; one more bit for those below 1.
        let bits = if numerator < denominator { 31 } else { 30 };
        let mantissa = ((numerator << bits) / denominator) as i64;
        // 16 <= up <= 31 and 0 <= down <= 31.
        Self { mean_q14, mantissa, shift: bits + up - down }
    }

    /// The normalized number in `2^-14`, below `2^30` in magnitude: `|x - mean| < 2^16` makes a product below `2^61`, and
    /// the result is at most `sqrt(n)`.
    pub fn apply(&self, x: i32) -> i32 {
        round_shift(((i64::from(x) << 14) - self.mean_q14) * self.mantissa, self.shift) as i32
    }
}

/// `sqrt(v) = root / 2^k`, with a root in `2^31..2^32` that is rounded down, for `v` of at least 1.
fn normalized_root(v: u64) -> (u64, u32) {
    let k = v.leading_zeros() / 2;
    ((v << (2 * k)).isqrt(), k)
}
