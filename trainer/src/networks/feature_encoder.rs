//! Any encoder of the drifting loss.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use driftlet_checkpoint::Architecture;

use super::encoder::{Encoder, FeatureMap};
use super::resnet_mae::ResnetMae;

/// A map with its name: `layer1`, `layer1_blk2`, ..
pub type NamedMap<B> = (String, FeatureMap<B>);

/// An encoder whose maps the drifting loss is taken on.
#[derive(Module, Debug)]
pub enum FeatureEncoder<B: Backend> {
    /// Narrow residual network.
    Encoder(Encoder<B>),
    /// The paper's.
    ResnetMae(ResnetMae<B>),
}

impl<B: Backend> FeatureEncoder<B> {
    /// Zero weights; `None` if the network is not an encoder.
    pub fn new(architecture: &Architecture, device: &B::Device) -> Option<Self> {
        match architecture {
            Architecture::Encoder(net) => Some(Self::Encoder(Encoder::new(net, device))),
            Architecture::ResnetMae(net) => Some(Self::ResnetMae(ResnetMae::new(net, device))),
            _ => None,
        }
    }

    /// Pictures `[n, channels, height, width]` to maps `[n, c, h, w]`, the finest first.
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<NamedMap<B>> {
        match self {
            Self::Encoder(encoder) => {
                let maps = encoder.maps(images).into_iter().enumerate();
                maps.map(|(stage, map)| (format!("layer{}", stage + 1), map)).collect()
            }
            Self::ResnetMae(encoder) => encoder.maps(images),
        }
    }

    /// Pictures, some patches hidden, to all of them: `[n, channels, height, width]`.
    pub fn reconstruct(&self, hidden: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Encoder(encoder) => encoder.reconstruct(hidden),
            Self::ResnetMae(encoder) => encoder.reconstruct(hidden),
        }
    }

    /// Pictures to class logits `[n, classes]`.
    pub fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        match self {
            Self::Encoder(encoder) => encoder.logits(images),
            Self::ResnetMae(encoder) => encoder.logits(images),
        }
    }
}
