//! The generator of points.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use driftlet_checkpoint as checkpoint;

use super::layers::Linear;
use super::precision::{like, single};

/// See [`checkpoint::Mlp`] for the equations.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    layers: Vec<Linear<B>>,
    out: Linear<B>,
}

impl<B: Backend> Mlp<B> {
    /// Zero weights.
    pub fn new(net: &checkpoint::Mlp, device: &B::Device) -> Self {
        let mut inputs = net.noise_dim;
        let layer = |&width: &usize| {
            let layer = Linear::new(width, inputs, device);
            inputs = width;
            layer
        };
        let layers = net.hidden.iter().map(layer).collect();
        Self { layers, out: Linear::new(net.outputs, inputs, device) }
    }

    /// Noise `[n, noise_dim]` to points `[n, outputs]`.
    pub fn forward(&self, noise: Tensor<B, 2>) -> Tensor<B, 2> {
        let noise = like(noise, self.out.dtype());
        let inner = self.layers.iter().fold(noise, |x, layer| relu(layer.forward(x)));
        single(self.out.forward(inner))
    }
}
