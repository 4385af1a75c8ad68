//! The paper's encoder: a residual network with group normalization, and the decoder it is trained with.

use serde::{Deserialize, Serialize};

use super::{Initial, layer, positive};

/// A masked autoencoder (arXiv 2602.04770, appendix; its released code).
///
/// ```text
/// x = relu(gn1(conv1(patchify(image))))                            3x3, no bias anywhere before a normalization
/// each stage (stride 2 in the first block of all but the first stage), widths base, 2 base, ..:
///   each block: x = relu(gn2(conv2(relu(gn1(conv1(x))))) + shortcut),  shortcut: x, or proj_gn(proj_conv1x1(x))
///   x = layer_norm(x)
/// decoder: x = relu(gn(bridge(x))); from the last stage to conv1:
///   x = concat_norm([bilinear(x to the skip's size) | skip]); x = relu(gn(proj(x))); x = relu(gn(refine(x)))
///   head: 1x1 convolution to the (patchified) picture
/// fc: class logits from the global mean of the last stage
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResnetMae {
    /// Height of the picture.
    pub height: usize,
    /// Width of the picture.
    pub width: usize,
    /// Channels of the picture.
    pub channels: usize,
    /// Number of classes of the fine-tuning head.
    pub classes: usize,
    /// Side of the square patches that become channels first; 1 for none.
    pub input_patch: usize,
    /// Side of the square patches, on the patchified picture, that are hidden in training.
    pub mask_patch: usize,
    /// Channels of the first stage; each next one has twice as many.
    pub base: usize,
    /// Residual blocks of each stage.
    pub blocks: Vec<usize>,
}

/// A parameter's place in the network, for naming.
struct Names(Vec<(String, Vec<usize>)>);

impl Names {
    /// A convolution without bias and the normalization behind it.
    fn conv_norm(&mut self, conv: &str, norm: &str, [outputs, inputs, kernel]: [usize; 3]) {
        self.0.push((format!("{conv}.weight"), vec![outputs, inputs, kernel, kernel]));
        layer(&mut self.0, norm, vec![outputs]);
    }
}

impl ResnetMae {
    pub(super) fn preset(name: &str) -> Option<Self> {
        let latent = |base| Self {
            height: 32,
            width: 32,
            channels: 4,
            classes: 1000,
            input_patch: 1,
            mask_patch: 2,
            base,
            blocks: vec![3, 4, 6, 3],
        };
        let pixel = |base| Self { height: 256, width: 256, channels: 3, input_patch: 8, ..latent(base) };
        let small = |size, channels| Self {
            height: size,
            width: size,
            channels,
            classes: 10,
            input_patch: 2,
            blocks: vec![1, 1],
            ..latent(32)
        };
        Some(match name {
            "mae-256-latent" => latent(256),
            "mae-640-latent" => latent(640),
            "mae-256-pixel" => pixel(256),
            "mae-640-pixel" => pixel(640),
            "mae-28" => small(28, 1),
            "mae-32" => small(32, 3),
            _ => return None,
        })
    }

    /// Channels of a stage.
    pub fn stage_width(&self, stage: usize) -> usize {
        self.base << stage
    }

    /// Channels after patches have become channels.
    pub fn input_width(&self) -> usize {
        self.channels * self.input_patch * self.input_patch
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut names = Names(Vec::new());
        let (base, stages) = (self.base, self.blocks.len());
        names.conv_norm("encoder.conv1", "encoder.gn1", [base, self.input_width(), 3]);
        let mut inputs = base;
        for (s, &blocks) in self.blocks.iter().enumerate() {
            let width = self.stage_width(s);
            for b in 0..blocks {
                let name = |part: &str| format!("encoder.stages.{s}.{b}.{part}");
                names.conv_norm(&name("conv1"), &name("gn1"), [width, inputs, 3]);
                names.conv_norm(&name("conv2"), &name("gn2"), [width, width, 3]);
                if self.projects(s, b) {
                    names.conv_norm(&name("proj_conv"), &name("proj_gn"), [width, inputs, 1]);
                }
                inputs = width;
            }
            layer(&mut names.0, &format!("encoder.layer{}_norm", s + 1), vec![width]);
        }
        names.conv_norm("decoder.bridge.conv", "decoder.bridge.gn", [inputs, inputs, 3]);
        for s in (0..stages).rev() {
            // The skip comes from the stage before, or from the first convolution.
            let skip = self.stage_width(s.saturating_sub(1));
            let name = |part: &str| format!("decoder.up{}{s}.{part}", s + 1);
            layer(&mut names.0, &name("concat_norm"), vec![inputs + skip]);
            names.conv_norm(&name("proj.conv"), &name("proj.gn"), [skip, inputs + skip, 3]);
            names.conv_norm(&name("refine.conv"), &name("refine.gn"), [skip, skip, 3]);
            inputs = skip;
        }
        layer(&mut names.0, "decoder.head", vec![self.input_width(), base, 1, 1]);
        layer(&mut names.0, "fc", vec![self.classes, self.stage_width(stages - 1)]);
        names.0
    }

    /// Whether a block's shortcut changes the width or size of its map.
    pub fn projects(&self, stage: usize, block: usize) -> bool {
        stage > 0 && block == 0
    }

    pub(super) fn initial(name: &str, shape: &[usize]) -> Initial {
        let norm = ["gn", "norm"].iter().any(|norm| name.contains(norm));
        match (name.ends_with("bias"), norm) {
            (true, _) => Initial::Constant(0.0),
            (false, true) => Initial::Constant(1.0),
            (false, false) => Initial::rectified(shape),
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("channels", self.channels, 64)?;
        positive("classes", self.classes, 65536)?;
        positive("input_patch", self.input_patch, 64)?;
        positive("mask_patch", self.mask_patch, 64)?;
        positive("base", self.base, 2048)?;
        positive("number of blocks", self.blocks.len(), 6)?;
        for (field, size) in [("height", self.height), ("width", self.width)] {
            positive(field, size, 4096)?;
            if !size.is_multiple_of(self.input_patch) {
                return Err(format!("{field} is {size}; it must be a multiple of input_patch, {}", self.input_patch));
            }
        }
        for (s, &blocks) in self.blocks.iter().enumerate() {
            positive(&format!("blocks.{s}"), blocks, 64)?;
        }
        Ok(())
    }
}
