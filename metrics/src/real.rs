//! The data's own pictures: what generated ones are held against one by one.

use serde::Serialize;

use crate::MetricsError;
use crate::bootstrap::quantile;
use crate::coverage::check;
use crate::vectors::Vectors;

/// Neighbours that a ball of precision and recall reaches to.
pub const NEIGHBOURS: usize = 5;

/// Features of the data.
pub struct Real {
    /// The test split.
    pub(crate) test: Vectors,
    /// Squared distances to the k-th neighbour within it.
    pub(crate) radii: Vec<f64>,
    /// The train split, and how near pictures of the test split come to it, in ascending order.
    pub(crate) train: Option<(Vectors, Vec<f64>)>,
}

/// How near pictures come to those that the generator was trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Memorization {
    /// Mean distance of a picture to the nearest of the train split.
    pub distance: f64,
    /// The same of real pictures of the test split, which no training has seen.
    pub test_distance: f64,
    /// Share of pictures nearer to a picture of the train split than all but 1 % of the test split: 1 % where nothing was
    /// learnt by heart.
    pub nearest_share: f64,
}

impl Real {
    /// Of features `[n, dim]` of both splits.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if they are no vectors, or too few.
    pub fn new(test: &[f32], train: Option<&[f32]>, dim: usize) -> Result<Self, MetricsError> {
        let test = Vectors::new(test, dim)?;
        check(&test, NEIGHBOURS)?;
        let train = train.map(|train| Vectors::new(train, dim)).transpose()?;
        let train = train.map(|train| {
            let mut nearest = test.nearest(&train);
            nearest.sort_by(f64::total_cmp);
            (train, nearest)
        });
        Ok(Self { radii: test.radii(NEIGHBOURS), test, train })
    }

    /// Distances of generated pictures to the train split, and what they say.
    pub(crate) fn memorization(&self, generated: &Vectors) -> Option<(Vec<f64>, Memorization)> {
        let (train, test) = self.train.as_ref()?;
        let nearest = generated.nearest(train);
        let mean = |distances: &[f64]| distances.iter().sum::<f64>() / distances.len() as f64;
        let border = quantile(test, 0.01);
        let share = nearest.iter().filter(|&&d| d < border).count() as f64 / nearest.len() as f64;
        let found = Memorization { distance: mean(&nearest), test_distance: mean(test), nearest_share: share };
        Some((nearest, found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_the_train_split_are_found() -> Result<(), MetricsError> {
        let number = |i: usize| ((i * 7919 + 13) % 4999) as f32 / 4999.0;
        let set = |from: usize, count: usize| (from..from + 3 * count).map(number).collect::<Vec<f32>>();
        let (train, test, fresh) = (set(0, 500), set(1500, 300), set(2400, 300));
        let real = Real::new(&test, Some(&train), 3)?;
        let found = |generated: &[f32]| -> Result<Memorization, MetricsError> {
            let found = real.memorization(&Vectors::new(generated, 3)?);
            found.map(|(_, found)| found).ok_or_else(|| MetricsError::Shape("no train split".into()))
        };
        let honest = found(&fresh)?;
        assert!(honest.nearest_share < 0.1 && honest.distance > 0.5 * honest.test_distance, "{honest:?}");
        let copied = found(&train[..600])?;
        assert!(copied.nearest_share == 1.0 && copied.distance < 1e-6, "{copied:?}");
        Ok(())
    }
}
