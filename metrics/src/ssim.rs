//! Structural similarity (Wang, Bovik, Sheikh and Simoncelli, 2004) of 8-bit pictures.

/// Length of the window, where pictures are not smaller.
const WINDOW: usize = 11;
/// Standard deviation of the window's weights, in pixels.
const DEVIATION: f64 = 1.5;
/// Keep quotients finite where a picture is flat: (0.01 * 255)^2 and (0.03 * 255)^2.
const LUMINANCE: f64 = 6.5025;
const CONTRAST: f64 = 58.5225;

/// Mean structural similarity of two pictures `[height, width, channels]`: 1 for equal ones. Windows lie wholly within the
/// picture, channels count alike.
///
/// # Panics
/// If a picture has another length than its shape says.
pub fn ssim(a: &[u8], b: &[u8], shape: [usize; 3]) -> f64 {
    let [height, width, channels] = shape;
    assert!(a.len() == height * width * channels && b.len() == a.len() && !a.is_empty(), "pictures of {shape:?}");
    let (rows, columns) = (weights(height), weights(width));
    let similarity = |channel: usize| {
        let pick = |picture: &[u8]| -> Vec<f64> {
            picture[channel..].iter().step_by(channels).map(|&p| f64::from(p)).collect()
        };
        let (a, b) = (pick(a), pick(b));
        let product = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let smooth = |map: &[f64]| filtered(map, width, &rows, &columns);
        let maps =
            [smooth(&a), smooth(&b), smooth(&product(&a, &a)), smooth(&product(&b, &b)), smooth(&product(&a, &b))];
        let [mean_a, mean_b, square_a, square_b, both] = &maps;
        let at = |i: usize| {
            let (a, b) = (mean_a[i], mean_b[i]);
            let (variances, covariance) = (square_a[i] - a * a + square_b[i] - b * b, both[i] - a * b);
            (2.0 * a * b + LUMINANCE) * (2.0 * covariance + CONTRAST)
                / ((a * a + b * b + LUMINANCE) * (variances + CONTRAST))
        };
        (0..both.len()).map(at).sum::<f64>() / both.len() as f64
    };
    (0..channels).map(similarity).sum::<f64>() / channels as f64
}

/// The window for a side of this length: an odd number of weights with the sum 1.
fn weights(side: usize) -> Vec<f64> {
    let len = WINDOW.min((side - 1) / 2 * 2 + 1);
    let distance = |i: usize| i as f64 - (len / 2) as f64;
    // Not the system's exponential: figures are the same on every machine.
    let weights: Vec<f64> = (0..len).map(|i| libm::exp(-0.5 * (distance(i) / DEVIATION).powi(2))).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// Weighted means over all windows.
fn filtered(map: &[f64], width: usize, rows: &[f64], columns: &[f64]) -> Vec<f64> {
    let narrow = width + 1 - columns.len();
    let mut along: Vec<f64> = Vec::with_capacity(map.len() / width * narrow);
    for line in map.chunks_exact(width) {
        along.extend(line.windows(columns.len()).map(|w| w.iter().zip(columns).map(|(x, w)| x * w).sum::<f64>()));
    }
    let low = map.len() / width + 1 - rows.len();
    let mut result = vec![0.0; low * narrow];
    for (y, line) in result.chunks_exact_mut(narrow).enumerate() {
        for (k, weight) in rows.iter().enumerate() {
            let from = &along[(y + k) * narrow..][..narrow];
            line.iter_mut().zip(from).for_each(|(sum, x)| *sum += weight * x);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_flat_and_opposite() {
        let picture: Vec<u8> = (0..28 * 28).map(|i| (i * 37 % 251) as u8).collect();
        assert!((ssim(&picture, &picture, [28, 28, 1]) - 1.0).abs() < 1e-12);
        let inverse: Vec<u8> = picture.iter().map(|p| 255 - p).collect();
        assert!(ssim(&picture, &inverse, [28, 28, 1]) < 0.0);
        // Flat ones have no contrast: (2 a b + c) / (a^2 + b^2 + c).
        let flat = ssim(&[100; 300], &[120; 300], [10, 10, 3]);
        let expected = (2.0 * 100.0 * 120.0 + LUMINANCE) / (100.0f64.powi(2) + 120.0f64.powi(2) + LUMINANCE);
        assert!((flat - expected).abs() < 1e-9, "{flat} and {expected}");
        assert!((ssim(&[7], &[7], [1, 1, 1]) - 1.0).abs() < 1e-12);
    }
}
