//! Batches of labelled pictures, for encoders and classifiers.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, TensorData};
use rand::Rng;
use rand::rngs::StdRng;

use crate::ahead::Ahead;
use crate::config::{Augment, Config};
use crate::dataset::{Dataset, Samples, channels_first};
use crate::order::{Order, rng};

/// A data set that is walked through in random order, epoch after epoch.
pub struct Labelled<D> {
    /// Samples to judge by.
    pub test: Samples,
    /// Samples per batch.
    pub batch: usize,
    /// Where tensors live.
    pub device: D,
    shape: [usize; 3],
    augment: Augment,
    seed: u64,
    /// Numbers and classes of the batch of a step.
    batches: Ahead<u64, (Vec<f32>, Vec<i64>)>,
}

/// What a step sees.
pub struct Batch<B: AutodiffBackend> {
    /// `[n, channels, height, width]`; pixels in `[-1, 1]`.
    pub images: Tensor<B, 4>,
    /// `[n]`.
    pub labels: Tensor<B, 1, Int>,
    /// For what else the step draws.
    pub rng: StdRng,
}

impl<D> Labelled<D> {
    /// Batches of a configuration's seed.
    pub fn new(data: &Dataset, batch: usize, augment: Augment, config: &Config, device: D) -> Self {
        let (train, test) = (data.train.clone(), data.test.clone().first(config.log.review_samples));
        let seed = config.seed;
        let mut order = Order::new(seed, train.len());
        let shape = train.shape;
        let batches = Ahead::new(move |step: u64| {
            let first = (step - 1) * batch as u64;
            let indices: Vec<usize> = (first..first + batch as u64).map(|k| order.at(k)).collect();
            let numbers = match augment {
                Augment::Crop => {
                    let mut rng = rng(seed, 6, step);
                    indices.iter().flat_map(|&i| train.cropped(i, &mut rng)).collect()
                }
                Augment::None | Augment::Shift => train.gather(&indices),
            };
            (numbers, indices.iter().map(|&i| train.labels[i].into()).collect())
        });
        Self { test, batch, device, shape, augment, seed, batches }
    }

    /// The batch of a step, counted from 1: a function of the seed and the step.
    pub fn draw<B: AutodiffBackend<Device = D>>(&mut self, step: u64) -> Batch<B> {
        let Some((numbers, labels)) = self.batches.get(step, step + 1) else {
            unreachable!("the thread lives as long as its batches are wanted")
        };
        let mut rng = rng(self.seed, 1, step);
        let mut images = channels_first::<B>(numbers, self.shape, &self.device);
        if self.augment == Augment::Shift {
            images = varied(images, &mut rng);
        }
        let labels = Tensor::from_data(TensorData::new(labels, [self.batch]), &self.device);
        Batch { images, labels, rng }
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
