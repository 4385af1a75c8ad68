//! Any encoder of the drifting loss.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use driftlet_checkpoint::Architecture;

use super::convnext_v2::ConvNextV2;
use super::encoder::{Encoder, FeatureMap};
use super::layers::resize;
use super::resnet_mae::ResnetMae;

/// A map with its name: `layer1`, `layer1_blk2`, ..
pub type NamedMap<B> = (String, FeatureMap<B>);

/// An encoder whose maps the drifting loss is taken on.
// A run holds one of them, and a module cannot be boxed.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum FeatureEncoder<B: Backend> {
    /// Narrow residual network.
    Encoder(Encoder<B>),
    /// The paper's.
    ResnetMae(ResnetMae<B>),
    /// Pretrained on natural pictures.
    ConvNextV2(Pretrained<B>),
}

/// ConvNeXt-V2 with what pictures must become for it.
#[derive(Module, Debug)]
pub struct Pretrained<B: Backend> {
    network: ConvNextV2<B>,
    size: [usize; 2],
}

/// Mean and deviation of each channel of ImageNet's pictures, in `[0, 1]`.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

impl<B: Backend> Pretrained<B> {
    /// Grey or colour pictures in `[-1, 1]` in ImageNet's normalization and the network's size.
    fn prepared(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, channels, height, width] = images.dims();
        let colour = if channels == 1 { images.expand([n, 3, height, width]) } else { images };
        let [mean, deviation] =
            IMAGENET.map(|v| Tensor::<B, 1>::from_floats(v, &colour.device()).reshape([1, 3, 1, 1]));
        let normalized = (colour.add_scalar(1.0).mul_scalar(0.5) - mean) / deviation;
        resize(normalized, self.size)
    }
}

impl<B: Backend> FeatureEncoder<B> {
    /// Zero weights; `None` if the network is not an encoder.
    pub fn new(architecture: &Architecture, device: &B::Device) -> Option<Self> {
        match architecture {
            Architecture::Encoder(net) => Some(Self::Encoder(Encoder::new(net, device))),
            Architecture::ResnetMae(net) => Some(Self::ResnetMae(ResnetMae::new(net, device))),
            Architecture::ConvNextV2(net) => Some(Self::ConvNextV2(Pretrained {
                network: ConvNextV2::new(net, device),
                size: [net.height, net.width],
            })),
            _ => None,
        }
    }

    /// Pictures `[n, channels, height, width]` in `[-1, 1]`, or latents, to maps `[n, c, h, w]`, the finest first.
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<NamedMap<B>> {
        match self {
            Self::Encoder(encoder) => stages(encoder.maps(images)),
            Self::ResnetMae(encoder) => encoder.maps(images),
            Self::ConvNextV2(encoder) => stages(encoder.network.maps(encoder.prepared(images))),
        }
    }

    /// Pictures, some patches hidden, to all of them: `[n, channels, height, width]`; `None` without a decoder.
    pub fn reconstruct(&self, hidden: Tensor<B, 4>) -> Option<Tensor<B, 4>> {
        match self {
            Self::Encoder(encoder) => Some(encoder.reconstruct(hidden)),
            Self::ResnetMae(encoder) => Some(encoder.reconstruct(hidden)),
            Self::ConvNextV2(_) => None,
        }
    }

    /// Pictures to class logits `[n, classes]`.
    pub fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        match self {
            Self::Encoder(encoder) => encoder.logits(images),
            Self::ResnetMae(encoder) => encoder.logits(images),
            Self::ConvNextV2(encoder) => {
                let mut maps = encoder.network.maps(encoder.prepared(images));
                encoder.network.logits(maps.remove(maps.len() - 1))
            }
        }
    }
}

fn stages<B: Backend>(maps: Vec<FeatureMap<B>>) -> Vec<NamedMap<B>> {
    maps.into_iter().enumerate().map(|(stage, map)| (format!("layer{}", stage + 1), map)).collect()
}
