//! One comparison: a reference model, candidates, and what tells them apart.

use driftlet_runtime::Model;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    Coverage, Features, MetricsError, Statistics, coverage, extract, frechet_distance, paired_difference, psnr,
};

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
    /// Features of the test split, `[n, dim]`, for precision and recall; `None` leaves them out.
    pub real: Option<&'s [f32]>,
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

#[cfg(test)]
impl Comparison {
    /// One candidate with round figures, for the tests of the reports.
    pub(crate) fn example() -> Self {
        let model = |name: &str, precision: &str| ReferenceModel {
            name: name.into(),
            precision: precision.into(),
            frechet: 12.5,
            class_accuracy: 0.875,
            coverage: None,
            bytes: 1000,
            hash: "ab12".into(),
            images_hash: "cd34".into(),
        };
        Self {
            reference: model("net-f32", "f32"),
            candidates: vec![ComparedModel {
                model: model("net-int8", "int8"),
                delta: 0.25,
                delta_low: -0.125,
                delta_high: 0.5,
                psnr: None,
            }],
            floor: 0.5,
            untrained: Some(250.0),
            samples: 2000,
            first_seed: 7,
            guidance: 1.5,
            network: "features".into(),
            feature_dim: 64,
            resamples: 200,
            bootstrap_seed: 0,
        }
    }
}

/// The result, in the stable layout of the JSON files.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The model that the others are compared with.
    pub reference: ReferenceModel,
    /// The other models.
    pub candidates: Vec<ComparedModel>,
    /// Distance of the whole train split to the test split. A perfect generator comes down to it only with as many
    /// pictures as the train split has: the distance of n pictures is too large by an amount that falls about as 1 / n,
    /// so that only distances at equal `samples` can be compared.
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
    /// Share of pictures that the feature network takes for what they are meant to be.
    pub class_accuracy: f64,
    /// How it and the test split cover each other, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Size of the `.drift` file.
    pub bytes: usize,
    /// SHA-256 of the `.drift` file.
    pub hash: String,
    /// SHA-256 of its pictures, 8-bit pixels in the order of the seeds.
    pub images_hash: String,
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

const BOOTSTRAP_SEED: u64 = 0;
/// Neighbours that a ball of precision and recall reaches to.
const NEIGHBOURS: usize = 3;

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
            coverage: settings.real.map(|real| coverage(real, &features.data, features.dim, NEIGHBOURS)).transpose()?,
            bytes: model.bytes,
            hash: model.hash.into(),
            images_hash: Sha256::digest(model.pixels).iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        Ok((features, judged))
    };
    let (baseline, judged_reference) = look(reference)?;
    let mut compared = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let (features, judged) = look(candidate)?;
        let (a, b) = (&baseline.data, &features.data);
        let interval = paired_difference(settings.test, a, b, settings.resamples, BOOTSTRAP_SEED)?;
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
        bootstrap_seed: BOOTSTRAP_SEED,
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use aligned_vec::AVec;
    use driftlet_checkpoint::{Architecture, Checkpoint, Config};
    use driftlet_quantize::{Options, Precision, quantize};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// A feature network that nobody trained, on 8 x 8 pictures.
    fn network() -> Result<AVec<u8>, Box<dyn Error>> {
        let architecture: Architecture = serde_json::from_value(serde_json::json!({
            "type": "classifier", "height": 8, "width": 8, "channels": 1, "classes": 3,
            "layers": [{ "channels": 4, "stride": 2 }]
        }))?;
        let checkpoint = Checkpoint::random(Config::new(architecture), 5);
        Ok(AVec::from_slice(64, &quantize(&checkpoint, &Options::new("features", Precision::F32))?))
    }

    fn pictures(seed: u64, count: usize) -> Vec<u8> {
        let mut rng = StdRng::seed_from_u64(seed);
        (0..count * 64).map(|_| rng.random()).collect()
    }

    #[test]
    fn the_json_has_every_promised_field() -> Result<(), Box<dyn Error>> {
        const COUNT: usize = 300;
        let file = network()?;
        let network = Model::parse(&file)?;
        let statistics = |seed| -> Result<Statistics, MetricsError> {
            let features = extract(&network, &pictures(seed, 1000), &|| {})?;
            Statistics::of(&features.data, features.dim)
        };
        let (test, train) = (statistics(1)?, statistics(2)?);
        let settings = Settings {
            network: &network,
            network_name: "features",
            test: &test,
            real: None,
            train: &train,
            classes: vec![0; COUNT],
            guidance: 1.0,
            first_seed: 7,
            resamples: 40,
        };
        let pixels = pictures(3, COUNT);
        let darker: Vec<u8> = pixels.iter().map(|p| p / 2).collect();
        let model = |name, pixels| Generated { name, precision: "f32", bytes: 9, hash: "ab", pixels };
        let candidates = [model("same", &pixels[..]), model("darker", &darker)];
        let steps = std::sync::atomic::AtomicUsize::new(0);
        let comparison = compare(&model("reference", &pixels), &candidates, &settings, &|| {
            steps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        })?;
        assert_eq!(steps.into_inner(), 3 * COUNT);

        let json = serde_json::to_value(&comparison)?;
        for field in ["reference", "candidates", "floor", "samples", "first_seed", "guidance", "network", "resamples"] {
            assert!(!json[field].is_null(), "{field}");
        }
        for field in ["name", "precision", "frechet", "bytes", "hash", "class_accuracy", "images_hash"] {
            assert!(!json["reference"][field].is_null(), "reference.{field}");
            assert!(!json["candidates"][1][field].is_null(), "candidates.{field}");
        }
        for field in ["delta", "delta_low", "delta_high", "psnr"] {
            assert!(json["candidates"][1][field].is_f64(), "candidates.{field}");
        }

        let [same, darker] = &comparison.candidates[..] else { return Err("two candidates".into()) };
        assert_eq!((same.delta, same.delta_low, same.delta_high, same.psnr), (0.0, 0.0, 0.0, None));
        assert_eq!(same.model.images_hash, comparison.reference.images_hash);
        assert_ne!(darker.model.images_hash, comparison.reference.images_hash);
        assert!(darker.delta_low > 0.0 && darker.delta_low < darker.delta && darker.delta < darker.delta_high);
        Ok(())
    }

    #[test]
    fn pictures_that_do_not_fit_are_refused() -> Result<(), Box<dyn Error>> {
        let file = network()?;
        let network = Model::parse(&file)?;
        let torn = extract(&network, &[0; 65], &|| {}).err().ok_or("accepted")?.to_string();
        assert!(torn.contains("65 bytes"), "{torn}");
        assert!(extract(&network, &[], &|| {}).is_err());
        Ok(())
    }
}
