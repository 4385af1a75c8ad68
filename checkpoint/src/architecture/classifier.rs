//! The classifier whose features metrics are computed on.

use serde::{Deserialize, Serialize};

use super::{layer, positive};

/// 3x3 convolutions with bias and ReLU, global average pooling (the features), a linear head (the logits).
/// Pixels enter as `p / 127.5 - 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Height of the picture.
    pub height: usize,
    /// Width of the picture.
    pub width: usize,
    /// Channels of the picture.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Convolutions in order.
    pub layers: Vec<ConvLayer>,
}

/// A 3x3 convolution with padding 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvLayer {
    /// Output channels.
    pub channels: usize,
    /// 1, or 2 to halve the map.
    pub stride: usize,
}

impl Classifier {
    pub(super) fn fashion() -> Self {
        let layers = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1)];
        let layers = layers.map(|(channels, stride)| ConvLayer { channels, stride }).to_vec();
        Self { height: 28, width: 28, channels: 1, classes: 10, layers }
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        let mut inputs = self.channels;
        for (i, conv) in self.layers.iter().enumerate() {
            layer(&mut list, &format!("layers.{i}"), vec![conv.channels, inputs, 3, 3]);
            inputs = conv.channels;
        }
        layer(&mut list, "head", vec![self.classes, inputs]);
        list
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("height", self.height, 4096)?;
        positive("width", self.width, 4096)?;
        positive("channels", self.channels, 4)?;
        positive("classes", self.classes, 65536)?;
        positive("number of layers", self.layers.len(), 256)?;
        for (i, conv) in self.layers.iter().enumerate() {
            positive(&format!("layers.{i}.channels"), conv.channels, 4096)?;
            positive(&format!("layers.{i}.stride"), conv.stride, 2)?;
        }
        Ok(())
    }
}
