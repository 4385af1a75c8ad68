//! The decoder of latent diffusion's autoencoder: from latents to pictures.

use serde::{Deserialize, Serialize};

use super::{layer, positive};

/// The decoder of Stable Diffusion's autoencoder (Rombach et al., 2022, arXiv 2112.10752), under the names that diffusers
/// gives its `AutoencoderKL`, without `decoder.` in front.
///
/// ```text
/// x = conv_in(post_quant_conv(z / scaling_factor))                 1x1, then 3x3; z as a latent generator makes it
/// mid_block: x = resnet0(x);  x = x + to_out.0(attention(group_norm(x)));  x = resnet1(x)
/// each up block: x = resnet(x), layers_per_block + 1 times, the first to the block's channels
///                x = upsamplers.0.conv(nearest x2 of x)            3x3, not in the last block
/// y = conv_out(silu(conv_norm_out(x)))                             3x3; the picture, in about [-1, 1]
///
/// resnet(x) = conv2(silu(norm2(conv1(silu(norm1(x)))))) + x        3x3; conv_shortcut(x), 1x1, where the channels change
/// attention(x) = softmax(q k / sqrt(channels)) v;  q, k, v = to_q(x), to_k(x), to_v(x)    one head, over all positions
/// norms: norm_num_groups groups of channels over all positions, epsilon 1e-6
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeDecoder {
    /// Height of the latent. No weight depends on the size.
    pub height: usize,
    /// Width of the latent.
    pub width: usize,
    /// Channels of the latent.
    pub latent_channels: usize,
    /// Channels of the picture.
    pub out_channels: usize,
    /// Channels of the blocks from the picture to the latent, as the encoder goes: the first up block has the last number.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each of the encoder's blocks; those of the decoder have one more.
    pub layers_per_block: usize,
    /// Groups of channels of every normalization.
    pub norm_num_groups: usize,
    /// What the encoder's latents were multiplied by: 0.18215 for Stable Diffusion.
    pub scaling_factor: f64,
}

impl VaeDecoder {
    /// What keeps the normalizations away from a division by zero, added to the variance.
    pub const EPSILON: f64 = 1e-6;

    pub(super) fn preset(name: &str) -> Option<Self> {
        let paper = Self {
            height: 32,
            width: 32,
            latent_channels: 4,
            out_channels: 3,
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
        };
        Some(match name {
            "sd-vae-decoder" => paper,
            // For tests; not square, so that mix-ups show.
            "vae-decoder-toy" => Self {
                height: 4,
                width: 6,
                block_out_channels: vec![16, 32],
                layers_per_block: 1,
                norm_num_groups: 8,
                ..paper
            },
            _ => return None,
        })
    }

    /// Channels that each up block takes and gives, in the order of execution.
    pub fn up_blocks(&self) -> Vec<(usize, usize)> {
        let outputs = || self.block_out_channels.iter().rev().copied();
        let inputs = outputs().take(1).chain(outputs());
        inputs.zip(outputs()).collect()
    }

    /// Height, width and channels of the picture.
    pub fn picture_shape(&self) -> [usize; 3] {
        let doublings = self.block_out_channels.len().saturating_sub(1);
        [self.height << doublings, self.width << doublings, self.out_channels]
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        let up_blocks = self.up_blocks();
        let Some((&(deepest, _), &(_, last))) = up_blocks.first().zip(up_blocks.last()) else { return list };
        layer(&mut list, "post_quant_conv", vec![self.latent_channels, self.latent_channels, 1, 1]);
        layer(&mut list, "conv_in", vec![deepest, self.latent_channels, 3, 3]);
        resnet(&mut list, "mid_block.resnets.0", deepest, deepest);
        let attention = "mid_block.attentions.0";
        layer(&mut list, &format!("{attention}.group_norm"), vec![deepest]);
        for part in ["to_q", "to_k", "to_v", "to_out.0"] {
            layer(&mut list, &format!("{attention}.{part}"), vec![deepest, deepest]);
        }
        resnet(&mut list, "mid_block.resnets.1", deepest, deepest);
        for (b, &(inputs, outputs)) in up_blocks.iter().enumerate() {
            for r in 0..=self.layers_per_block {
                resnet(
                    &mut list,
                    &format!("up_blocks.{b}.resnets.{r}"),
                    if r == 0 { inputs } else { outputs },
                    outputs,
                );
            }
            if b + 1 < up_blocks.len() {
                layer(&mut list, &format!("up_blocks.{b}.upsamplers.0.conv"), vec![outputs, outputs, 3, 3]);
            }
        }
        layer(&mut list, "conv_norm_out", vec![last]);
        layer(&mut list, "conv_out", vec![self.out_channels, last, 3, 3]);
        list
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("height", self.height, 4096)?;
        positive("width", self.width, 4096)?;
        positive("latent_channels", self.latent_channels, 64)?;
        positive("out_channels", self.out_channels, 4)?;
        positive("number of block_out_channels", self.block_out_channels.len(), 8)?;
        positive("layers_per_block", self.layers_per_block, 64)?;
        positive("norm_num_groups", self.norm_num_groups, 4096)?;
        for (b, &channels) in self.block_out_channels.iter().enumerate() {
            positive(&format!("block_out_channels.{b}"), channels, 4096)?;
            if !channels.is_multiple_of(self.norm_num_groups) {
                let groups = self.norm_num_groups;
                return Err(format!(
                    "block_out_channels.{b} is {channels}; it must be a multiple of norm_num_groups, {groups}"
                ));
            }
        }
        if !(1e-3..=1e3).contains(&self.scaling_factor) {
            return Err(format!("scaling_factor is {}; it must be 0.001 to 1000", self.scaling_factor));
        }
        Ok(())
    }
}

/// The layers of a residual block.
fn resnet(list: &mut Vec<(String, Vec<usize>)>, name: &str, inputs: usize, outputs: usize) {
    layer(list, &format!("{name}.norm1"), vec![inputs]);
    layer(list, &format!("{name}.conv1"), vec![outputs, inputs, 3, 3]);
    layer(list, &format!("{name}.norm2"), vec![outputs]);
    layer(list, &format!("{name}.conv2"), vec![outputs, outputs, 3, 3]);
    if inputs != outputs {
        layer(list, &format!("{name}.conv_shortcut"), vec![outputs, inputs, 1, 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_network_has_its_size() -> Result<(), &'static str> {
        let net = VaeDecoder::preset("sd-vae-decoder").ok_or("no preset")?;
        assert_eq!(net.picture_shape(), [256, 256, 3]);
        assert_eq!(net.up_blocks(), [(512, 512), (512, 512), (512, 256), (256, 128)]);
        // As diffusers counts the decoder and post_quant_conv.
        let count: usize = net.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!(count, 49_490_199);
        let shortcuts: Vec<String> =
            net.parameters().into_iter().map(|(name, _)| name).filter(|n| n.ends_with("shortcut.weight")).collect();
        let expected = [2, 3].map(|b| format!("up_blocks.{b}.resnets.0.conv_shortcut.weight"));
        assert_eq!(shortcuts, expected);
        Ok(())
    }

    #[test]
    fn wrong_numbers_are_named() -> Result<(), &'static str> {
        let toy = VaeDecoder::preset("vae-decoder-toy").ok_or("no preset")?;
        for (wrong, expected) in [
            (VaeDecoder { height: 0, ..toy.clone() }, "height is 0; it must be 1 to 4096"),
            (VaeDecoder { layers_per_block: 0, ..toy.clone() }, "layers_per_block is 0"),
            (VaeDecoder { norm_num_groups: 0, ..toy.clone() }, "norm_num_groups is 0"),
            (VaeDecoder { norm_num_groups: 32, ..toy.clone() }, "block_out_channels.0 is 16; it must be a multiple of"),
            (VaeDecoder { block_out_channels: vec![], ..toy.clone() }, "number of block_out_channels is 0"),
            (VaeDecoder { scaling_factor: f64::NAN, ..toy.clone() }, "scaling_factor is NaN"),
            (VaeDecoder { scaling_factor: 0.0, ..toy }, "scaling_factor is 0; it must be 0.001 to 1000"),
        ] {
            let problem = wrong.validate().err().ok_or("accepted")?;
            assert!(problem.contains(expected), "{problem}");
        }
        Ok(())
    }
}
