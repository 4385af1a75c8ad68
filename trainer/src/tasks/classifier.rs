//! Trains the classifier whose features metrics are computed on.

use burn::tensor::backend::AutodiffBackend;
use driftlet_checkpoint as checkpoint;
use driftlet_checkpoint::Architecture;
use serde_json::{Map, json};

use super::labelled::Labelled;
use super::{accuracy, cross_entropy};
use crate::TrainError;
use crate::networks;
use crate::run::{Averaged, Review, StepLoss, Task};

/// Cross-entropy on labelled pictures.
pub struct Classifier<D> {
    /// The architecture.
    pub net: checkpoint::Classifier,
    /// The pictures.
    pub data: Labelled<D>,
}

impl<B: AutodiffBackend> Task<B> for Classifier<B::Device> {
    type Network = networks::Classifier<B>;

    fn architecture(&self) -> Architecture {
        Architecture::Classifier(self.net.clone())
    }

    fn network(&self, device: &B::Device) -> Self::Network {
        networks::Classifier::new(&self.net, device)
    }

    fn loss(&mut self, network: &Self::Network, step: u64, _part: usize) -> StepLoss<B> {
        let batch = self.data.draw::<B>(step);
        let logits = network.logits(network.features(batch.images));
        StepLoss { loss: cross_entropy(logits, batch.labels), figures: Map::new(), samples: self.data.batch }
    }

    fn review(&mut self, network: &Averaged<Self::Network, B>) -> Result<Review, TrainError> {
        let logits = |images| network.logits(network.features(images));
        let accuracy = accuracy::<B::InnerBackend>(&self.data.test, &self.data.device, logits);
        Ok(Review { figures: Map::from_iter([("test_accuracy".into(), json!(accuracy))]), grid: None })
    }
}
