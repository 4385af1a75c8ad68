//! ConvNeXt-V2, a pretrained encoder that the drifting loss can be computed on.

use serde::{Deserialize, Serialize};

use super::{layer, positive};

/// ConvNeXt-V2 (Woo et al., 2023, arXiv 2301.00808), under the names of its PyTorch release. Pictures enter as RGB in
/// ImageNet's normalization: `(p / 255 - mean) / deviation` with mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224,
/// 0.225 of the channels.
///
/// ```text
/// x = norm(stem(image))                                stem: patch x patch, stride patch
/// each stage: x = down2x2(norm(x)) stride 2 except in the first
///             blocks: x = x + pwconv2(grn(gelu(pwconv1(norm(dwconv7x7(x))))))
/// logits = head(norm(global mean of x))
/// grn(x) = gamma (x n) + beta + x;  n = g / (mean of g over the channels + 1e-6);  g = L2 norm over the locations
/// norm: over the channels of each location, epsilon 1e-6
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNextV2 {
    /// Height of the picture.
    pub height: usize,
    /// Width of the picture.
    pub width: usize,
    /// Channels of the picture.
    pub channels: usize,
    /// Number of classes of the head.
    pub classes: usize,
    /// Side of the square of pixels that one location of the first map stands for: 4 in the paper.
    pub patch: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Channels of each stage.
    pub widths: Vec<usize>,
}

impl ConvNextV2 {
    /// A network of the paper, as it was fine-tuned on ImageNet-1k.
    fn imagenet(depths: [usize; 4], first: usize) -> Self {
        let widths = (0..4).map(|s| first << s).collect();
        Self { height: 224, width: 224, channels: 3, classes: 1000, patch: 4, depths: depths.to_vec(), widths }
    }

    pub(super) fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "convnextv2-atto" => Self::imagenet([2, 2, 6, 2], 40),
            "convnextv2-femto" => Self::imagenet([2, 2, 6, 2], 48),
            "convnextv2-pico" => Self::imagenet([2, 2, 6, 2], 64),
            "convnextv2-nano" => Self::imagenet([2, 2, 8, 2], 80),
            "convnextv2-tiny" => Self::imagenet([3, 3, 9, 3], 96),
            "convnextv2-base" => Self::imagenet([3, 3, 27, 3], 128),
            "convnextv2-large" => Self::imagenet([3, 3, 27, 3], 192),
            // For tests; not square, and no width a multiple of the one before, so that mix-ups show.
            "convnextv2-toy" => Self {
                height: 64,
                width: 32,
                channels: 3,
                classes: 10,
                patch: 4,
                depths: vec![1, 1, 2, 1],
                widths: vec![8, 12, 16, 20],
            },
            _ => return None,
        })
    }

    /// Side of the square of pixels that one location of the last map stands for.
    pub fn last_patch(&self) -> usize {
        self.patch << self.widths.len().saturating_sub(1)
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        let Some((&first, &last)) = self.widths.first().zip(self.widths.last()) else { return list };
        layer(&mut list, "downsample_layers.0.0", vec![first, self.channels, self.patch, self.patch]);
        layer(&mut list, "downsample_layers.0.1", vec![first]);
        for (s, pair) in self.widths.windows(2).enumerate() {
            layer(&mut list, &format!("downsample_layers.{}.0", s + 1), vec![pair[0]]);
            layer(&mut list, &format!("downsample_layers.{}.1", s + 1), vec![pair[1], pair[0], 2, 2]);
        }
        for (s, (&width, &depth)) in self.widths.iter().zip(&self.depths).enumerate() {
            for b in 0..depth {
                let block = format!("stages.{s}.{b}");
                layer(&mut list, &format!("{block}.dwconv"), vec![width, 1, 7, 7]);
                layer(&mut list, &format!("{block}.norm"), vec![width]);
                layer(&mut list, &format!("{block}.pwconv1"), vec![4 * width, width]);
                list.push((format!("{block}.grn.gamma"), vec![1, 1, 1, 4 * width]));
                list.push((format!("{block}.grn.beta"), vec![1, 1, 1, 4 * width]));
                layer(&mut list, &format!("{block}.pwconv2"), vec![width, 4 * width]);
            }
        }
        layer(&mut list, "norm", vec![last]);
        layer(&mut list, "head", vec![self.classes, last]);
        list
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("channels", self.channels, 4)?;
        positive("classes", self.classes, 65536)?;
        positive("patch", self.patch, 64)?;
        positive("number of widths", self.widths.len(), 8)?;
        let (depths, widths) = (self.depths.len(), self.widths.len());
        if depths != widths {
            return Err(format!("depths has {depths} numbers, widths {widths}; give one per stage"));
        }
        let whole = self.last_patch();
        for (field, size) in [("height", self.height), ("width", self.width)] {
            positive(field, size, 4096)?;
            if size % whole != 0 {
                return Err(format!("{field} is {size}; it must be a multiple of {whole}"));
            }
        }
        for (s, (&width, &depth)) in self.widths.iter().zip(&self.depths).enumerate() {
            positive(&format!("widths.{s}"), width, 4096)?;
            positive(&format!("depths.{s}"), depth, 64)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_numbers_are_named() -> Result<(), &'static str> {
        let toy = ConvNextV2::preset("convnextv2-toy").ok_or("no preset")?;
        for (wrong, expected) in [
            (ConvNextV2 { height: 48, ..toy.clone() }, "height is 48; it must be a multiple of 32"),
            (ConvNextV2 { depths: vec![1], ..toy.clone() }, "depths has 1 numbers, widths 4"),
            (ConvNextV2 { depths: vec![1, 0, 1, 1], ..toy.clone() }, "depths.1 is 0"),
            (ConvNextV2 { patch: 0, ..toy.clone() }, "patch is 0"),
            (ConvNextV2 { widths: vec![], depths: vec![], ..toy }, "number of widths is 0"),
        ] {
            let problem = wrong.validate().err().ok_or("accepted")?;
            assert!(problem.contains(expected), "{problem}");
        }
        Ok(())
    }
}
