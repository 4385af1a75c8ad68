//! Mean and scatter of feature vectors, in parts that can be joined (Chan, Golub and LeVeque, 1979).

use crate::{MetricsError, Statistics};

/// Count, mean and scatter of a set of vectors, in double precision.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Number of vectors.
    pub count: u64,
    /// `[dim]`.
    pub mean: Vec<f64>,
    /// Sums of products of deviations from the mean: the upper triangle, row by row, `dim (dim + 1) / 2` numbers.
    pub scatter: Vec<f64>,
}

impl Moments {
    /// Of features `[n, dim]`, row-major, in their order; two passes, so that large means cost no accuracy.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] unless these are one or more vectors of finite numbers.
    pub fn of(features: &[f32], dim: usize) -> Result<Self, MetricsError> {
        Self::weighted(features, dim, &vec![1; features.len() / dim.max(1)])
    }

    /// As [`Moments::of`], every vector counted as often as its weight says: a bootstrap resample.
    pub(crate) fn weighted(features: &[f32], dim: usize, weights: &[u32]) -> Result<Self, MetricsError> {
        let shape = |problem: String| Err(MetricsError::Shape(problem));
        if dim == 0 || features.len() != dim * weights.len() {
            return shape(format!("{} numbers are not {} vectors of {dim}", features.len(), weights.len()));
        }
        let count: u64 = weights.iter().map(|&w| u64::from(w)).sum();
        if count == 0 {
            return shape("statistics of no vectors".into());
        }
        let rows = || features.chunks_exact(dim).zip(weights).filter(|(_, w)| **w > 0);
        let mut mean = vec![0.0; dim];
        for (row, &weight) in rows() {
            for (mean, &x) in mean.iter_mut().zip(row) {
                *mean += f64::from(weight) * f64::from(x);
            }
        }
        mean.iter_mut().for_each(|m| *m /= count as f64);
        if mean.iter().any(|m| !m.is_finite()) {
            return shape("a feature is not finite".into());
        }
        let mut scatter = vec![0.0; dim * (dim + 1) / 2];
        let mut centred = vec![0.0; dim];
        for (row, &weight) in rows() {
            for ((c, &x), mean) in centred.iter_mut().zip(row).zip(&mean) {
                *c = f64::from(x) - mean;
            }
            add_outer(&mut scatter, &centred, f64::from(weight));
        }
        Ok(Self { count, mean, scatter })
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Adds the vectors of another set of the same dimension. The order of joining decides about the last bits.
    pub fn join(&mut self, other: &Self) {
        let (a, b) = (self.count as f64, other.count as f64);
        let shift: Vec<f64> = other.mean.iter().zip(&self.mean).map(|(b, a)| b - a).collect();
        self.mean.iter_mut().zip(&shift).for_each(|(mean, s)| *mean += s * (b / (a + b)));
        self.scatter.iter_mut().zip(&other.scatter).for_each(|(a, b)| *a += b);
        add_outer(&mut self.scatter, &shift, a * (b / (a + b)));
        self.count += other.count;
    }

    /// Mean and covariance.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] for fewer than two vectors.
    pub fn statistics(&self) -> Result<Statistics, MetricsError> {
        if self.count < 2 {
            let problem = format!("statistics need at least 2 samples, there are {}", self.count);
            return Err(MetricsError::Shape(problem));
        }
        let dim = self.dim();
        let mut covariance = vec![0.0; dim * dim];
        let mut upper = self.scatter.iter();
        for i in 0..dim {
            for (j, sum) in (i..dim).zip(&mut upper) {
                let value = sum / (self.count - 1) as f64;
                (covariance[i * dim + j], covariance[j * dim + i]) = (value, value);
            }
        }
        Ok(Statistics { count: self.count, mean: self.mean.clone(), covariance })
    }
}

/// Adds `weight v v'` to an upper triangle.
fn add_outer(triangle: &mut [f64], v: &[f64], weight: f64) {
    let mut rest = triangle;
    for i in 0..v.len() {
        let (line, below) = rest.split_at_mut(v.len() - i);
        let scaled = weight * v[i];
        line.iter_mut().zip(&v[i..]).for_each(|(sum, &x)| *sum += scaled * x);
        rest = below;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_parts_are_the_whole() -> Result<(), MetricsError> {
        // Far from zero, where sums of squares would lose what the covariance is made of.
        let features: Vec<f32> = (0..600).map(|i| 4096.0 + ((i * 7919) % 641) as f32 / 64.0).collect();
        let whole = Moments::of(&features, 3)?;
        for cut in [1, 70, 199] {
            let mut joined = Moments::of(&features[..3 * cut], 3)?;
            joined.join(&Moments::of(&features[3 * cut..], 3)?);
            assert_eq!(joined.count, whole.count);
            let numbers = |m: &Moments| m.mean.iter().chain(&m.scatter).copied().collect::<Vec<f64>>();
            for (a, b) in numbers(&joined).iter().zip(numbers(&whole)) {
                assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{a} and {b}");
            }
        }
        Ok(())
    }

    #[test]
    fn weights_count_vectors_more_than_once() -> Result<(), MetricsError> {
        let features = [1.0, 10.0, 2.0, 10.0, 3.0, 40.0];
        let twice = Moments::weighted(&features, 2, &[2, 0, 1])?;
        assert_eq!(twice, Moments::of(&[1.0, 10.0, 1.0, 10.0, 3.0, 40.0], 2)?);
        assert!(Moments::weighted(&features, 2, &[0; 3]).is_err());
        Ok(())
    }
}
