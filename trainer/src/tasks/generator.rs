//! Trains a generator with the drifting loss.

use std::sync::Arc;

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{FloatDType, Tensor, TensorData};
use driftlet_checkpoint::{Architecture, Interface};
use driftlet_data::grid_png;
use rand::Rng;
use rand::seq::index;
use serde_json::{Map, json};

use super::companion;
use super::features::{Cache, Extractor, grouped};
use super::judge::Judge;
use super::queues::Queues;
use crate::TrainError;
use crate::ahead::Ahead;
use crate::config::{self, Precision};
use crate::dataset::{Dataset, Samples, channels_first};
use crate::drift::{Targets, drift_loss};
use crate::networks::{FeatureEncoder, Generator as Network, Inputs, import, in_precision};
use crate::order::rng;
use crate::run::{Averaged, Review, StepLoss, Task};

/// Some classes, or all, take part in every step.
pub struct Generator<B: AutodiffBackend> {
    architecture: Architecture,
    interface: Interface,
    settings: config::Drift,
    field: config::Field,
    review_samples: usize,
    seed: u64,
    parts: usize,
    /// Which of the devices it is on, and how many there are.
    place: (usize, usize),
    encoders: Extractor<B>,
    /// The real samples of a step's part, drawn while the part before trains.
    real: Ahead<(u64, usize), Real>,
    /// Encoders for real samples whose features are not cached.
    fresh: Extractor<B::InnerBackend>,
    judge: Option<Judge<B::InnerBackend>>,
    device: B::Device,
}

/// The real side of a part of a step.
struct Real {
    /// One after another: each is a group.
    classes: Vec<usize>,
    positives: Side,
    /// Empty without guidance.
    negatives: Side,
}

/// Samples of one kind, group by group.
struct Side {
    per_group: usize,
    data: SideData,
}

enum SideData {
    /// Every feature, `[samples, locations, dims]`.
    Features(Vec<TensorData>),
    /// The samples themselves, `[samples, height, width, channels]`.
    Samples(Vec<f32>),
}

impl<B: AutodiffBackend> Generator<B> {
    /// The same task on every device, with its data and its frozen networks; the first one reviews.
    pub fn on_each(
        architecture: &Architecture,
        interface: &Interface,
        config: &config::Config,
        settings: &config::Drift,
        data: &Dataset,
        devices: &[B::Device],
    ) -> Result<Vec<Self>, TrainError> {
        let mut cache = None;
        let mut tasks = Vec::new();
        for (index, device) in devices.iter().enumerate() {
            let mut encoders = Vec::new();
            for path in &settings.encoders {
                let (network, checkpoint) = companion(path, "an encoder", |a| FeatureEncoder::<B>::new(a, device))?;
                let network = import(network, &checkpoint);
                encoders.push(match config.precision {
                    Precision::F32 => network.no_grad(),
                    Precision::Bf16 => in_precision(network, FloatDType::BF16).no_grad(),
                });
            }
            let judge = settings.judge.as_ref().filter(|_| index == 0);
            let judge = judge.map(|path| Judge::new(path, &data.test, device)).transpose()?;
            let features = settings.features.clone();
            let fresh =
                Extractor { features: features.clone(), encoders: encoders.iter().map(|e| e.valid()).collect() };
            if settings.cache && cache.is_none() {
                cache = Some(Arc::new(Cache::new(&fresh, &data.train, device)));
            }
            let place = (index, devices.len());
            let (real, parts) = real_samples(architecture, config, settings, &data.train, cache.clone());
            tasks.push(Self {
                architecture: architecture.clone(),
                interface: *interface,
                settings: settings.clone(),
                field: config.field.clone(),
                review_samples: config.log.review_samples,
                seed: config.seed,
                parts,
                place,
                encoders: Extractor { features, encoders },
                real,
                fresh,
                judge,
                device: device.clone(),
            });
        }
        Ok(tasks)
    }

    /// Features `[groups * locations, samples, dims]` of real samples.
    fn features(&self, side: Side) -> Vec<Tensor<B::InnerBackend, 3>> {
        let features = match side.data {
            _ if side.per_group == 0 => Vec::new(),
            SideData::Features(features) => {
                features.into_iter().map(|feature| Tensor::from_data(feature, &self.device)).collect()
            }
            SideData::Samples(samples) => {
                self.fresh.extract(channels_first(samples, self.interface.shape, &self.device))
            }
        };
        features.into_iter().map(|feature| grouped(feature, side.per_group)).collect()
    }

    /// The real samples of a part, while those of the next one on this device are being drawn.
    fn real(&mut self, step: u64, part: usize) -> Real {
        let (first, count) = self.place;
        let next = if part + count < self.parts { (step, part + count) } else { (step + 1, first) };
        let Some(real) = self.real.get((step, part), next) else {
            unreachable!("the thread lives as long as its samples are wanted")
        };
        real
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
        self.parts
    }

    fn loss(&mut self, network: &Network<B>, step: u64, part: usize) -> StepLoss<B> {
        let Real { classes, positives, negatives } = self.real(step, part);
        let mut rng = rng(self.seed, 2, step * self.parts as u64 + part as u64);
        let (settings, groups) = (&self.settings, classes.len());
        let generated = settings.generated;

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

        let per_group = negatives.per_group;
        let weights: Vec<f32> =
            strengths.iter().map(|a| (a - 1.0) * (generated as f32 - 1.0) / (per_group as f32).max(1.0)).collect();
        let field = self.field.at(step);
        let mut total: Option<Tensor<B, 1>> = None;
        let mut raw_drift = vec![0.0; field.temperatures.len()];
        let features = self.encoders.extract(images);
        let feature_count = features.len();
        let (mut positives, mut negatives) =
            (self.features(positives).into_iter(), self.features(negatives).into_iter());
        for feature in features {
            let [_, locations, _] = feature.dims();
            let Some(positives) = positives.next() else { unreachable!("the same features of both") };
            let negatives = negatives.next().map(|negatives| {
                let rows = weights.iter().flat_map(|&w| std::iter::repeat_n(w, locations * per_group)).collect();
                let weights = TensorData::new::<f32, _>(rows, [groups * locations, per_group]);
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

/// Draws the real samples of a step's part, which depend on step and part alone; and how many parts a step has.
fn real_samples(
    architecture: &Architecture,
    config: &config::Config,
    settings: &config::Drift,
    train: &Samples,
    cache: Option<Arc<Cache>>,
) -> (Ahead<(u64, usize), Real>, usize) {
    let all = architecture.classes();
    let (count, seed) = (settings.classes.unwrap_or(all).min(all), config.seed);
    let part_len = count.div_ceil(settings.accumulate);
    let mut queues = Queues::new(all, settings.class_queue, settings.global_queue, seed, train.len());
    let (positives, negatives, pushed) = (settings.positives, settings.negatives, settings.pushed as u64);
    let train = train.clone();
    let real = Ahead::new(move |(step, part): (u64, usize)| {
        let classes = match count < all {
            true => index::sample(&mut rng(seed, 4, step), all, count).into_vec(),
            false => (0..all).collect(),
        };
        let classes = classes.chunks(part_len).nth(part).unwrap_or_default().to_vec();
        queues.fill(step * pushed, positives, &train.labels);
        let mut rng = rng(seed, 7, step * count as u64 + part as u64);
        let side = |per_group, indices: Vec<usize>| {
            let data = match &cache {
                Some(cache) => SideData::Features(cache.gather(&indices)),
                None => SideData::Samples(train.gather(&indices)),
            };
            Side { per_group, data }
        };
        let of_class = |&class: &usize| queues.of_class(class, positives, &mut rng).collect::<Vec<_>>();
        let positives = side(positives, classes.iter().flat_map(of_class).collect());
        let of_all = |_: &usize| queues.of_all(negatives, &mut rng).collect::<Vec<_>>();
        let negatives: Vec<usize> = classes.iter().flat_map(of_all).collect();
        let negatives = side(negatives.len() / classes.len(), negatives);
        Real { classes, positives, negatives }
    });
    (real, count.div_ceil(part_len))
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
