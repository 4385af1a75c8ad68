//! Trains the classifier whose features metrics are computed on.

use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use driftlet_checkpoint as checkpoint;
use driftlet_checkpoint::Architecture;
use driftlet_data::Images;
use rand::Rng;
use serde_json::{Map, json};

use super::{accuracy, cross_entropy, labels, pictures};
use crate::config::{self, Config};
use crate::networks;
use crate::order::{Order, rng};
use crate::run::{Averaged, Review, StepLoss, Task};

/// Cross-entropy on pictures that are shifted by up to two pixels and flipped half the time.
pub struct Classifier<D> {
    net: checkpoint::Classifier,
    batch: usize,
    seed: u64,
    order: Order,
    train: Images,
    test: Images,
    device: D,
}

impl<D: Clone> Classifier<D> {
    /// With its data.
    pub fn new(
        net: checkpoint::Classifier,
        settings: config::Classifier,
        config: &Config,
        train: Images,
        test: Images,
        device: &D,
    ) -> Self {
        let order = Order::new(config.seed, train.len());
        Self { net, batch: settings.batch, seed: config.seed, order, train, test, device: device.clone() }
    }
}

impl<B: AutodiffBackend> Task<B> for Classifier<B::Device> {
    type Network = networks::Classifier<B>;

    fn architecture(&self) -> Architecture {
        Architecture::Classifier(self.net.clone())
    }

    fn network(&self, device: &B::Device) -> Self::Network {
        networks::Classifier::new(&self.net, device)
    }

    fn loss(&mut self, network: &Self::Network, step: u64) -> StepLoss<B> {
        let first = (step - 1) * self.batch as u64;
        let indices: Vec<usize> = (first..first + self.batch as u64).map(|k| self.order.at(k)).collect();
        let mut rng = rng(self.seed, 1, step);
        let images = varied(pictures::<B>(&self.train, &indices, &self.device), &mut rng);
        let logits = network.logits(network.features(images));
        let loss = cross_entropy(logits, labels(&self.train, &indices, &self.device));
        StepLoss { loss, figures: Map::new(), samples: self.batch }
    }

    fn review(&mut self, network: &Averaged<Self::Network, B>) -> Review {
        let accuracy =
            accuracy::<B::InnerBackend>(&self.test, &self.device, |images| network.logits(network.features(images)));
        Review { figures: Map::from_iter([("test_accuracy".into(), json!(accuracy))]), grid: None }
    }
}

/// Shifts all pictures of a batch alike by up to two pixels (what comes in is black), and flips the batch half the time.
pub fn varied<B: AutodiffBackend>(images: Tensor<B, 4>, rng: &mut impl Rng) -> Tensor<B, 4> {
    let [n, c, height, width] = images.dims();
    let (dy, dx) = (rng.random_range(0..5), rng.random_range(0..5));
    let padded = images.pad((2, 2, 2, 2), -1.0);
    let shifted = padded.slice([0..n, 0..c, dy..dy + height, dx..dx + width]);
    if rng.random() { shifted.flip([3]) } else { shifted }
}
