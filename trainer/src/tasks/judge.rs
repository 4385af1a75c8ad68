//! A classifier that looks at samples on the way: are they what they are meant to be, and how far from real ones?

use std::path::Path;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use driftlet_checkpoint::Architecture;
use driftlet_metrics::{MetricsError, Statistics, frechet_distance};

use super::companion;
use crate::TrainError;
use crate::dataset::Samples;
use crate::networks::{Classifier, import};

/// A trained classifier with what it sees in the test split.
pub struct Judge<B: Backend> {
    network: Classifier<B>,
    test: Statistics,
    path: std::path::PathBuf,
}

/// What a judge found.
pub struct Verdict {
    /// Share of samples that are taken for their class.
    pub accuracy: f64,
    /// Frechet distance to the test split in the classifier's features.
    pub frechet: f64,
}

impl<B: Backend> Judge<B> {
    /// Reads a classifier's checkpoint, and looks at the test split.
    pub fn new(path: &Path, test: &Samples, device: &B::Device) -> Result<Self, TrainError> {
        let (network, checkpoint) = companion(path, "a classifier", |architecture| match architecture {
            Architecture::Classifier(net) => Some(Classifier::<B>::new(net, device)),
            _ => None,
        })?;
        let network = import(network, &checkpoint);
        let seen = test.parts().map(|part| network.features(test.tensor(&part, device)));
        let (data, dim) = rows(Tensor::cat(seen.collect(), 0));
        let test = Statistics::of(&data, dim).map_err(|e| problem(path, &e))?;
        Ok(Self { network, test, path: path.into() })
    }

    /// Looks at pictures `[n, channels, height, width]` in `[-1, 1]`.
    pub fn judge(&self, images: Tensor<B, 4>, labels: &[usize]) -> Result<Verdict, TrainError> {
        let features = self.network.features(images);
        let predicted = self.network.logits(features.clone()).argmax(1);
        let predicted: Vec<i64> = predicted.into_data().convert::<i64>().to_vec().unwrap_or_default();
        let right = predicted.iter().zip(labels).filter(|&(&p, &label)| p == label as i64).count();
        let (data, dim) = rows(features);
        let frechet = Statistics::of(&data, dim)
            .and_then(|statistics| frechet_distance(&statistics, &self.test))
            .map_err(|e| problem(&self.path, &e))?;
        Ok(Verdict { accuracy: right as f64 / labels.len() as f64, frechet })
    }
}

fn rows<B: Backend>(features: Tensor<B, 2>) -> (Vec<f32>, usize) {
    let [_, dim] = features.dims();
    (features.into_data().convert::<f32>().to_vec().unwrap_or_default(), dim)
}

fn problem(path: &Path, error: &MetricsError) -> TrainError {
    TrainError::Config { file: path.display().to_string(), problem: format!("cannot judge samples: {error}") }
}
