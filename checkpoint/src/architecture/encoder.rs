//! The frozen encoder that the drifting loss is computed on.

use serde::{Deserialize, Serialize};

use super::{layer, positive};

/// A narrow residual encoder, trained as a masked autoencoder and then with a classifier head (method: section
/// "Features"). The stem halves the picture at once, each stage but the first halves it again.
///
/// ```text
/// x = relu(stem3x3(image))                       stride 2
/// each stage: x = relu(down3x3(x)) stride 2 except in the first;  blocks: x = relu(x + conv2(relu(conv1(x))))
/// head: logits from the global mean;  decoder: each location of the last map predicts its patch of pixels
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Height of the picture.
    pub height: usize,
    /// Width of the picture.
    pub width: usize,
    /// Channels of the picture.
    pub channels: usize,
    /// Number of classes of the fine-tuning head.
    pub classes: usize,
    /// Channels of each stage.
    pub widths: Vec<usize>,
    /// Residual blocks of each stage.
    pub blocks: Vec<usize>,
}

impl Encoder {
    pub(super) fn fashion() -> Self {
        Self { height: 28, width: 28, channels: 1, classes: 10, widths: vec![32, 64], blocks: vec![1, 1] }
    }

    pub(super) fn fashion_deep() -> Self {
        Self { blocks: vec![2, 2], ..Self::fashion() }
    }

    /// Side of the square of pixels that one location of the last map stands for.
    pub fn patch(&self) -> usize {
        1 << self.widths.len()
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        let Some((&first, &last)) = self.widths.first().zip(self.widths.last()) else { return list };
        layer(&mut list, "stem", vec![first, self.channels, 3, 3]);
        let mut inputs = first;
        for (s, (&width, &blocks)) in self.widths.iter().zip(&self.blocks).enumerate() {
            if s > 0 {
                layer(&mut list, &format!("stages.{s}.down"), vec![width, inputs, 3, 3]);
            }
            for b in 0..blocks {
                layer(&mut list, &format!("stages.{s}.blocks.{b}.conv1"), vec![width, width, 3, 3]);
                layer(&mut list, &format!("stages.{s}.blocks.{b}.conv2"), vec![width, width, 3, 3]);
            }
            inputs = width;
        }
        layer(&mut list, "decoder", vec![self.patch() * self.patch() * self.channels, last]);
        layer(&mut list, "head", vec![self.classes, last]);
        list
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("channels", self.channels, 4)?;
        positive("classes", self.classes, 65536)?;
        positive("number of widths", self.widths.len(), 8)?;
        if self.blocks.len() != self.widths.len() {
            return Err(format!(
                "blocks has {} numbers, widths {}; give one per stage",
                self.blocks.len(),
                self.widths.len()
            ));
        }
        for (field, size) in [("height", self.height), ("width", self.width)] {
            positive(field, size, 4096)?;
            if size % self.patch() != 0 {
                return Err(format!("{field} is {size}; it must be a multiple of {}", self.patch()));
            }
        }
        for (s, (&width, &blocks)) in self.widths.iter().zip(&self.blocks).enumerate() {
            positive(&format!("widths.{s}"), width, 4096)?;
            positive(&format!("blocks.{s}"), blocks, 64)?;
        }
        Ok(())
    }
}
