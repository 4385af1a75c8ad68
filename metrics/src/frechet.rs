//! The Frechet distance between two normal distributions (Dowson and Landau, 1982; Heusel et al., 2017).

use nalgebra::{DMatrix, DVector, Dyn, SymmetricEigen};

use crate::{MetricsError, Statistics};

/// `|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S2^(1/2) S1 S2^(1/2))^(1/2))`, at least 0.
///
/// Both square roots are of symmetric matrices, by their eigenvalues: no complex numbers, and singular covariances are
/// no special case. Eigenvalues that rounding has made negative count as 0.
///
/// # Errors
/// [`MetricsError::Shape`] if the dimensions differ.
pub fn frechet_distance(a: &Statistics, b: &Statistics) -> Result<f64, MetricsError> {
    Target::new(b)?.distance(a)
}

/// Statistics that several others are measured to.
pub struct Target<'s> {
    statistics: &'s Statistics,
    root: DMatrix<f64>,
}

impl<'s> Target<'s> {
    /// Takes the square root of the covariance, once.
    ///
    /// # Errors
    /// [`MetricsError::Eigenvalues`] if a number is not finite.
    pub fn new(statistics: &'s Statistics) -> Result<Self, MetricsError> {
        Ok(Self { statistics, root: square_root(matrix(statistics))? })
    }

    /// What is measured to.
    pub fn statistics(&self) -> &'s Statistics {
        self.statistics
    }

    /// The Frechet distance.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the dimensions differ.
    pub fn distance(&self, other: &Statistics) -> Result<f64, MetricsError> {
        let (a, b) = (other, self.statistics);
        let dim = a.dim();
        if dim != b.dim() {
            let problem =
                format!("features of {dim} and of {} numbers cannot be compared; use one feature network", b.dim());
            return Err(MetricsError::Shape(problem));
        }
        let shift: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        let trace = |s: &Statistics| (0..dim).map(|i| s.covariance[i * dim + i]).sum::<f64>();
        let overlap: f64 = eigenvalues(symmetric(&self.root * matrix(a) * &self.root))?.iter().map(|v| v.sqrt()).sum();
        Ok((shift + trace(a) + trace(b) - 2.0 * overlap).max(0.0))
    }

    /// What each vector of features `[n, dim]` with these statistics adds to the distance, to first order: the mean over a
    /// resample is how much its distance differs, less the mean over all, which is 0.
    ///
    /// The derivative by the covariance is `1 - S2^(1/2) (S2^(1/2) S1 S2^(1/2))^(-1/2) S2^(1/2)`.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the dimensions differ.
    pub fn influences(&self, statistics: &Statistics, features: &[f32]) -> Result<Vec<f64>, MetricsError> {
        /// Eigenvalues below this part of the largest are rounding.
        const LEAST: f64 = 1e-10;
        let (dim, target) = (statistics.dim(), self.statistics);
        if dim != target.dim() || !features.len().is_multiple_of(dim) {
            return Err(MetricsError::Shape(format!("{} numbers are no vectors of {}", features.len(), target.dim())));
        }
        let mut inner = eigen(symmetric(&self.root * matrix(statistics) * &self.root))?;
        let least = inner.eigenvalues.max() * LEAST;
        inner.eigenvalues.apply(|v| *v = if *v > least { v.sqrt().recip() } else { 0.0 });
        let slope = DMatrix::identity(dim, dim) - symmetric(&self.root * inner.recompose() * &self.root);
        let means = statistics.mean.iter().zip(&target.mean);
        let shift = DVector::from_iterator(dim, means.map(|(a, b)| 2.0 * (a - b)));
        let expected = slope.component_mul(&matrix(statistics)).sum();
        let mut influences = Vec::with_capacity(features.len() / dim);
        for block in features.chunks(dim * BLOCK) {
            let centred = |(i, &x): (usize, &f32)| f64::from(x) - statistics.mean[i % dim];
            let centred = block.iter().enumerate().map(centred);
            let vectors = DMatrix::from_iterator(dim, block.len() / dim, centred);
            let turned = &slope * &vectors;
            let pairs = vectors.column_iter().zip(turned.column_iter());
            influences.extend(pairs.map(|(x, y)| shift.dot(&x) + x.dot(&y) - expected));
        }
        Ok(influences)
    }
}

/// Vectors that are turned at once.
const BLOCK: usize = 256;

fn matrix(s: &Statistics) -> DMatrix<f64> {
    DMatrix::from_row_slice(s.dim(), s.dim(), &s.covariance)
}

/// Rounding leaves a product slightly asymmetric.
fn symmetric(product: DMatrix<f64>) -> DMatrix<f64> {
    (&product + product.transpose()) * 0.5
}

/// Eigenvalues of a positive semidefinite matrix.
fn eigenvalues(matrix: DMatrix<f64>) -> Result<Vec<f64>, MetricsError> {
    if matrix.iter().any(|x| !x.is_finite()) {
        return Err(MetricsError::Eigenvalues);
    }
    Ok(matrix.symmetric_eigenvalues().iter().map(|v| v.max(0.0)).collect())
}

/// The symmetric square root of a positive semidefinite matrix.
fn square_root(matrix: DMatrix<f64>) -> Result<DMatrix<f64>, MetricsError> {
    let mut eigen = eigen(matrix)?;
    // A covariance has no negative eigenvalues but by rounding.
    eigen.eigenvalues.apply(|v| *v = v.max(0.0).sqrt());
    Ok(eigen.recompose())
}

fn eigen(matrix: DMatrix<f64>) -> Result<SymmetricEigen<f64, Dyn>, MetricsError> {
    const MOST_ITERATIONS: usize = 10_000;
    SymmetricEigen::try_new(matrix, f64::EPSILON, MOST_ITERATIONS).ok_or(MetricsError::Eigenvalues)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(mean: &[f64], covariance: &[f64]) -> Statistics {
        Statistics { count: 10, mean: mean.into(), covariance: covariance.into() }
    }

    #[test]
    fn commuting_covariances_have_a_closed_form() -> Result<(), MetricsError> {
        let a = statistics(&[0.0, 1.0], &[4.0, 0.0, 0.0, 9.0]);
        let b = statistics(&[3.0, 1.0], &[1.0, 0.0, 0.0, 16.0]);
        // 3^2 + (2 - 1)^2 + (3 - 4)^2.
        assert!((frechet_distance(&a, &b)? - 11.0).abs() < 1e-12);
        assert!((frechet_distance(&b, &a)? - 11.0).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn two_dimensions_have_a_closed_form() -> Result<(), MetricsError> {
        // For 2x2 matrices tr(sqrt(M)) = sqrt(tr(M) + 2 sqrt(det(M))), and det and trace of S1 S2 are those of M.
        let (a, b): ([f64; 4], [f64; 4]) = ([2.0, 0.7, 0.7, 1.0], [1.5, -0.4, -0.4, 3.0]);
        let trace = a[0] * b[0] + 2.0 * a[1] * b[1] + a[3] * b[3];
        let determinant = (a[0] * a[3] - a[1] * a[1]) * (b[0] * b[3] - b[1] * b[1]);
        let expected = 3.0 + 4.5 - 2.0 * (trace + 2.0 * determinant.sqrt()).sqrt();
        let distance = frechet_distance(&statistics(&[0.0; 2], &a), &statistics(&[0.0; 2], &b))?;
        assert!((distance - expected).abs() < 1e-12, "{distance} against {expected}");
        Ok(())
    }

    #[test]
    fn turning_both_changes_nothing() -> Result<(), MetricsError> {
        let (a, b) = (statistics(&[0.0, 1.0], &[4.0, 0.0, 0.0, 9.0]), statistics(&[3.0, 1.0], &[1.0, 0.0, 0.0, 16.0]));
        let (sin, cos) = 0.6f64.sin_cos();
        let turned = |s: &Statistics| {
            let turn = DMatrix::from_row_slice(2, 2, &[cos, -sin, sin, cos]);
            let mean = &turn * DMatrix::from_column_slice(2, 1, &s.mean);
            let covariance = &turn * DMatrix::from_row_slice(2, 2, &s.covariance) * turn.transpose();
            statistics(mean.as_slice(), covariance.as_slice())
        };
        let distance = frechet_distance(&turned(&a), &turned(&b))?;
        assert!((distance - frechet_distance(&a, &b)?).abs() < 1e-12, "{distance}");
        Ok(())
    }

    #[test]
    fn equal_and_singular() -> Result<(), MetricsError> {
        let singular = statistics(&[1.0, 2.0], &[1.0, 1.0, 1.0, 1.0]);
        assert!(frechet_distance(&singular, &singular)? < 1e-7);
        let point = statistics(&[1.0, 2.0], &[0.0; 4]);
        assert!((frechet_distance(&singular, &point)? - 2.0).abs() < 1e-7);
        assert!(frechet_distance(&point, &statistics(&[1.0], &[1.0])).is_err());
        Ok(())
    }
}
