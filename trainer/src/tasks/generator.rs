//! Trains a generator with the drifting loss.

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint::{Architecture, Interface};
use driftlet_data::{Images, grid_png};
use rand::Rng;
use rand::seq::index;
use serde_json::{Map, json};

use super::features::{Cache, Extractor, grouped};
use super::judge::Judge;
use super::queues::Queues;
use super::{companion, pictures};
use crate::TrainError;
use crate::config;
use crate::drift::{Targets, drift_loss};
use crate::networks::{FeatureEncoder, Generator as Network, Inputs, import};
use crate::order::rng;
use crate::run::{Averaged, Review, StepLoss, Task};

/// Some classes, or all, take part in every step.
pub struct Generator<B: AutodiffBackend> {
    architecture: Architecture,
    interface: Interface,
    settings: config::Drift,
    review_samples: usize,
    seed: u64,
    train: Images,
    queues: Queues,
    /// For generated pictures, through which gradients flow, and for real ones.
    generated: Extractor<B>,
    real: Extractor<B::InnerBackend>,
    cache: Option<Cache>,
    judge: Option<Judge<B::InnerBackend>>,
    device: B::Device,
}

impl<B: AutodiffBackend> Generator<B> {
    /// With its data and its frozen networks.
    pub fn new(
        architecture: Architecture,
        interface: Interface,
        config: &config::Config,
        settings: config::Drift,
        train: Images,
        test: &Images,
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let mut encoders = Vec::new();
        for path in &settings.encoders {
            let checkpoint = companion(path, "an encoder", |a| FeatureEncoder::<B>::new(a, device))?;
            encoders.push(import(checkpoint.0, &checkpoint.1).no_grad());
        }
        let judge = settings.judge.as_ref().map(|path| Judge::new(path, test, device)).transpose()?;
        let features = settings.features.clone();
        let real = Extractor { features: features.clone(), encoders: encoders.iter().map(|e| e.valid()).collect() };
        let generated = Extractor { features, encoders };
        let cache = settings.cache.then(|| Cache::new(&real, train.len(), |part| pictures(&train, part, device)));
        let queues =
            Queues::new(architecture.classes(), settings.class_queue, settings.global_queue, config.seed, train.len());
        Ok(Self {
            architecture,
            interface,
            settings,
            review_samples: config.log.review_samples,
            seed: config.seed,
            train,
            queues,
            generated,
            real,
            cache,
            judge,
            device: device.clone(),
        })
    }

    /// Features `[groups * locations, samples, dims]` of real pictures that are given group by group.
    fn features_of_real(&self, indices: &[usize], samples: usize) -> Vec<Tensor<B::InnerBackend, 3>> {
        let features = match &self.cache {
            Some(cache) => cache.gather(indices, &self.device),
            None => self.real.extract(pictures(&self.train, indices, &self.device)),
        };
        features.into_iter().map(|feature| grouped(feature, samples)).collect()
    }

    /// The classes of a step, part by part: all in order, or some at random.
    fn classes(&self, step: u64, part: usize) -> Vec<usize> {
        let all = self.architecture.classes();
        let chosen = match self.settings.classes {
            Some(count) if count < all => index::sample(&mut rng(self.seed, 4, step), all, count).into_vec(),
            _ => (0..all).collect(),
        };
        let size = chosen.len().div_ceil(self.parts());
        chosen.chunks(size).nth(part).unwrap_or_default().to_vec()
    }

    fn parts(&self) -> usize {
        let classes = self.settings.classes.unwrap_or(usize::MAX).min(self.architecture.classes());
        let size = classes.div_ceil(self.settings.accumulate);
        classes.div_ceil(size)
    }
}

impl<B: AutodiffBackend> Task<B> for Generator<B> {
    type Network = Network<B>;

    fn architecture(&self) -> Architecture {
        self.architecture.clone()
    }

    fn network(&self, device: &B::Device) -> Network<B> {
        let Some(network) = Network::new(&self.architecture, device) else { unreachable!("it has an interface") };
        network
    }

    fn parts(&self) -> usize {
        Generator::parts(self)
    }

    fn loss(&mut self, network: &Network<B>, step: u64, part: usize) -> StepLoss<B> {
        let parts = self.parts();
        let mut rng = rng(self.seed, 2, step * parts as u64 + part as u64);
        let classes = self.classes(step, part);
        let settings = &self.settings;
        let (generated, groups) = (settings.generated, classes.len());
        self.queues.fill(step * settings.pushed as u64, settings.positives, &self.train.labels);

        let (_, strongest) = self.interface.guidance;
        let strengths: Vec<f32> =
            (0..groups).map(|_| power_law(rng.random(), settings.guidance_power, strongest)).collect();
        let each = |i: usize| i / generated;
        let count = groups * generated;
        let inputs = draw(
            &self.interface,
            (0..count).map(|i| classes[each(i)]).collect(),
            (0..count).map(|i| strengths[each(i)]).collect(),
            &mut rng,
        );
        let images = network.forward(&self.architecture, &inputs, &self.device);

        let positives: Vec<usize> = classes
            .iter()
            .flat_map(|&class| self.queues.of_class(class, settings.positives, &mut rng).collect::<Vec<_>>())
            .collect();
        let negatives: Vec<usize> =
            (0..groups).flat_map(|_| self.queues.of_all(settings.negatives, &mut rng).collect::<Vec<_>>()).collect();
        let per_class = negatives.len() / groups;
        let weights: Vec<f32> =
            strengths.iter().map(|a| (a - 1.0) * (generated as f32 - 1.0) / (per_class as f32).max(1.0)).collect();

        let field = settings.field(step);
        let mut total: Option<Tensor<B, 1>> = None;
        let mut raw_drift = vec![0.0; field.temperatures.len()];
        let features = self.generated.extract(images);
        let feature_count = features.len();
        let mut positives = self.features_of_real(&positives, settings.positives).into_iter();
        let mut negatives = match per_class {
            0 => Vec::new(),
            _ => self.features_of_real(&negatives, per_class),
        }
        .into_iter();
        for feature in features {
            let [_, locations, _] = feature.dims();
            let Some(positives) = positives.next() else { unreachable!("the same features of both") };
            let negatives = negatives.next().map(|negatives| {
                let rows = weights.iter().flat_map(|&w| std::iter::repeat_n(w, locations * per_class)).collect();
                let weights = TensorData::new::<f32, _>(rows, [groups * locations, per_class]);
                (negatives, Tensor::from_data(weights, &self.device))
            });
            let drift = drift_loss(grouped(feature, generated), &Targets { positives, negatives }, &field);
            for (sum, raw) in raw_drift.iter_mut().zip(&drift.raw_drift) {
                *sum += raw / feature_count as f64;
            }
            let loss = drift.loss.mean();
            total = Some(match total {
                Some(total) => total + loss,
                None => loss,
            });
        }
        // The configuration names at least one feature.
        let loss = total.unwrap_or_else(|| Tensor::zeros([1], &self.device));
        StepLoss { loss, figures: Map::from_iter([("raw_drift".into(), json!(raw_drift))]), samples: count }
    }

    fn review(&mut self, network: &Averaged<Network<B>, B>) -> Result<Review, TrainError> {
        /// Pictures that are made at once.
        const BATCH: usize = 500;
        let all = self.architecture.classes();
        let weakest = self.interface.guidance.0;
        let mut rng = rng(self.seed, 3, 0);
        let mut figures = Map::new();
        let mut made = Vec::new();
        let labels: Vec<usize> = (0..self.review_samples).map(|i| i % all).collect();
        for labels in labels.chunks(BATCH) {
            let inputs = draw(&self.interface, labels.to_vec(), vec![weakest; labels.len()], &mut rng);
            made.push(network.forward(&self.architecture, &inputs, &self.device));
        }
        let images: Tensor<B::InnerBackend, 4> = Tensor::cat(made, 0);
        if let Some(judge) = &self.judge {
            let verdict = judge.judge(images.clone(), &labels)?;
            figures.insert("class_accuracy".into(), json!(verdict.accuracy));
            figures.insert("frechet".into(), json!(verdict.frechet));
        }
        let columns = all.min(20);
        let drawn = images.narrow(0, 0, (8 * columns).min(self.review_samples)).permute([0, 2, 3, 1]);
        let drawn: Vec<f32> = drawn.into_data().convert::<f32>().to_vec().unwrap_or_default();
        let pixels: Vec<u8> = drawn.iter().map(|y| ((y.clamp(-1.0, 1.0) + 1.0) * 127.5 + 0.5) as u8).collect();
        Ok(Review { figures, grid: grid_png(&pixels, self.interface.shape, columns).ok() })
    }
}

/// Random inputs for pictures of given classes and strengths.
fn draw(interface: &Interface, classes: Vec<usize>, guidance: Vec<f32>, rng: &mut impl Rng) -> Inputs {
    let count = classes.len();
    let noise = gaussian(count * interface.noise_len, rng);
    let (styles, values) = interface.styles;
    let styles = (0..count * styles).map(|_| rng.random_range(0..values)).collect();
    Inputs { noise, styles, classes, guidance }
}

/// A strength in `[1, strongest]` with density `a^-power`, from a uniform number: the inverse of its distribution.
fn power_law(uniform: f32, power: f64, strongest: f32) -> f32 {
    let exponent = 1.0 - power;
    let end = f64::from(strongest).powf(exponent);
    (1.0 + f64::from(uniform) * (end - 1.0)).powf(1.0 / exponent) as f32
}

/// Standard normal numbers (Box and Muller, 1958).
pub fn gaussian(len: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut data = Vec::with_capacity(len + 1);
    while data.len() < len {
        let (u, v): (f32, f32) = (1.0 - rng.random::<f32>(), rng.random());
        let (radius, (sine, cosine)) = ((-2.0 * u.ln()).sqrt(), (std::f32::consts::TAU * v).sin_cos());
        data.extend([radius * cosine, radius * sine]);
    }
    data.truncate(len);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_follow_the_power_law() {
        assert!((power_law(0.0, 3.0, 4.0) - 1.0).abs() < 1e-6);
        assert!((power_law(1.0, 3.0, 4.0) - 4.0).abs() < 1e-4);
        // P(a < 2) = (1 - 2^-2) / (1 - 4^-2) = 0.8.
        assert!((power_law(0.8, 3.0, 4.0) - 2.0).abs() < 1e-5);
    }
}
