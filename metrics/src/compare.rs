//! One comparison: a reference model, candidates, and what tells them apart.

use driftlet_runtime::Model;
use serde::Serialize;

use crate::{Features, MetricsError, Statistics, extract, frechet_distance, paired_difference, psnr};

/// Pictures of a model, with what identifies it.
#[derive(Clone, Copy, Debug)]
pub struct Generated<'g> {
    /// Name for people.
    pub name: &'g str,
    /// `f32`, `f16` or `int8`.
    pub precision: &'g str,
    /// Size of the `.drift` file.
    pub bytes: usize,
    /// SHA-256 of the `.drift` file.
    pub hash: &'g str,
    /// `[n, height, width, channels]`; picture `i` of every model has the same seed, class and guidance.
    pub pixels: &'g [u8],
}

/// What all models are held against.
pub struct Settings<'s> {
    /// A feature network, a classifier.
    pub network: &'s Model<'s>,
    /// Its name.
    pub network_name: &'s str,
    /// Statistics of the data's test split.
    pub test: &'s Statistics,
    /// Statistics of the data's train split, for the floor.
    pub train: &'s Statistics,
    /// Class that each picture was meant to be of.
    pub classes: Vec<u32>,
    /// Guidance of all pictures.
    pub guidance: f32,
    /// Seed of the first picture.
    pub first_seed: u64,
    /// Bootstrap resamples.
    pub resamples: u32,
}

/// The result, in the stable layout of the JSON files.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The model that the others are compared with.
    pub reference: ReferenceModel,
    /// The other models.
    pub candidates: Vec<ComparedModel>,
    /// Distance of the train split to the test split: what a perfect generator would reach.
    pub floor: f64,
    /// Distance of the same network with random weights, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrained: Option<f64>,
    /// Pictures per model.
    pub samples: usize,
    /// Seed of the first picture; the others follow.
    pub first_seed: u64,
    /// Guidance of all pictures.
    pub guidance: f32,
    /// The feature network.
    pub network: String,
    /// Length of its feature vector.
    pub feature_dim: usize,
    /// Bootstrap resamples behind each interval.
    pub resamples: u32,
}

/// The model that others are compared with.
#[derive(Clone, Debug, Serialize)]
pub struct ReferenceModel {
    /// Name for people.
    pub name: String,
    /// `f32`, `f16` or `int8`.
    pub precision: String,
    /// Frechet distance to the test split.
    pub frechet: f64,
    /// Share of pictures that the feature network takes for what they are meant to be.
    pub class_accuracy: f64,
    /// Size of the `.drift` file.
    pub bytes: usize,
    /// SHA-256 of the `.drift` file.
    pub hash: String,
}

/// A model and its difference to the reference.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedModel {
    /// The model itself.
    #[serde(flatten)]
    pub model: ReferenceModel,
    /// Its Frechet distance minus that of the reference.
    pub delta: f64,
    /// Lower end of the 95 % paired bootstrap interval of `delta`.
    pub delta_low: f64,
    /// Upper end.
    pub delta_high: f64,
    /// Peak signal-to-noise ratio of its pictures against the reference's, in dB; `null` if all are equal.
    pub psnr: Option<f64>,
}

/// Compares candidates with a reference; calls `step` after each picture that the feature network has looked at.
///
/// # Errors
/// [`MetricsError`] if the pictures do not fit the network or each other.
pub fn compare(
    reference: &Generated,
    candidates: &[Generated],
    settings: &Settings,
    step: &(dyn Fn() + Sync),
) -> Result<Comparison, MetricsError> {
    let look = |model: &Generated| -> Result<(Features, ReferenceModel), MetricsError> {
        let features = extract(settings.network, model.pixels, step)?;
        if features.predicted.len() != settings.classes.len() {
            let problem =
                format!("{} made {} pictures of {}", model.name, features.predicted.len(), settings.classes.len());
            return Err(MetricsError::Shape(problem));
        }
        let judged = ReferenceModel {
            name: model.name.into(),
            precision: model.precision.into(),
            frechet: frechet_distance(&Statistics::of(&features.data, features.dim)?, settings.test)?,
            class_accuracy: features.accuracy(settings.classes.iter().copied()),
            bytes: model.bytes,
            hash: model.hash.into(),
        };
        Ok((features, judged))
    };
    let (baseline, judged_reference) = look(reference)?;
    let mut compared = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let (features, judged) = look(candidate)?;
        let interval = paired_difference(settings.test, &baseline.data, &features.data, settings.resamples, 0)?;
        compared.push(ComparedModel {
            delta: judged.frechet - judged_reference.frechet,
            delta_low: interval.low,
            delta_high: interval.high,
            psnr: psnr(reference.pixels, candidate.pixels).filter(|p| p.is_finite()),
            model: judged,
        });
    }
    Ok(Comparison {
        reference: judged_reference,
        candidates: compared,
        floor: frechet_distance(settings.train, settings.test)?,
        untrained: None,
        samples: settings.classes.len(),
        first_seed: settings.first_seed,
        guidance: settings.guidance,
        network: settings.network_name.into(),
        feature_dim: baseline.dim,
        resamples: settings.resamples,
    })
}
