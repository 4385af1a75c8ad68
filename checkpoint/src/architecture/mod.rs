//! Networks by their hyperparameters.

mod classifier;
mod convnext_v2;
mod edge_conv;
mod encoder;

pub use classifier::{Classifier, ConvLayer};
pub use convnext_v2::ConvNextV2;
pub use edge_conv::{EdgeConv, Stage};
pub use encoder::Encoder;

use serde::{Deserialize, Serialize};

/// A network, without its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Architecture {
    /// Convolutional generator for edge devices.
    EdgeConv(EdgeConv),
    /// Small classifier whose features metrics are computed on.
    Classifier(Classifier),
    /// Frozen encoder that the drifting loss is computed on.
    Encoder(Encoder),
    /// Pretrained encoder of natural pictures.
    #[serde(rename = "convnext-v2")]
    ConvNextV2(ConvNextV2),
}

impl Architecture {
    /// Names of the presets.
    pub fn presets() -> &'static [&'static str] {
        &[
            "micro",
            "nano",
            "fashion-classifier",
            "fashion-encoder",
            "convnextv2-atto",
            "convnextv2-femto",
            "convnextv2-pico",
            "convnextv2-nano",
            "convnextv2-tiny",
            "convnextv2-base",
            "convnextv2-large",
            "convnextv2-toy",
        ]
    }

    /// A network by name.
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "micro" => Self::EdgeConv(EdgeConv::micro()),
            "nano" => Self::EdgeConv(EdgeConv::nano()),
            "fashion-classifier" => Self::Classifier(Classifier::fashion()),
            "fashion-encoder" => Self::Encoder(Encoder::fashion()),
            _ => return ConvNextV2::preset(name).map(Self::ConvNextV2),
        })
    }

    /// Names and shapes of all weights, in the order of the layers: the one list that initialization, training,
    /// checkpoints and quantization share.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Self::EdgeConv(net) => net.parameters(),
            Self::Classifier(net) => net.parameters(),
            Self::Encoder(net) => net.parameters(),
            Self::ConvNextV2(net) => net.parameters(),
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
            Self::ConvNextV2(net) => net.validate(),
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self {
            Self::EdgeConv(net) => net.classes,
            Self::Classifier(net) => net.classes,
            Self::Encoder(net) => net.classes,
            Self::ConvNextV2(net) => net.classes,
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
}
