//! Normalization without a float: mean, square root and reciprocal once per group, one product and one shift a number.

use super::fixed::round_shift_short;

/// `y = (x - mean) * sqrt(n) / sqrt(D)` for `n` integers, with `D` the sum of their squared distances from the mean plus
/// epsilon. Divides once a group; see `docs/arithmetic.md`.
///
/// Numbers are below `2^15` in magnitude (or equal to `-2^15`), groups shorter than `2^31`, as [`super::Operand`] reads
/// them; `sum` and `sum_of_squares` are those of the very numbers that [`Normalizer::apply`] gets.
#[derive(Clone, Copy, Debug)]
pub struct Normalizer {
    /// Mean in `2^-14`, at most `2^29` in magnitude; 0 for a root mean square.
    pub(super) mean_q14: i32,
    /// The factor `sqrt(n) / sqrt(D)` is `mantissa / 2^shift`, with a mantissa in `2^30..2^31`.
    pub(super) mantissa: i32,
    /// `15..=62`.
    pub(super) shift: u32,
}

/// How many numbers a group has, with the root that all groups of this length share.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    n: u32,
    root: u64,
    up: u32,
}

impl Length {
    pub fn new(n: u32) -> Self {
        let (root, up) = normalized_root(n.max(1).into());
        Self { n, root, up }
    }
}

impl Normalizer {
    /// Divides by the root of the mean square. `epsilon` is the real epsilon times `n / scale^2`.
    pub fn rms(sum_of_squares: u64, n: Length, epsilon: u64) -> Self {
        Self::new(0, sum_of_squares.saturating_add(epsilon), n)
    }

    /// Subtracts the mean and divides by the standard deviation. `epsilon` is the real epsilon times `n / scale^2`.
    pub fn centred(sum: i64, sum_of_squares: u64, n: Length, epsilon: u64) -> Self {
        let count = i64::from(n.n.max(1));
        // With sum = q n + r and 0 <= r < n, floor(sum^2 / n) = q (sum + r) + floor(r^2 / n): |q| <= 2^15 and |sum + r|
        // is at most 2^46, r^2 is below 2^62. Rounding down here keeps D at its exact value or above, so no |y| exceeds
        // sqrt(n).
        let (q, r) = (sum.div_euclid(count), sum.rem_euclid(count));
        let spread = sum_of_squares.saturating_sub((q * (sum + r) + r * r / count) as u64);
        // |sum| < 2^46 and count / 2 < 2^30.
        let mean_q14 = ((sum << 14) + count / 2).div_euclid(count);
        Self::new(mean_q14 as i32, spread.saturating_add(epsilon), n)
    }

    fn new(mean_q14: i32, squares: u64, n: Length) -> Self {
        let (numerator, up) = (n.root, n.up);
        let (denominator, down) = normalized_root(squares.max(1));
        // Both roots have 32 bits, so their ratio lies between 1/2 and 2; one more bit for those below 1.
        let bits = if numerator < denominator { 31 } else { 30 };
        let mantissa = ((numerator << bits) / denominator) as i32;
        // 16 <= up <= 31 and 0 <= down <= 31.
        Self { mean_q14, mantissa, shift: bits + up - down }
    }

    /// The normalized number in `2^-14`, below `2^30` in magnitude.
    #[inline(always)]
    pub fn apply(&self, x: i32) -> i32 {
        normalized(x, self.mean_q14, self.mantissa, self.shift)
    }
}

/// [`Normalizer::apply`]: `|x - mean| < 2^16` makes a product of two numbers of 32 bits below `2^61`, and the result is at
/// most `sqrt(n)`.
#[inline(always)]
pub(super) fn normalized(x: i32, mean_q14: i32, mantissa: i32, shift: u32) -> i32 {
    round_shift_short(i64::from((x << 14) - mean_q14) * i64::from(mantissa), shift)
}

/// `sqrt(v) = root / 2^k`, with a root in `2^31..2^32` that is rounded down, for `v` of at least 1.
fn normalized_root(v: u64) -> (u64, u32) {
    let k = v.leading_zeros() / 2;
    let scaled = v << (2 * k);
    (if cfg!(target_pointer_width = "64") { scaled.isqrt() } else { root(scaled).into() }, k)
}

/// `floor(sqrt(v))` of at least `2^62`: the upper half bit by bit, the lower by one division (P. Zimmermann, "Karatsuba square
/// root", 1999). On processors of 32 bits `u64::isqrt` is five times the code.
fn root(v: u64) -> u32 {
    let (high, middle, low) = ((v >> 32) as u32, v >> 16 & 0xffff, v & 0xffff);
    let (mut root, mut rest) = (0u32, high);
    let mut bit = 1 << 30;
    while bit > 0 {
        let next = root + bit;
        root >>= 1;
        if rest >= next {
            rest -= next;
            root += bit;
        }
        bit >>= 2;
    }
    // `high = root^2 + rest` with a rest of at most twice the root, of 16 bits with the highest set.
    let (above, twice) = (u64::from(rest) << 16 | middle, u64::from(root) << 1);
    let (quotient, left) = (above / twice, above % twice);
    let below = (left << 16 | low) < quotient * quotient;
    ((u64::from(root) << 16) + quotient - u64::from(below)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    /// Half of the last bit, the mean's last bit in units of the result, and the mantissa.
    fn bound(y: f64, factor: f64) -> f64 {
        0.5 / 16384.0 + factor * 0.5 / 16384.0 + y.abs() * 2f64.powi(-29)
    }

    #[test]
    fn roots_are_exact_to_32_bits() {
        let mut random = Random(1);
        let drawn: Vec<_> = (0..10_000).map(|i| random.next() >> (i % 64)).collect();
        for v in drawn.into_iter().filter(|&v| v > 0).chain([1, 2, 3, u64::MAX, 1 << 63, 1 << 62, (1 << 62) - 1]) {
            let (root, k) = normalized_root(v);
            assert!(root >> 31 == 1, "{v}: {root}");
            let scaled = u128::from(v) << (2 * k);
            let root = u128::from(root);
            assert!(root * root <= scaled && scaled < (root + 1) * (root + 1), "{v}");
            assert_eq!(u128::from(super::root(scaled as u64)), root, "{v}");
        }
    }

    #[test]
    fn random_groups_agree_with_doubles() {
        let mut random = Random(2);
        for round in 0..2000 {
            let n = random.size(1, if round % 10 == 0 { 5000 } else { 70 });
            let range = random.scale(1.0, 32768.0) as i32;
            let centre = random.between(range - 32768, 32768 - range);
            let x: Vec<_> = (0..n).map(|_| centre + random.between(-range, range - 1)).collect();
            let epsilon = random.scale(1.0, 1e12) as u64 - 1;
            let sum: i64 = x.iter().map(|&x| i64::from(x)).sum();
            let squares: u64 = x.iter().map(|&x| i64::from(x).pow(2) as u64).sum();
            let count = n as f64;
            // Exact in doubles: below 2^53 for these lengths, but for the square of the sum.
            let spread = (i128::from(squares) * n as i128 - i128::from(sum).pow(2)) as f64 / count;
            for (normalizer, mean, spread) in [
                (Normalizer::rms(squares, Length::new(n as u32), epsilon), 0.0, squares as f64),
                (Normalizer::centred(sum, squares, Length::new(n as u32), epsilon), sum as f64 / count, spread),
            ] {
                // The sum of squares is rounded up to an integer of at least 1.
                let total = spread.ceil() + epsilon as f64;
                let factor = (count / total.max(1.0)).sqrt();
                assert_eq!(normalizer.mantissa >> 30, 1);
                assert!((15..=62).contains(&normalizer.shift));
                for &x in &x {
                    let y = (f64::from(x) - mean) * factor;
                    let got = f64::from(normalizer.apply(x)) / 16384.0;
                    assert!((got - y).abs() <= bound(y, factor), "{n} {x} {epsilon}: {got} for {y}");
                    assert!(got.abs() <= count.sqrt() * 1.000001 + bound(y, factor));
                    // What the rounding of the sum of squares does to the true result.
                    let exact = (f64::from(x) - mean) * (count / (spread + epsilon as f64)).sqrt();
                    if spread + epsilon as f64 >= 1.0 {
                        assert!(
                            (got - exact).abs() <= bound(y, factor) + exact.abs() * 0.5 / (spread + epsilon as f64)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        // The longest 16-bit group, the longest 8-bit group with its furthest zero point, and short ones.
        for (n, x) in
            [((1u32 << 30) - 1, -32768i32), ((1 << 30) - 1, 32767), ((1 << 31) - 1, 255), ((1 << 31) - 1, -255)]
                .into_iter()
                .chain(
                    [1, 2, 3, 64, 65, 4096]
                        .into_iter()
                        .flat_map(|n| [-32768, 32767, -255, 255, 1, 0, -1].map(|x| (n, x))),
                )
        {
            let (count, value, length) = (i64::from(n), i64::from(x), Length::new(n));
            let squares = (value * value) as u64;
            for epsilon in [0, 1, 1000, 1 << 40, 1 << 62, u64::MAX] {
                let equal = Normalizer::centred(count * value, count as u64 * squares, length, epsilon);
                assert_eq!(equal.apply(x), 0, "zero variance");
                let rms = Normalizer::rms(count as u64 * squares, length, epsilon).apply(x);
                if epsilon == 0 {
                    assert!((rms - 16384 * x.signum()).abs() <= 1, "{n} {x}: {rms}");
                }
                // One number apart from all others, and half of the numbers at either end.
                let alone = Normalizer::rms(squares, length, epsilon).apply(x);
                assert!(f64::from(alone).abs() <= (f64::from(n).sqrt() * 16384.0 + 1.0) * 1.000001);
                let apart = Normalizer::centred(value, squares, length, epsilon);
                assert!(f64::from(apart.apply(x)).abs() <= (f64::from(n).sqrt() * 16384.0 + 1.0) * 1.000001);
                assert!(i64::from(apart.apply(0)).abs() <= i64::from(1 << 30));
                if n > 1 {
                    let half = Normalizer::centred(count % 2 * value, count as u64 * squares, length, epsilon);
                    assert!(half.apply(x).abs() <= 2 * 16384 && half.apply(-x).abs() <= 2 * 16384);
                }
            }
        }
    }

    #[test]
    fn the_largest_results_keep_their_sign() {
        // sqrt(n) for one number among zeros: the largest that exists, in both widths.
        let narrow = Normalizer::rms(255 * 255, Length::new((1 << 31) - 1), 0);
        assert!((f64::from(narrow.apply(255)) - 2f64.powf(29.5)).abs() < 2.0);
        assert_eq!(narrow.apply(-255), -narrow.apply(255));
        let wide = Normalizer::rms(1 << 30, Length::new((1 << 30) - 1), 0);
        assert!((f64::from(wide.apply(-32768)) + 2f64.powi(29)).abs() < 2.0);
    }

    #[test]
    fn a_huge_epsilon_gives_zero() {
        let tiny = Normalizer::centred(10, 100, Length::new(3), u64::MAX);
        assert_eq!([-32768, 0, 32767].map(|x| tiny.apply(x)), [0; 3]);
    }
}
