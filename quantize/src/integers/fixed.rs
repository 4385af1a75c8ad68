//! Real factors as fixed-point numbers.

/// Factors as `[multiplier, shift, further multipliers]` with one shift, each `factor * 2^shift`, rounded; the largest gets
/// `bits` bits. `None` if a factor is too large for a shift of 1, or not a number.
pub fn fixed_point<const N: usize>(factors: [f64; N], bits: [u32; N]) -> Option<([i32; N], i32)> {
    // The largest shift that leaves every factor its bits.
    let room = |(&factor, bits): (&f64, u32)| {
        if factor.is_nan() || factor < 0.0 || factor.is_infinite() {
            return None;
        }
        let exponent = factor.max(f64::MIN_POSITIVE).log2().floor();
        let mut shift = (f64::from(bits) - 1.0 - exponent).clamp(-1e6, 62.0) as i32;
        if (factor * 2f64.powi(shift)).round() >= 2f64.powi(bits as i32) {
            shift -= 1;
        }
        Some(shift)
    };
    let shifts: Option<Vec<i32>> = factors.iter().zip(bits).map(room).collect();
    let shift = shifts?.into_iter().min().unwrap_or(62);
    (shift >= 1).then(|| (factors.map(|factor| (factor * 2f64.powi(shift)).round() as i32), shift))
}

/// A scale may not be zero, nor vanish in single precision. Where all numbers are zero a small step will do; a large one
/// would take bits from the factors that share its shift.
pub fn positive(scale: f64) -> f64 {
    if scale > 1e-30 { scale } else { 1.0 / 65536.0 }
}

/// Numbers in 16 bits with a step of their own.
pub fn sixteen_bits(numbers: &[f32]) -> (Vec<i16>, f64) {
    let reach = numbers.iter().fold(0.0, |max: f64, &x| max.max(f64::from(x).abs()));
    let scale = positive(reach / 32767.0);
    (numbers.iter().map(|&x| (f64::from(x) / scale).round() as i16).collect(), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_keep_their_bits() {
        for (sum, residual) in [(0.5, 0.0), (1.0, 0.3), (1e-9, 1e-12), (0.999_999_999_99, 0.0), (1e6, 2.0)] {
            let ([m, r], shift) = fixed_point([sum, residual], [31, 31]).expect("in range");
            let back = |m: i32| f64::from(m) * 2f64.powi(-shift);
            assert!((back(m) - sum).abs() <= sum * 1e-9, "{sum} became {}", back(m));
            assert!((back(r) - residual).abs() <= 2f64.powi(-shift), "{residual} became {}", back(r));
        }
        assert_eq!(fixed_point([1e10], [31]), None);
        assert_eq!(fixed_point([0.0], [31]), Some(([0], 62)));
        assert_eq!(fixed_point([f64::NAN, f64::INFINITY], [31, 31]), None);
        let ([gain, shift_vector], shift) = fixed_point([3.0, 0.5], [17, 31]).expect("in range");
        assert_eq!((gain, shift_vector, shift), (3 << 15, 1 << 14, 15));
    }
}
