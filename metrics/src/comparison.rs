//! The figures of a comparison, in the stable layout of the JSON files.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Coverage, Kid, Layer, Memorization, Sensitivity};

/// The result, in the stable layout of the JSON files.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The model that the others are compared with.
    pub reference: ReferenceModel,
    /// The other models.
    pub candidates: Vec<ComparedModel>,
    /// Distance of the whole train split to the test split; `null` where the target has no train split. A perfect generator
    /// comes down to it only with as many pictures as the train split has: the distance of n pictures is too large by an
    /// amount that falls about as 1 / n, so that only distances at equal `samples` can be compared.
    pub floor: Option<f64>,
    /// What other seeds change.
    pub floor_seeds: Option<SeedFloor>,
    /// Distance of the same network with random weights, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrained: Option<f64>,
    /// Pictures per model.
    pub samples: usize,
    /// Of these, the first so many were kept one by one, for intervals and neighbours.
    pub kept: usize,
    /// Seed of the first picture; the others follow.
    pub first_seed: u64,
    /// Guidance of all pictures.
    pub guidance: f32,
    /// The feature network.
    pub network: String,
    /// SHA-256 of its `.drift` file.
    pub network_hash: String,
    /// SHA-256 of the statistics that distances are measured to.
    pub target_hash: String,
    /// Length of its feature vector.
    pub feature_dim: usize,
    /// Bootstrap resamples behind each interval.
    pub resamples: u32,
    /// Seed of the bootstrap: the same pictures give the same intervals.
    pub bootstrap_seed: u64,
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
    /// The same for infinitely many pictures, by extrapolation; `null` for few pictures.
    pub frechet_infinity: Option<f64>,
    /// Share of pictures that the feature network takes for what they are meant to be; `null` for a network that does not
    /// know the classes.
    pub class_accuracy: Option<f64>,
    /// Inception score, with the probabilities of the feature network.
    pub inception_score: f64,
    /// Kernel distance to the test split, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<Kid>,
    /// How it and the test split cover each other, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// How near it comes to the train split, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memorization: Option<Memorization>,
    /// Size of the `.drift` file.
    pub bytes: usize,
    /// Multiply-accumulates of a picture.
    pub macs: u64,
    /// SHA-256 of the `.drift` file.
    pub hash: String,
    /// A hash of all its pictures: SHA-256 of each 256 of them in the order of the seeds, joined in pairs of hashes.
    pub images_hash: String,
    /// Operators whose loss is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
    /// What each operator costs the pictures, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
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
    /// 95 % bootstrap interval of `psnr`.
    pub psnr_interval: Option<[f64; 2]>,
    /// Mean structural similarity of its pictures and the reference's.
    pub ssim: f64,
    /// Its 95 % bootstrap interval.
    pub ssim_interval: [f64; 2],
    /// Mean distance between the feature vectors of its pictures and the reference's.
    pub feature_distance: f64,
    /// Its 95 % bootstrap interval.
    pub feature_distance_interval: [f64; 2],
    /// Every other figure less that of the reference, by name: `class_accuracy`, `inception_score`, `kid`, `fidelity`,
    /// `recall`, `density`, `coverage`, `nearest_train`.
    pub differences: BTreeMap<&'static str, Difference>,
}

/// A figure of a candidate less that of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The difference.
    pub difference: f64,
    /// Lower end of its 95 % paired bootstrap interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What seeds alone make of one model: a second run of the reference, of as many pictures from other seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SeedFloor {
    /// Pictures of each run.
    pub samples: usize,
    /// Seed of the first picture of the second run; the others follow.
    pub first_seed: u64,
    /// Frechet distance between the runs.
    pub between: f64,
    /// Difference of their Frechet distances to the target, without sign.
    pub difference: f64,
}

#[cfg(test)]
impl Comparison {
    /// One candidate with round figures, for the tests of the reports.
    pub(crate) fn example() -> Self {
        let model = |name: &str, precision: &str| ReferenceModel {
            name: name.into(),
            precision: precision.into(),
            frechet: 12.5,
            frechet_infinity: Some(12.25),
            class_accuracy: Some(0.875),
            inception_score: 8.5,
            kid: None,
            coverage: None,
            memorization: None,
            bytes: 1000,
            macs: 5000,
            hash: "ab12".into(),
            images_hash: "cd34".into(),
            layers: Vec::new(),
            sensitivity: None,
        };
        Self {
            reference: model("net-f32", "f32"),
            candidates: vec![ComparedModel {
                model: model("net-int8", "int8"),
                delta: 0.25,
                delta_low: -0.125,
                delta_high: 0.5,
                psnr: None,
                psnr_interval: None,
                ssim: 1.0,
                ssim_interval: [1.0; 2],
                feature_distance: 0.0,
                feature_distance_interval: [0.0; 2],
                differences: [("class_accuracy", Difference { difference: 0.01, low: -0.02, high: 0.03 })].into(),
            }],
            floor: Some(0.5),
            floor_seeds: Some(SeedFloor { samples: 2000, first_seed: 2007, between: 0.75, difference: 0.125 }),
            untrained: Some(250.0),
            samples: 2000,
            kept: 2000,
            first_seed: 7,
            guidance: 1.5,
            network: "features".into(),
            network_hash: "ef56".into(),
            target_hash: "0078".into(),
            feature_dim: 64,
            resamples: 200,
            bootstrap_seed: 0,
        }
    }
}
