//! Peak signal-to-noise ratio of 8-bit pictures.

/// `10 log10(255^2 / mean squared error)` over all pixels of all pictures; infinite for equal ones, `None` for pictures
/// of different or no length.
pub fn psnr(a: &[u8], b: &[u8]) -> Option<f64> {
    if a.len() != b.len() || a.is_empty() {
        return None;
    }
    let sum: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    Some(decibels(sum as f64 / a.len() as f64))
}

/// Of a mean squared error.
pub(crate) fn decibels(error: f64) -> f64 {
    10.0 * (255.0f64.powi(2) / error).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(psnr(&[0, 255], &[0, 255]), Some(f64::INFINITY));
        assert_eq!(psnr(&[0, 0], &[255, 255]), Some(0.0));
        let one = psnr(&[10; 100], &[11; 100]).unwrap_or_default();
        assert!((one - 48.1308).abs() < 1e-4, "{one}");
        assert_eq!(psnr(&[0], &[]), None);
    }
}
