//! Networks by their hyperparameters.

mod classifier;
mod convnext_v2;
mod dit;
mod edge_conv;
mod encoder;
mod mlp;
mod resnet_mae;
mod vae_decoder;

pub use classifier::{Classifier, ConvLayer};
pub use convnext_v2::ConvNextV2;
pub use dit::Dit;
pub use edge_conv::{EdgeConv, Stage};
pub use encoder::Encoder;
pub use mlp::Mlp;
pub use resnet_mae::ResnetMae;
pub use vae_decoder::VaeDecoder;

use serde::{Deserialize, Serialize};

/// A network, without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Architecture {
    /// Convolutional generator for edge devices.
    EdgeConv(EdgeConv),
    /// The paper's generator, a transformer.
    Dit(Dit),
    /// Generator of points in the plane.
    Mlp(Mlp),
    /// Small classifier whose features metrics are computed on.
    Classifier(Classifier),
    /// Frozen encoder that the drifting loss is computed on.
    Encoder(Encoder),
    /// The paper's encoder, a masked autoencoder.
    ResnetMae(ResnetMae),
    /// Pretrained encoder of natural pictures.
    #[serde(rename = "convnext-v2")]
    ConvNextV2(ConvNextV2),
    /// Decoder of latents into pictures.
    VaeDecoder(VaeDecoder),
}

/// What a generator takes for one picture, and what it gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interface {
    /// Height, width and channels of the picture.
    pub shape: [usize; 3],
    /// Standard normal numbers.
    pub noise_len: usize,
    /// Style indices, and how many values each can have.
    pub styles: (usize, usize),
    /// Weakest and strongest guidance that it is trained with.
    pub guidance: (f32, f32),
}

impl Architecture {
    /// What a generator takes and gives; `None` for other networks.
    pub fn interface(&self) -> Option<Interface> {
        match self {
            Self::EdgeConv(net) => Some(net.interface()),
            Self::Dit(net) => Some(net.interface()),
            Self::Mlp(net) => Some(net.interface()),
            Self::Classifier(_) | Self::Encoder(_) | Self::ResnetMae(_) | Self::ConvNextV2(_) => None,
            Self::VaeDecoder(_) => None,
        }
    }

    /// Height, width and channels of what an encoder, a classifier (pictures) or a decoder (latents) takes; `None` for
    /// generators.
    pub fn input_shape(&self) -> Option<[usize; 3]> {
        match self {
            Self::EdgeConv(_) | Self::Dit(_) | Self::Mlp(_) => None,
            Self::Classifier(net) => Some([net.height, net.width, net.channels]),
            Self::Encoder(net) => Some([net.height, net.width, net.channels]),
            Self::ResnetMae(net) => Some([net.height, net.width, net.channels]),
            Self::ConvNextV2(net) => Some([net.height, net.width, net.channels]),
            Self::VaeDecoder(net) => Some([net.height, net.width, net.latent_channels]),
        }
    }

    /// Names of the presets.
    pub fn presets() -> &'static [&'static str] {
        &[
            "micro",
            "nano",
            "small",
            "fashion-classifier",
            "fashion-encoder",
            "fashion-encoder-deep",
            "b2-latent",
            "l2-latent",
            "b16-pixel",
            "l16-pixel",
            "ablation",
            "dit-28",
            "dit-32",
            "mae-256-latent",
            "mae-640-latent",
            "mae-256-pixel",
            "mae-640-pixel",
            "mae-28",
            "mae-32",
            "convnextv2-atto",
            "convnextv2-femto",
            "convnextv2-pico",
            "convnextv2-nano",
            "convnextv2-tiny",
            "convnextv2-base",
            "convnextv2-large",
            "convnextv2-toy",
            "sd-vae-decoder",
            "vae-decoder-toy",
            "toy",
        ]
    }

    /// A network by name.
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "micro" => Self::EdgeConv(EdgeConv::micro()),
            "nano" => Self::EdgeConv(EdgeConv::nano()),
            "small" => Self::EdgeConv(EdgeConv::small()),
            "fashion-classifier" => Self::Classifier(Classifier::fashion()),
            "toy" => Self::Mlp(Mlp::toy()),
            "fashion-encoder-deep" => Self::Encoder(Encoder::fashion_deep()),
            "fashion-encoder" => Self::Encoder(Encoder::fashion()),
            _ => {
                return (Dit::preset(name).map(Self::Dit))
                    .or_else(|| ResnetMae::preset(name).map(Self::ResnetMae))
                    .or_else(|| ConvNextV2::preset(name).map(Self::ConvNextV2))
                    .or_else(|| VaeDecoder::preset(name).map(Self::VaeDecoder));
            }
        })
    }

    /// Names and shapes of all weights, in the order of the layers: the one list that initialization, training,
    /// checkpoints and quantization share.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::EdgeConv(net) => net.parameters(),
            Self::Classifier(net) => net.parameters(),
            Self::Encoder(net) => net.parameters(),
            Self::Dit(net) => net.parameters(),
            Self::Mlp(net) => net.parameters(),
            Self::ResnetMae(net) => net.parameters(),
            Self::ConvNextV2(net) => net.parameters(),
            Self::VaeDecoder(net) => net.parameters(),
        }
    }

    /// Whether the hyperparameters make a network.
    ///
    /// # Errors
    /// The field, what is wrong with it, and what it should be.
    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::EdgeConv(net) => net.validate(),
            Self::Classifier(net) => net.validate(),
            Self::Encoder(net) => net.validate(),
            Self::Dit(net) => net.validate(),
            Self::Mlp(net) => net.validate(),
            Self::ResnetMae(net) => net.validate(),
            Self::ConvNextV2(net) => net.validate(),
            Self::VaeDecoder(net) => net.validate(),
        }
    }

    /// What a parameter starts as.
    pub(crate) fn initial(&self, name: &str, shape: &[usize]) -> Initial {
        match self {
            Self::Dit(net) => net.initial(name, shape),
            Self::ResnetMae(_) => ResnetMae::initial(name, shape),
            Self::Mlp(_) => Mlp::initial(name, shape),
            Self::ConvNextV2(_) | Self::VaeDecoder(_) => Initial::normalized(name, shape),
            Self::EdgeConv(_) | Self::Classifier(_) | Self::Encoder(_) => Initial::plain(name, shape),
        }
    }

    /// Number of classes; 0 where the network knows of none.
    pub fn classes(&self) -> usize {
        match self {
            Self::EdgeConv(net) => net.classes,
            Self::Classifier(net) => net.classes,
            Self::Encoder(net) => net.classes,
            Self::Dit(net) => net.classes,
            Self::Mlp(_) => 1,
            Self::ResnetMae(net) => net.classes,
            Self::ConvNextV2(net) => net.classes,
            Self::VaeDecoder(_) => 0,
        }
    }
}

/// What a parameter starts as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Initial {
    /// One number everywhere.
    Constant(f32),
    /// Uniform, of that standard deviation.
    Random {
        /// The standard deviation.
        deviation: f32,
    },
    /// Positions on a grid of that many columns.
    SinCos {
        /// Positions in a row.
        columns: usize,
    },
}

impl Initial {
    /// Variance 2 / inputs (He et al., 2015), which keeps the size of signals through rectifiers.
    fn rectified(shape: &[usize]) -> Self {
        let inputs: usize = shape[1..].iter().product();
        Self::Random { deviation: (2.0 / inputs as f32).sqrt() }
    }

    /// Networks with normalizations, which start as the identity.
    fn normalized(name: &str, shape: &[usize]) -> Self {
        match (name.ends_with("weight"), shape.len()) {
            (true, 1) => Self::Constant(1.0),
            (true, _) => Self::rectified(shape),
            (false, _) => Self::Constant(0.0),
        }
    }

    /// Networks without normalization: biases zero, tables of standard deviation 0.5; the layers that end a network are
    /// ten times smaller, so that an untrained generator makes grey pictures.
    fn plain(name: &str, shape: &[usize]) -> Self {
        match (name, Self::rectified(shape)) {
            ("class.weight" | "guidance.weight", _) => Self::Random { deviation: 0.5 },
            ("out.weight" | "head.weight", Self::Random { deviation }) => Self::Random { deviation: 0.1 * deviation },
            (name, _) if name.ends_with("bias") => Self::Constant(0.0),
            (_, rectified) => rectified,
        }
    }
}

/// Checks that a field lies in `1..=most`; the bounds keep every product of them far from overflow.
fn positive(field: &str, value: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&value) { Ok(()) } else { Err(format!("{field} is {value}; it must be 1 to {most}")) }
}

/// Weight and bias of a layer.
fn layer(list: &mut Vec<(String, Vec<usize>)>, name: &str, weight: Vec<usize>) {
    let outputs = weight[0];
    list.push((format!("{name}.weight"), weight));
    list.push((format!("{name}.bias"), vec![outputs]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_sound_and_survive_json() -> Result<(), Box<dyn std::error::Error>> {
        for name in Architecture::presets() {
            let architecture = Architecture::preset(name).ok_or(*name)?;
            architecture.validate()?;
            let json = serde_json::to_string(&architecture)?;
            assert_eq!(serde_json::from_str::<Architecture>(&json)?, architecture);
            let mut names: Vec<String> = architecture.parameters().into_iter().map(|(name, _)| name).collect();
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count, "{name} has two parameters of one name");
        }
        Ok(())
    }

    #[test]
    fn sizes_are_those_of_the_papers() -> Result<(), &'static str> {
        // Millions of parameters: tables of arXiv 2602.04770 and 2301.00808.
        for (name, millions) in [
            ("b2-latent", 133.0),
            ("l2-latent", 463.0),
            ("b16-pixel", 134.0),
            ("l16-pixel", 464.0),
            ("ablation", 133.0),
            ("convnextv2-atto", 3.7),
            ("convnextv2-femto", 5.2),
            ("convnextv2-pico", 9.1),
            ("convnextv2-nano", 15.6),
            ("convnextv2-tiny", 28.6),
            ("convnextv2-base", 88.7),
            ("convnextv2-large", 198.0),
        ] {
            let architecture = Architecture::preset(name).ok_or("no preset")?;
            let count: usize = architecture.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
            // One digit behind the point is given for small networks only.
            let tolerance = if name.starts_with("convnext") { 0.06 } else { 0.6 };
            assert!((count as f64 / 1e6 - millions).abs() < tolerance, "{name} has {count} parameters");
        }
        Ok(())
    }
}
