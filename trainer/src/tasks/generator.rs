//! Trains a generator with the drifting loss.

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint as checkpoint;
use driftlet_checkpoint::Architecture;
use driftlet_data::{Images, grid_png};
use rand::Rng;
use serde_json::{Map, json};

use super::companion;
use super::features::{Cache, extract, grouped};
use super::queues::Queues;
use crate::TrainError;
use crate::config;
use crate::drift::{Targets, drift_loss};
use crate::networks::{Classifier, EdgeConv, Encoder, between_knots, import, one_hot};
use crate::order::rng;
use crate::run::{Averaged, Review, StepLoss, Task};

/// All classes take part in every step.
pub struct Generator<B: AutodiffBackend> {
    net: checkpoint::EdgeConv,
    settings: config::Drift,
    seed: u64,
    labels: Vec<u8>,
    queues: Queues,
    encoder: Option<Encoder<B>>,
    cache: Cache,
    judge: Option<Classifier<B::InnerBackend>>,
    device: B::Device,
}

impl<B: AutodiffBackend> Generator<B> {
    /// With its data and its frozen networks.
    pub fn new(
        net: checkpoint::EdgeConv,
        settings: config::Drift,
        seed: u64,
        train: Images,
        device: &B::Device,
    ) -> Result<Self, TrainError> {
        let encoder = match &settings.encoder {
            Some(path) => {
                let checkpoint = companion(path, "encoder")?;
                let Architecture::Encoder(encoder) = &checkpoint.config.architecture else { unreachable_kind() };
                Some(import(Encoder::<B>::new(encoder, device), &checkpoint).no_grad())
            }
            None => None,
        };
        let judge = match &settings.judge {
            Some(path) => {
                let checkpoint = companion(path, "classifier")?;
                let Architecture::Classifier(judge) = &checkpoint.config.architecture else { unreachable_kind() };
                Some(import(Classifier::<B::InnerBackend>::new(judge, device), &checkpoint))
            }
            None => None,
        };
        let frozen = encoder.as_ref().map(|encoder| encoder.valid());
        let cache = Cache::new::<B::InnerBackend>(&settings.features, frozen.as_ref(), &train, device);
        let queues = Queues::new(net.classes, settings.class_queue, settings.global_queue, seed, train.len());
        Ok(Self { net, settings, seed, labels: train.labels, queues, encoder, cache, judge, device: device.clone() })
    }
}

impl<B: AutodiffBackend> Task<B> for Generator<B> {
    type Network = EdgeConv<B>;

    fn architecture(&self) -> Architecture {
        Architecture::EdgeConv(self.net.clone())
    }

    fn network(&self, device: &B::Device) -> EdgeConv<B> {
        EdgeConv::new(&self.net, device)
    }

    fn loss(&mut self, network: &EdgeConv<B>, step: u64) -> StepLoss<B> {
        let mut rng = rng(self.seed, 2, step);
        let (settings, net) = (&self.settings, &self.net);
        let (classes, generated) = (net.classes, settings.generated);
        self.queues.fill(step * settings.pushed as u64, settings.positives, &self.labels);

        let strongest = net.guidance_knots[net.guidance_knots.len() - 1];
        let strengths: Vec<f32> =
            (0..classes).map(|_| power_law(rng.random(), settings.guidance_power, strongest)).collect();
        let per_sample = |i: usize| i / generated;
        let count = classes * generated;
        let labels: Vec<usize> = (0..count).map(per_sample).collect();
        let guidance: Vec<f32> = (0..count).map(|i| strengths[per_sample(i)]).collect();
        let images = network.forward(
            gaussian(count, net.noise_dim, &mut rng, &self.device),
            one_hot(&labels, classes, &self.device),
            between_knots(&guidance, &net.guidance_knots, &self.device),
        );

        let positives: Vec<usize> = (0..classes)
            .flat_map(|class| self.queues.of_class(class, settings.positives, &mut rng).collect::<Vec<_>>())
            .collect();
        let negatives: Vec<usize> =
            (0..classes).flat_map(|_| self.queues.of_all(settings.negatives, &mut rng).collect::<Vec<_>>()).collect();
        let per_class = negatives.len() / classes;
        let weights: Vec<f32> =
            strengths.iter().map(|a| (a - 1.0) * (generated as f32 - 1.0) / (per_class as f32).max(1.0)).collect();

        let mut total: Option<Tensor<B, 1>> = None;
        let mut raw_drift = vec![0.0; settings.temperatures.len()];
        let features = extract(&settings.features, self.encoder.as_ref(), images);
        let feature_count = features.len();
        for (f, feature) in features.into_iter().enumerate() {
            let [_, locations, _] = feature.dims();
            let gather =
                |indices: &[usize], samples| self.cache.gather::<B::InnerBackend>(f, indices, samples, &self.device);
            let weight = |_| {
                let rows: Vec<f32> =
                    weights.iter().flat_map(|&w| std::iter::repeat_n(w, locations * per_class)).collect();
                Tensor::from_data(TensorData::new(rows, [classes * locations, per_class]), &self.device)
            };
            let targets = Targets {
                positives: gather(&positives, settings.positives),
                negatives: (per_class > 0).then(|| (gather(&negatives, per_class), weight(()))),
            };
            let drift = drift_loss(grouped(feature, generated), &targets, &settings.temperatures);
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

    fn review(&mut self, network: &Averaged<EdgeConv<B>, B>) -> Review {
        const PER_CLASS: usize = 50;
        let net = &self.net;
        let count = net.classes * PER_CLASS;
        let labels: Vec<usize> = (0..count).map(|i| i % net.classes).collect();
        let mut figures = Map::new();
        let images: Tensor<B::InnerBackend, 4> = network.forward(
            gaussian(count, net.noise_dim, &mut rng(self.seed, 3, 0), &self.device),
            one_hot(&labels, net.classes, &self.device),
            between_knots(&vec![net.guidance_knots[0]; count], &net.guidance_knots, &self.device),
        );
        if let Some(judge) = &self.judge {
            let predicted = judge.logits(judge.features(images.clone())).argmax(1);
            let predicted: Vec<i64> = predicted.into_data().convert::<i64>().to_vec().unwrap_or_default();
            let right = predicted.iter().zip(&labels).filter(|&(&p, &label)| p == label as i64).count();
            figures.insert("class_accuracy".into(), json!(right as f64 / count as f64));
        }
        let shape = [net.height, net.width, net.channels];
        let drawn = images.narrow(0, 0, 8 * net.classes).permute([0, 2, 3, 1]);
        let drawn: Vec<f32> = drawn.into_data().convert::<f32>().to_vec().unwrap_or_default();
        let pixels: Vec<u8> = drawn.iter().map(|y| ((y + 1.0) * 127.5 + 0.5) as u8).collect();
        Review { figures, grid: grid_png(&pixels, shape, net.classes).ok() }
    }
}

/// A strength in `[1, strongest]` with density `a^-power`, from a uniform number: the inverse of its distribution.
fn power_law(uniform: f32, power: f64, strongest: f32) -> f32 {
    let exponent = 1.0 - power;
    let end = f64::from(strongest).powf(exponent);
    (1.0 + f64::from(uniform) * (end - 1.0)).powf(1.0 / exponent) as f32
}

/// Standard normal noise `[count, len]` (Box and Muller, 1958).
fn gaussian<B: Backend>(count: usize, len: usize, rng: &mut impl Rng, device: &B::Device) -> Tensor<B, 2> {
    let mut data = Vec::with_capacity(count * len + 1);
    while data.len() < count * len {
        let (u, v): (f32, f32) = (1.0 - rng.random::<f32>(), rng.random());
        let (radius, (sine, cosine)) = ((-2.0 * u.ln()).sqrt(), (std::f32::consts::TAU * v).sin_cos());
        data.extend([radius * cosine, radius * sine]);
    }
    data.truncate(count * len);
    Tensor::from_data(TensorData::new(data, [count, len]), device)
}

fn unreachable_kind() -> ! {
    unreachable!("companion() has checked the kind")
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
