//! Any generator.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use driftlet_checkpoint::Architecture;

use super::dit::Dit;
use super::edge_conv::{EdgeConv, between_knots, one_hot};

/// A generator of pictures.
// A run holds one of them, and a module cannot be boxed.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Generator<B: Backend> {
    /// Convolutional, for edge devices.
    EdgeConv(EdgeConv<B>),
    /// The paper's transformer.
    Dit(Dit<B>),
}

/// What pictures are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// Standard normal numbers, as many for each picture as `Interface::noise_len` says.
    pub noise: Vec<f32>,
    /// Style indices, as many for each picture as `Interface::styles` says.
    pub styles: Vec<usize>,
    /// Class of each picture.
    pub classes: Vec<usize>,
    /// Strength of guidance of each picture.
    pub guidance: Vec<f32>,
}

impl<B: Backend> Generator<B> {
    /// Zero weights; `None` if the network is not a generator.
    pub fn new(architecture: &Architecture, device: &B::Device) -> Option<Self> {
        match architecture {
            Architecture::EdgeConv(net) => Some(Self::EdgeConv(EdgeConv::new(net, device))),
            Architecture::Dit(net) => Some(Self::Dit(Dit::new(net, device))),
            _ => None,
        }
    }

    /// Pictures `[n, channels, height, width]`; the lengths of `inputs` fit `architecture`, the network's own.
    pub fn forward(&self, architecture: &Architecture, inputs: &Inputs, device: &B::Device) -> Tensor<B, 4> {
        let count = inputs.classes.len();
        match (self, architecture) {
            (Self::EdgeConv(network), Architecture::EdgeConv(net)) => network.forward(
                Tensor::from_data(TensorData::new(inputs.noise.clone(), [count, net.noise_dim]), device),
                one_hot(&inputs.classes, net.classes, device),
                between_knots(&inputs.guidance, &net.guidance_knots, device),
            ),
            (Self::Dit(network), Architecture::Dit(net)) => {
                let condition = network.condition(
                    integers(&inputs.classes, [count], device),
                    integers(&inputs.styles, [count, net.styles], device),
                    Tensor::from_data(TensorData::new(inputs.guidance.clone(), [count]), device),
                );
                let noise = TensorData::new(inputs.noise.clone(), [count, net.size, net.size, net.channels]);
                network.forward(Tensor::from_data(noise, device), condition).permute([0, 3, 1, 2])
            }
            _ => unreachable!("a network is of its own architecture"),
        }
    }
}

fn integers<B: Backend, const D: usize>(values: &[usize], shape: [usize; D], device: &B::Device) -> Tensor<B, D, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
