//! Mean and covariance of features, in double precision.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::{MetricsError, Moments};

/// Mean and covariance of a set of feature vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Number of vectors; 0 where it is not known.
    pub count: u64,
    /// `[dim]`.
    pub mean: Vec<f64>,
    /// `[dim, dim]`, row-major, divided by `count - 1`.
    pub covariance: Vec<f64>,
}

impl Statistics {
    /// Of features `[n, dim]`, row-major; two passes, so that large means cost no accuracy.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] unless there are two vectors or more, all finite.
    pub fn of(features: &[f32], dim: usize) -> Result<Self, MetricsError> {
        Moments::of(features, dim)?.statistics()
    }

    /// Length of a feature vector.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The bytes of a safetensors file with `mean` `[dim]`, `covariance` `[dim, dim]` (f64) and `count` `[1]` (u64).
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the fields do not fit together.
    pub fn to_bytes(&self) -> Result<Vec<u8>, MetricsError> {
        let bytes = |values: &[f64]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let (mean, covariance, count) = (bytes(&self.mean), bytes(&self.covariance), self.count.to_le_bytes());
        let dim = self.dim();
        let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes);
        [
            ("mean", view(Dtype::F64, vec![dim], &mean)),
            ("covariance", view(Dtype::F64, vec![dim, dim], &covariance)),
            ("count", view(Dtype::U64, vec![1], &count)),
        ]
        .into_iter()
        .map(|(name, view)| Ok((name, view?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| MetricsError::Shape(e.to_string()))
    }

    /// Reads what [`Statistics::to_bytes`] wrote; `file` is for messages.
    ///
    /// # Errors
    /// [`MetricsError::Statistics`] names the field.
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, MetricsError> {
        let error = |problem: String| MetricsError::Statistics { file: file.into(), problem };
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| {
            error(format!("not a safetensors file ({e}); give one of driftlet stats, or an .npz with mu and sigma"))
        })?;
        let read = |name: &str, dtype: Dtype| {
            let view =
                tensors.tensor(name).map_err(|_| error(format!("has no `{name}`; make it with driftlet stats")))?;
            if view.dtype() != dtype {
                return Err(error(format!("`{name}` has type {:?} instead of {dtype:?}", view.dtype())));
            }
            Ok(view.data().as_chunks().0.to_vec())
        };
        let floats = |name: &str| -> Result<Vec<f64>, MetricsError> {
            Ok(read(name, Dtype::F64)?.into_iter().map(f64::from_le_bytes).collect())
        };
        let statistics = Self {
            count: read("count", Dtype::U64)?.first().map_or(0, |&b| u64::from_le_bytes(b)),
            mean: floats("mean")?,
            covariance: floats("covariance")?,
        };
        let dim = statistics.dim();
        if dim == 0 || statistics.covariance.len() != dim * dim || statistics.count < 2 {
            return Err(error(format!("mean, covariance and count do not fit together (mean has {dim} numbers)")));
        }
        statistics.check("mean", "covariance").map_err(|p| error(format!("{p}; make it anew with driftlet stats")))?;
        Ok(statistics)
    }

    /// Refuses what no set of vectors has; the names are those of the fields.
    pub(crate) fn check(&self, mean: &str, covariance: &str) -> Result<(), String> {
        let infinite = |numbers: &[f64]| numbers.iter().position(|x| !x.is_finite());
        for (name, numbers) in [(mean, &self.mean), (covariance, &self.covariance)] {
            if let Some(at) = infinite(numbers) {
                return Err(format!("`{name}` has a number that is not finite, at {at}"));
            }
        }
        let dim = self.dim();
        let variance = |i: usize| self.covariance[i * dim + i];
        if let Some(i) = (0..dim).find(|&i| variance(i) < 0.0) {
            return Err(format!("`{covariance}` has the variance {} at {i}", variance(i)));
        }
        // Others may have rounded to single precision.
        let most = 1e-4 * (0..dim).map(variance).fold(0.0, f64::max);
        let skew = |i: usize, j: usize| (self.covariance[i * dim + j] - self.covariance[j * dim + i]).abs() > most;
        match (0..dim).find_map(|i| (0..i).find(|&j| skew(i, j)).map(|j| (i, j))) {
            Some((i, j)) => Err(format!("`{covariance}` is not symmetric, at {i}, {j}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() -> Result<(), MetricsError> {
        let s = Statistics::of(&[1.0, 10.0, 2.0, 10.0, 3.0, 40.0], 2)?;
        assert_eq!(s.mean, [2.0, 20.0]);
        assert_eq!(s.covariance, [1.0, 15.0, 15.0, 300.0]);
        Ok(())
    }

    #[test]
    fn files_round_trip_and_damage_is_named() -> Result<(), MetricsError> {
        let s = Statistics::of(&[1.0, 10.0, 2.0, 10.0, 3.0, 40.0], 2)?;
        let bytes = s.to_bytes()?;
        assert_eq!(Statistics::from_bytes("x", &bytes)?, s);
        for len in 0..bytes.len() {
            assert!(Statistics::from_bytes("x", &bytes[..len]).is_err());
        }
        for (covariance, expected) in [
            ([-1.0, 0.0, 0.0, 1.0], "the variance -1 at 0"),
            ([1.0, 0.5, 0.0, 1.0], "not symmetric, at 1, 0"),
            ([1.0, f64::NAN, 0.0, 1.0], "not finite, at 1"),
        ] {
            let wrong = Statistics { covariance: covariance.to_vec(), ..s.clone() };
            let read = [
                Statistics::from_bytes("x.safetensors", &wrong.to_bytes()?),
                Statistics::from_npz("x.npz", &wrong.to_npz()?),
            ];
            for (read, [file, field]) in read.into_iter().zip([["x.safetensors", "`covariance`"], ["x.npz", "`sigma`"]])
            {
                let message = read.err().map(|e| e.to_string()).unwrap_or_default();
                assert!([file, field, expected].iter().all(|part| message.contains(part)), "{message}");
            }
        }
        assert!(Statistics::of(&[1.0, f32::NAN], 1).is_err());
        assert!(Statistics::of(&[1.0], 1).is_err());
        Ok(())
    }
}
