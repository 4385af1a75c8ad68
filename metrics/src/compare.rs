//! From what was collected to figures.

use sha2::{Digest, Sha256};

use crate::collected::Part;
use crate::comparison::{ComparedModel, Comparison, ReferenceModel, SeedFloor};
use crate::differences::{Singles, differences};
use crate::inception_score::score;
use crate::infinity::slope;
use crate::kid::{SUBSET, SUBSETS, kid};
use crate::psnr::decibels;
use crate::summary::Summary;
use crate::vectors::Vectors;
use crate::{
    About, Collected, Identity, Interval, MetricsError, Real, Resamples, Statistics, Target, frechet_distance,
    paired_difference,
};

/// What all models are held against.
pub struct Settings<'s> {
    /// What distances are measured to: statistics of the data's test split.
    pub test: &'s Statistics,
    /// Statistics of the data's train split, for the floor.
    pub train: Option<&'s Statistics>,
    /// The data's own pictures, for the figures that need them; `None` leaves these out.
    pub real: Option<&'s Real>,
    /// Whether the classes of the feature network are those of the data.
    pub classifier: bool,
    /// Bootstrap resamples.
    pub resamples: u32,
}

const BOOTSTRAP_SEED: u64 = 0;
/// Largest dimension for which the distance of every resample is computed as a whole; beyond, its first-order part.
const EXACT: usize = 256;

/// Compares the candidates of a complete collection with its reference.
///
/// # Errors
/// [`MetricsError`] if pictures are missing, or the statistics are those of another feature network.
pub fn compare(collected: &Collected, settings: &Settings) -> Result<Comparison, MetricsError> {
    collected.complete()?;
    let about = &collected.about;
    let target = Target::new(settings.test)?;
    let models = about.models.iter().zip(&collected.parts);
    let judged = models.map(|(identity, part)| Judged::new(identity, part, &target, settings, about));
    let judged = judged.collect::<Result<Vec<_>, _>>()?;
    let Some((reference, candidates)) = judged.split_first() else {
        return Err(MetricsError::Shape("nothing to compare".into()));
    };
    let resamples = Resamples {
        from: reference.part.pairs.len(),
        draws: about.samples,
        count: settings.resamples,
        seed: BOOTSTRAP_SEED,
    };
    let compared = candidates.iter().map(|candidate| reference.against(candidate, &target, &resamples, about));
    Ok(Comparison {
        reference: reference.model.clone(),
        candidates: compared.collect::<Result<Vec<_>, _>>()?,
        floor: settings.train.map(|train| frechet_distance(train, settings.test)).transpose()?,
        floor_seeds: reference.seed_floor(collected, &target)?,
        untrained: None,
        samples: about.samples,
        kept: resamples.from,
        first_seed: about.first_seed,
        guidance: about.guidance,
        network: about.network.clone(),
        network_hash: about.network_hash.clone(),
        target_hash: hex(&Sha256::digest(settings.test.to_bytes()?)),
        feature_dim: about.dim,
        resamples: settings.resamples,
        bootstrap_seed: BOOTSTRAP_SEED,
    })
}

/// A model with what its figures are made of.
struct Judged<'c> {
    model: ReferenceModel,
    sum: Summary,
    part: &'c Part,
    singles: Singles,
}

impl<'c> Judged<'c> {
    fn new(
        identity: &Identity,
        part: &'c Part,
        target: &Target,
        settings: &Settings,
        about: &About,
    ) -> Result<Self, MetricsError> {
        let sum = part.tree.total().ok_or_else(|| MetricsError::Shape("no pictures".into()))?;
        let count = sum.moments.count as f64;
        let vectors = settings.real.map(|_| Vectors::new(&part.features, about.dim)).transpose()?;
        let beside = settings.real.zip(vectors.as_ref());
        let kernel = |(real, vectors): (&Real, &Vectors)| {
            let subset = SUBSET.min(real.test.len()).min(vectors.len());
            kid(&real.test, vectors, SUBSETS, subset, BOOTSTRAP_SEED)
        };
        let (singles, coverage, memorization) = Singles::new(part, about, settings.classifier, beside)?;
        let frechet = target.distance(&sum.moments.statistics()?)?;
        let model = ReferenceModel {
            name: identity.name.clone(),
            precision: identity.precision.clone(),
            frechet,
            frechet_infinity: slope(target, &part.features)?.map(|slope| frechet - slope / count),
            class_accuracy: settings.classifier.then(|| sum.named as f64 / count),
            inception_score: score(&sum.probabilities, sum.certainty, count),
            kid: beside.map(kernel).transpose()?,
            coverage,
            memorization,
            bytes: identity.bytes,
            macs: identity.macs,
            hash: identity.hash.clone(),
            images_hash: hex(&sum.digest),
            layers: identity.layers.clone(),
            sensitivity: identity.sensitivity.clone(),
        };
        Ok(Self { model, sum, part, singles })
    }

    /// The figures of a candidate beside this one's.
    fn against(
        &self,
        candidate: &Self,
        target: &Target,
        resamples: &Resamples,
        about: &About,
    ) -> Result<ComparedModel, MetricsError> {
        let (pairs, samples) = (candidate.sum.pairs, about.samples as f64);
        let delta = candidate.model.frechet - self.model.frechet;
        let interval = self.frechet_interval(candidate, target, resamples, delta)?;
        // The mean of all pictures, with the spread of those that were kept.
        let kept = &candidate.part.pairs;
        let mean = |all: f64, of: fn(&crate::summary::Pairs) -> f64| -> Result<Interval, MetricsError> {
            let numbers: Vec<f64> = kept.iter().map(of).collect();
            let shift = all - numbers.iter().sum::<f64>() / numbers.len() as f64;
            Ok(resamples.mean(&numbers)?.shifted(shift))
        };
        let pixels = about.shape.iter().product::<usize>() as f64;
        let squares = pairs.squares as f64 / samples;
        let squares_interval = mean(squares, |pair| pair.squares as f64)?;
        let (similarity, distance) = (pairs.similarity / samples, pairs.distance / samples);
        let similarity_interval = mean(similarity, |pair| pair.similarity)?;
        let distance_interval = mean(distance, |pair| pair.distance)?;
        let db = |squares: f64| decibels(squares.max(f64::MIN_POSITIVE) / pixels);
        Ok(ComparedModel {
            delta,
            delta_low: interval.low,
            delta_high: interval.high,
            psnr: (pairs.squares > 0).then(|| db(squares)),
            // The largest error is the lowest ratio.
            psnr_interval: (squares_interval.low > 0.0).then(|| [db(squares_interval.high), db(squares_interval.low)]),
            ssim: similarity,
            ssim_interval: [similarity_interval.low, similarity_interval.high],
            feature_distance: distance,
            feature_distance_interval: [distance_interval.low, distance_interval.high],
            differences: differences((&self.model, &self.singles), (&candidate.model, &candidate.singles), resamples)?,
            model: candidate.model.clone(),
        })
    }

    /// The interval of the candidate's distance less this one's. Where not all pictures were kept, resamples of the full
    /// number are drawn from those that were, around the difference of all.
    fn frechet_interval(
        &self,
        candidate: &Self,
        target: &Target,
        resamples: &Resamples,
        delta: f64,
    ) -> Result<Interval, MetricsError> {
        let dim = target.statistics().dim();
        let (a, b) = (&self.part.features, &candidate.part.features);
        if dim > EXACT {
            let influences = |features| target.influences(&Statistics::of(features, dim)?, features);
            let influences = influences(b)?.into_iter().zip(influences(a)?).map(|(b, a)| b - a).collect::<Vec<_>>();
            return Ok(resamples.mean(&influences)?.shifted(delta));
        }
        let interval = paired_difference(target, a, b, resamples)?;
        if resamples.from == resamples.draws {
            return Ok(interval);
        }
        let distance = |features| target.distance(&Statistics::of(features, dim)?);
        let kept = distance(b)? - distance(a)?;
        Ok(interval.shifted(delta - kept))
    }

    /// A second run of this one, the reference, beside the first.
    fn seed_floor(&self, collected: &Collected, target: &Target) -> Result<Option<SeedFloor>, MetricsError> {
        let (about, second) = (&collected.about, collected.parts.get(collected.about.models.len()));
        let sum = second.and_then(|part| part.tree.total());
        let Some((first_seed, sum)) = about.second_run.zip(sum) else { return Ok(None) };
        let second = sum.moments.statistics()?;
        Ok(Some(SeedFloor {
            samples: about.samples,
            first_seed,
            between: frechet_distance(&self.sum.moments.statistics()?, &second)?,
            difference: (target.distance(&second)? - self.model.frechet).abs(),
        }))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use aligned_vec::AVec;
    use driftlet_checkpoint::{Architecture, Checkpoint, Config};
    use driftlet_quantize::{Options, Precision, quantize};
    use driftlet_runtime::Model;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::tree::LEAF;
    use crate::{About, Shard, extract, samples_of};

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
        let pixels = pictures(3, COUNT);
        let darker: Vec<u8> = pixels.iter().map(|p| p / 2).collect();
        let second = pictures(4, COUNT);
        let identity =
            |name: &str| Identity { name: name.into(), precision: "f32".into(), bytes: 9, ..Identity::default() };
        let mut collected = Collected::new(About {
            samples: COUNT,
            first_seed: 7,
            guidance: 1.0,
            classes: 1,
            shape: [8, 8, 1],
            network: "features".into(),
            network_hash: "ab".into(),
            dim: 4,
            outputs: 3,
            models: vec![identity("reference"), identity("same"), identity("darker")],
            second_run: Some(1000),
        });
        for leaf in Shard::WHOLE.leaves(COUNT) {
            let range = samples_of(leaf..leaf + 1, COUNT);
            let part = |pixels: &[u8]| pixels[range.start * 64..range.end * 64].to_vec();
            let parts = [part(&pixels), part(&pixels), part(&darker), part(&second)];
            let seen = parts.iter().map(|part| extract(&network, part, &|| {})).collect::<Result<Vec<_>, _>>()?;
            collected.add(leaf, &parts, &seen, &vec![0; range.len()])?;
        }
        const { assert!(COUNT > LEAF) };
        let settings = Settings { test: &test, train: Some(&train), real: None, classifier: true, resamples: 40 };
        let comparison = compare(&collected, &settings)?;

        let json = serde_json::to_value(&comparison)?;
        for field in ["reference", "candidates", "floor", "samples", "first_seed", "guidance", "network"] {
            assert!(!json[field].is_null(), "{field}");
        }
        for field in ["name", "precision", "frechet", "bytes", "hash", "class_accuracy", "images_hash"] {
            assert!(!json["reference"][field].is_null(), "reference.{field}");
            assert!(!json["candidates"][1][field].is_null(), "candidates.{field}");
        }
        for field in ["delta", "delta_low", "delta_high", "psnr", "ssim", "feature_distance"] {
            assert!(json["candidates"][1][field].is_f64(), "candidates.{field}");
        }

        // A second run is held against the first as a whole.
        let features = [&pixels, &second].map(|pixels| extract(&network, pixels, &|| {}));
        let [first, second] = features.map(|f| f.and_then(|f| Statistics::of(&f.data, f.dim)));
        let floor = comparison.floor_seeds.ok_or("no floor of seeds")?;
        let between = frechet_distance(&first?, &second?)?;
        assert_eq!((floor.samples, floor.first_seed), (COUNT, 1000));
        assert!((floor.between - between).abs() < 1e-9 * between && floor.difference > 0.0, "{floor:?}, {between}");

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
