//! The convolutional generator for edge devices.

use burn::module::Module;
use burn::tensor::activation::{relu, tanh};
use burn::tensor::backend::Backend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint as checkpoint;

use super::layers::{Conv, Linear, Table};
use super::precision::{like, single};

/// See [`checkpoint::EdgeConv`] for the equations.
#[derive(Module, Debug)]
pub struct EdgeConv<B: Backend> {
    noise: Linear<B>,
    class: Table<B>,
    guidance: Table<B>,
    base: Linear<B>,
    stages: Vec<Stage<B>>,
    out: Conv<B>,
    base_shape: [usize; 3],
}

#[derive(Module, Debug)]
struct Stage<B: Backend> {
    conv: Conv<B>,
    residual: Vec<Conv<B>>,
}

impl<B: Backend> EdgeConv<B> {
    /// Zero weights.
    pub fn new(net: &checkpoint::EdgeConv, device: &B::Device) -> Self {
        let (height, width) = net.base_size();
        let mut inputs = net.base_channels;
        let stage = |stage: &checkpoint::Stage| {
            let conv = Conv::new(stage.channels, inputs, device);
            inputs = stage.channels;
            Stage { conv, residual: (0..stage.residual).map(|_| Conv::new(inputs, inputs, device)).collect() }
        };
        let stages = net.stages.iter().map(stage).collect();
        Self {
            noise: Linear::new(net.hidden, net.noise_dim, device),
            class: Table::new(net.classes, net.hidden, device),
            guidance: Table::new(net.guidance_knots.len(), net.hidden, device),
            base: Linear::new(height * width * net.base_channels, net.hidden, device),
            stages,
            out: Conv::new(net.channels, inputs, device),
            base_shape: [height, width, net.base_channels],
        }
    }

    /// Noise `[n, noise_dim]`, class `[n, classes]` and guidance `[n, knots]` (see [`one_hot`] and [`between_knots`]) to
    /// pictures `[n, channels, height, width]` in `[-1, 1]`.
    pub fn forward(&self, noise: Tensor<B, 2>, class: Tensor<B, 2>, guidance: Tensor<B, 2>) -> Tensor<B, 4> {
        let [count, _] = noise.dims();
        let [height, width, channels] = self.base_shape;
        let dtype = self.noise.dtype();
        let (noise, class, guidance) = (like(noise, dtype), like(class, dtype), like(guidance, dtype));
        let h = relu(self.noise.forward(noise) + self.class.forward(class) + self.guidance.forward(guidance));
        let base = relu(self.base.forward(h)).reshape([count, height, width, channels]);
        let mut x = base.permute([0, 3, 1, 2]);
        for (s, stage) in self.stages.iter().enumerate() {
            if s > 0 {
                let [_, _, height, width] = x.dims();
                x = interpolate(x, [2 * height, 2 * width], InterpolateOptions::new(InterpolateMode::Nearest));
            }
            x = relu(stage.conv.forward(x, 1));
            for residual in &stage.residual {
                x = relu(x.clone() + residual.forward(x, 1));
            }
        }
        tanh(single(self.out.forward(x, 1)))
    }
}

/// Classes as coefficients of their rows, `[n, classes]`.
pub fn one_hot<B: Backend>(classes: &[usize], count: usize, device: &B::Device) -> Tensor<B, 2> {
    let mut data = vec![0f32; classes.len() * count];
    for (row, &class) in data.chunks_exact_mut(count).zip(classes) {
        row[class] = 1.0;
    }
    Tensor::from_data(TensorData::new(data, [classes.len(), count]), device)
}

/// Guidance strengths as coefficients of the two knots around each, `[n, knots]`.
pub fn between_knots<B: Backend>(strengths: &[f32], knots: &[f32], device: &B::Device) -> Tensor<B, 2> {
    let mut data = vec![0f32; strengths.len() * knots.len()];
    for (row, &strength) in data.chunks_exact_mut(knots.len()).zip(strengths) {
        let above = knots.partition_point(|&k| k <= strength).clamp(1, knots.len() - 1);
        let (low, high) = (knots[above - 1], knots[above]);
        let t = ((strength - low) / (high - low)).clamp(0.0, 1.0);
        (row[above - 1], row[above]) = (1.0 - t, t);
    }
    Tensor::from_data(TensorData::new(data, [strengths.len(), knots.len()]), device)
}
