//! The classifier whose features metrics are computed on.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use driftlet_checkpoint as checkpoint;

use super::layers::{Conv, Linear};
use super::precision::{like, single};

/// See [`checkpoint::Classifier`].
#[derive(Module, Debug)]
pub struct Classifier<B: Backend> {
    layers: Vec<Conv<B>>,
    head: Linear<B>,
    strides: Vec<usize>,
}

impl<B: Backend> Classifier<B> {
    /// Zero weights.
    pub fn new(net: &checkpoint::Classifier, device: &B::Device) -> Self {
        let mut inputs = net.channels;
        let layer = |layer: &checkpoint::ConvLayer| {
            let conv = Conv::new(layer.channels, inputs, device);
            inputs = layer.channels;
            conv
        };
        let layers = net.layers.iter().map(layer).collect();
        let strides = net.layers.iter().map(|l| l.stride).collect();
        Self { layers, head: Linear::new(net.classes, inputs, device), strides }
    }

    /// Pictures `[n, channels, height, width]` in `[-1, 1]` to features `[n, c]`.
    pub fn features(&self, mut x: Tensor<B, 4>) -> Tensor<B, 2> {
        x = like(x, self.head.dtype());
        for (layer, &stride) in self.layers.iter().zip(&self.strides) {
            x = relu(layer.forward(x, stride));
        }
        single(x).mean_dim(3).mean_dim(2).flatten(1, 3)
    }

    /// Features `[n, c]` to logits `[n, classes]`.
    pub fn logits(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        single(self.head.forward(like(features, self.head.dtype())))
    }
}
