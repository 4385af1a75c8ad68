//! Batches of labelled pictures, for encoders and classifiers.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor};
use driftlet_data::Images;
use rand::Rng;
use rand::rngs::StdRng;

use super::{labels, pictures};
use crate::order::{Order, rng};

/// A data set that is walked through in random order, epoch after epoch.
pub struct Labelled<D> {
    train: Images,
    /// Pictures to judge by.
    pub test: Images,
    /// Pictures per batch.
    pub batch: usize,
    /// Where tensors live.
    pub device: D,
    seed: u64,
    order: Order,
}

/// What a step sees.
pub struct Batch<B: AutodiffBackend> {
    /// `[n, channels, height, width]` in `[-1, 1]`.
    pub images: Tensor<B, 4>,
    /// `[n]`.
    pub labels: Tensor<B, 1, Int>,
    /// For what else the step draws.
    pub rng: StdRng,
}

impl<D> Labelled<D> {
    /// Batches of a seed.
    pub fn new(train: Images, test: Images, batch: usize, seed: u64, device: D) -> Self {
        let order = Order::new(seed, train.len());
        Self { train, test, batch, device, seed, order }
    }

    /// The batch of a step, counted from 1: a function of the seed and the step. All its pictures are shifted alike by up
    /// to two pixels, and flipped half the time.
    pub fn draw<B: AutodiffBackend<Device = D>>(&mut self, step: u64) -> Batch<B> {
        let first = (step - 1) * self.batch as u64;
        let indices: Vec<usize> = (first..first + self.batch as u64).map(|k| self.order.at(k)).collect();
        let mut rng = rng(self.seed, 1, step);
        let images = varied(pictures::<B>(&self.train, &indices, &self.device), &mut rng);
        Batch { images, labels: labels(&self.train, &indices, &self.device), rng }
    }
}

/// Shifts by up to two pixels (what comes in is black), and flips half the time.
fn varied<B: AutodiffBackend>(images: Tensor<B, 4>, rng: &mut impl Rng) -> Tensor<B, 4> {
    let [n, c, height, width] = images.dims();
    let (dy, dx) = (rng.random_range(0..5), rng.random_range(0..5));
    let padded = images.pad((2, 2, 2, 2), -1.0);
    let shifted = padded.slice([0..n, 0..c, dy..dy + height, dx..dx + width]);
    if rng.random() { shifted.flip([3]) } else { shifted }
}
