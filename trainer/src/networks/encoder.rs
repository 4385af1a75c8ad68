//! The encoder that the drifting loss is computed on.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use driftlet_checkpoint as checkpoint;

use super::layers::{Conv, Linear};
use super::precision::{like, single};

/// A feature map `[n, channels, height, width]`.
pub type FeatureMap<B> = Tensor<B, 4>;

/// See [`checkpoint::Encoder`] for the equations.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    stem: Conv<B>,
    stages: Vec<Stage<B>>,
    decoder: Linear<B>,
    head: Linear<B>,
    patch: usize,
    channels: usize,
}

#[derive(Module, Debug)]
struct Stage<B: Backend> {
    down: Option<Conv<B>>,
    blocks: Vec<Block<B>>,
}

#[derive(Module, Debug)]
struct Block<B: Backend> {
    conv1: Conv<B>,
    conv2: Conv<B>,
}

impl<B: Backend> Encoder<B> {
    /// Zero weights; `net` is valid.
    pub fn new(net: &checkpoint::Encoder, device: &B::Device) -> Self {
        let first = net.widths[0];
        let mut inputs = first;
        let mut stages = Vec::new();
        for (s, (&width, &blocks)) in net.widths.iter().zip(&net.blocks).enumerate() {
            let down = (s > 0).then(|| Conv::new(width, inputs, device));
            let block = |_| Block { conv1: Conv::new(width, width, device), conv2: Conv::new(width, width, device) };
            stages.push(Stage { down, blocks: (0..blocks).map(block).collect() });
            inputs = width;
        }
        Self {
            stem: Conv::new(first, net.channels, device),
            stages,
            decoder: Linear::new(net.patch() * net.patch() * net.channels, inputs, device),
            head: Linear::new(net.classes, inputs, device),
            patch: net.patch(),
            channels: net.channels,
        }
    }

    /// Pictures `[n, channels, height, width]` in `[-1, 1]` to the output map of each stage.
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<FeatureMap<B>> {
        let mut x = relu(self.stem.forward(like(images, self.stem.dtype()), 2));
        let mut maps = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            if let Some(down) = &stage.down {
                x = relu(down.forward(x, 2));
            }
            for block in &stage.blocks {
                x = relu(x.clone() + block.conv2.forward(relu(block.conv1.forward(x, 1)), 1));
            }
            maps.push(single(x.clone()));
        }
        maps
    }

    /// Pictures to class logits `[n, classes]`.
    pub fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let means = last(self.maps(images)).mean_dim(3).mean_dim(2).flatten(1, 3);
        single(self.head.forward(like(means, self.head.dtype())))
    }

    /// Pictures, some patches hidden, to all of them `[n, channels, height, width]`: each location of the last map gives
    /// its patch.
    pub fn reconstruct(&self, hidden: Tensor<B, 4>) -> Tensor<B, 4> {
        let last = last(self.maps(hidden));
        let [n, width, h, w] = last.dims();
        let (p, c) = (self.patch, self.channels);
        let locations = last.permute([0, 2, 3, 1]).reshape([n * h * w, width]);
        let patches = single(self.decoder.forward(like(locations, self.decoder.dtype()))).reshape([n, h, w, c, p, p]);
        patches.permute([0, 3, 1, 4, 2, 5]).reshape([n, c, h * p, w * p])
    }
}

/// An encoder has at least one stage.
fn last<B: Backend>(mut maps: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    maps.remove(maps.len() - 1)
}
