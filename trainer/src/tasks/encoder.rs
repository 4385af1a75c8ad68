//! Trains the encoder of the drifting loss: a masked autoencoder, then a classifier head on top.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint::Architecture;
use rand::Rng;
use serde_json::{Map, json};

use super::labelled::Labelled;
use super::{accuracy, cross_entropy};
use crate::TrainError;
use crate::config;
use crate::networks::FeatureEncoder;
use crate::run::{Averaged, Review, StepLoss, Task};

/// L2 on masked patches; near the end `w * cross-entropy + (1 - w) * L2`.
pub struct Encoder<D> {
    /// The architecture.
    pub architecture: Architecture,
    /// Side of the square patches that are hidden.
    pub patch: usize,
    /// How it is masked and fine-tuned.
    pub settings: config::Encoder,
    /// Steps of the whole run.
    pub steps: u64,
    /// The pictures.
    pub data: Labelled<D>,
}

impl<D> Encoder<D> {
    /// Weight of the cross-entropy at a step: it grows over the first third of the fine-tuning.
    fn cross_entropy_weight(&self, step: u64) -> f64 {
        let tuned = (step + self.settings.fine_tune_steps).saturating_sub(self.steps);
        let ramp = (self.settings.fine_tune_steps as f64 / 3.0).max(1.0);
        self.settings.cross_entropy * (tuned as f64 / ramp).min(1.0)
    }
}

impl<B: AutodiffBackend> Task<B> for Encoder<B::Device> {
    type Network = FeatureEncoder<B>;

    fn architecture(&self) -> Architecture {
        self.architecture.clone()
    }

    fn network(&self, device: &B::Device) -> Self::Network {
        let Some(network) = FeatureEncoder::new(&self.architecture, device) else { unreachable!("it is an encoder") };
        network
    }

    fn loss(&mut self, network: &Self::Network, step: u64, _part: usize) -> StepLoss<B> {
        let batch = self.data.draw::<B>(step);
        let (images, mut rng) = (batch.images, batch.rng);
        let [_, _, height, width] = images.dims();
        let shape = [self.data.batch, height, width];
        let masked = mask::<B>(shape, self.patch, self.settings.mask, &mut rng, &self.data.device);
        let seen = images.clone() * (masked.clone().neg() + 1.0);
        let Some(reconstructed) = network.reconstruct(seen) else { unreachable!("it has a decoder") };
        let error = reconstructed - images.clone();
        let share = masked.clone().mean().clamp_min(1e-6);
        let reconstruction = (error.powi_scalar(2) * masked).mean() / share;
        let mut figures = Map::new();
        let weight = self.cross_entropy_weight(step);
        let mut loss = reconstruction;
        if weight > 0.0 {
            let logits = network.logits(images);
            let entropy = cross_entropy(logits, batch.labels);
            loss = loss.mul_scalar(1.0 - weight) + entropy.mul_scalar(weight);
            figures.insert("cross_entropy_weight".into(), json!(weight));
        }
        StepLoss { loss, figures, samples: self.data.batch }
    }

    fn review(&mut self, network: &Averaged<Self::Network, B>) -> Result<Review, TrainError> {
        let logits = |images| network.logits(images);
        let accuracy = accuracy::<B::InnerBackend>(&self.data.test, &self.data.device, logits);
        Ok(Review { figures: Map::from_iter([("test_accuracy".into(), json!(accuracy))]), grid: None })
    }
}

/// 1 where a patch is hidden, else 0: `[n, 1, height, width]`. Patches at the right and lower edge may be cut.
fn mask<B: AutodiffBackend>(
    [count, height, width]: [usize; 3],
    patch: usize,
    share: f64,
    rng: &mut impl Rng,
    device: &B::Device,
) -> Tensor<B, 4> {
    let (rows, columns) = (height.div_ceil(patch), width.div_ceil(patch));
    let data: Vec<f32> = (0..count * rows * columns).map(|_| f32::from(rng.random_bool(share))).collect();
    let patches = Tensor::<B, 6>::from_data(TensorData::new(data, [count, 1, rows, 1, columns, 1]), device);
    let whole = patches.repeat(&[1, 1, 1, patch, 1, patch]).reshape([count, 1, rows * patch, columns * patch]);
    whole.slice([0..count, 0..1, 0..height, 0..width])
}
