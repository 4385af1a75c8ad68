//! The Frechet distance to a normal distribution, in plain loops: every machine finds the same number.

/// Times that all pairs are gone through at most; some ten are enough.
const SWEEPS: usize = 40;

/// A distribution that others are measured to.
pub struct Target {
    mean: Vec<f64>,
    /// Of the covariance, `[dim, dim]`, symmetric.
    root: Vec<f64>,
    trace: f64,
}

impl Target {
    /// Of a mean `[dim]` and a covariance `[dim, dim]`, row by row.
    pub fn new(mean: Vec<f64>, covariance: &[f64]) -> Self {
        let dim = mean.len();
        let (values, vectors) = eigen(covariance.to_vec(), dim);
        let mut root = vec![0.0; dim * dim];
        for (value, vector) in values.iter().zip(vectors.chunks_exact(dim)) {
            let value = value.max(0.0).sqrt();
            for (row, a) in root.chunks_exact_mut(dim).zip(vector) {
                row.iter_mut().zip(vector).for_each(|(r, b)| *r += value * a * b);
            }
        }
        let trace = (0..dim).map(|i| covariance[i * dim + i]).sum();
        Self { mean, root, trace }
    }

    /// `|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S2^(1/2) S1 S2^(1/2))^(1/2))` of as many vectors as there are.
    pub fn distance(&self, vectors: &[Vec<f32>]) -> f64 {
        let (mean, covariance) = moments(vectors, self.mean.len());
        let dim = mean.len();
        let shift: f64 = mean.iter().zip(&self.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        let trace: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
        let inner = product(&product(&self.root, &covariance, dim), &self.root, dim);
        let (values, _) = eigen(inner, dim);
        let overlap: f64 = values.iter().map(|value| value.max(0.0).sqrt()).sum();
        shift + trace + self.trace - 2.0 * overlap
    }
}

/// Mean and covariance.
fn moments(vectors: &[Vec<f32>], dim: usize) -> (Vec<f64>, Vec<f64>) {
    let count = vectors.len() as f64;
    let mut mean = vec![0.0; dim];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(sum, &x)| *sum += f64::from(x) / count);
    }
    let mut covariance = vec![0.0; dim * dim];
    for vector in vectors {
        let centred: Vec<f64> = vector.iter().zip(&mean).map(|(&x, m)| f64::from(x) - m).collect();
        for (row, a) in covariance.chunks_exact_mut(dim).zip(&centred) {
            row.iter_mut().zip(&centred).for_each(|(sum, b)| *sum += a * b);
        }
    }
    covariance.iter_mut().for_each(|sum| *sum /= (count - 1.0).max(1.0));
    (mean, covariance)
}

fn product(a: &[f64], b: &[f64], dim: usize) -> Vec<f64> {
    let mut c = vec![0.0; dim * dim];
    for (row, a) in c.chunks_exact_mut(dim).zip(a.chunks_exact(dim)) {
        for (a, b) in a.iter().zip(b.chunks_exact(dim)) {
            row.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
        }
    }
    c
}

/// Eigenvalues of a symmetric matrix, and the vectors that belong to them, one a row: Jacobi's rotations.
fn eigen(mut matrix: Vec<f64>, dim: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; dim * dim];
    (0..dim).for_each(|i| vectors[i * dim + i] = 1.0);
    let whole: f64 = matrix.iter().map(|x| x * x).sum();
    for _ in 0..SWEEPS {
        let outside = |i: usize| -> f64 { matrix[i * dim..][..i].iter().map(|x| x * x).sum() };
        if (0..dim).map(outside).sum::<f64>() <= 1e-26 * whole {
            break;
        }
        for (p, q) in (0..dim).flat_map(|q| (0..q).map(move |p| (p, q))) {
            let off = matrix[p * dim + q];
            if off == 0.0 {
                continue;
            }
            // The tangent of the angle that makes this pair zero, the smaller of two.
            let half = (matrix[q * dim + q] - matrix[p * dim + p]) / (2.0 * off);
            let tangent = half.signum() / (half.abs() + (half * half + 1.0).sqrt());
            let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
            let turn = (cosine, tangent * cosine);
            for k in 0..dim {
                rotate(&mut matrix, (k * dim + p, k * dim + q), turn);
            }
            for k in 0..dim {
                rotate(&mut matrix, (p * dim + k, q * dim + k), turn);
                rotate(&mut vectors, (p * dim + k, q * dim + k), turn);
            }
        }
    }
    ((0..dim).map(|i| matrix[i * dim + i]).collect(), vectors)
}

fn rotate(numbers: &mut [f64], (p, q): (usize, usize), (cosine, sine): (f64, f64)) {
    let (a, b) = (numbers[p], numbers[q]);
    (numbers[p], numbers[q]) = (cosine * a - sine * b, sine * a + cosine * b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_and_vectors_make_up_the_matrix() {
        let dim = 7;
        let number = |i: usize, j: usize| ((i * j + 3 * (i + j)) % 11) as f64 - 4.0;
        let matrix: Vec<f64> = (0..dim * dim).map(|at| number(at / dim, at % dim)).collect();
        let (values, vectors) = eigen(matrix.clone(), dim);
        for at in 0..dim * dim {
            let terms = values.iter().zip(vectors.chunks_exact(dim));
            let sum: f64 = terms.map(|(value, v)| value * v[at / dim] * v[at % dim]).sum();
            assert!((sum - matrix[at]).abs() < 1e-12, "{at}: {sum} instead of {}", matrix[at]);
        }
    }

    #[test]
    fn distances_by_hand() {
        // Deviations of 1 and 2 turned by 45 degrees, and those of the vectors: 1 along both axes.
        let target = Target::new(vec![0.0, 0.0], &[2.5, 1.5, 1.5, 2.5]);
        let vectors = [[3.0, 4.0], [1.0, 4.0], [2.0, 5.0], [2.0, 3.0]].map(|v| v.to_vec());
        let part = (2.0f64 / 3.0).sqrt();
        let expected = 4.0 + 16.0 + (part - 1.0).powi(2) + (part - 2.0).powi(2);
        assert!((target.distance(&vectors) - expected).abs() < 1e-12);
    }
}
