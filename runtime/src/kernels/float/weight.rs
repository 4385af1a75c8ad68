//! Stored numbers of single and half precision.

/// A stored weight.
pub trait Weight: Copy {
    /// The weight in single precision, exactly.
    fn to_f32(self) -> f32;
}

impl Weight for f32 {
    fn to_f32(self) -> f32 {
        self
    }
}

/// The bits of a half-precision number.
impl Weight for u16 {
    fn to_f32(self) -> f32 {
        // Moving exponent and mantissa into place leaves the exponent 112 too small; the product corrects it and
        // normalizes subnormals. Infinities and NaN come out finite; quantize never writes them.
        let magnitude = f32::from_bits(u32::from(self & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
        f32::from_bits(magnitude.to_bits() | u32::from(self & 0x8000) << 16)
    }
}

/// Stored numbers in single precision.
pub fn widen<W: Weight>(stored: &[W], out: &mut [f32]) {
    for (out, w) in out.iter_mut().zip(stored) {
        *out = w.to_f32();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_half_converts_exactly() {
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits);
            if expected.is_finite() {
                assert_eq!(bits.to_f32().to_bits(), expected.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }
}
