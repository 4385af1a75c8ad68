//! The paper's encoder with its decoder.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use driftlet_checkpoint as checkpoint;

use super::encoder::FeatureMap;
use super::feature_encoder::NamedMap;
use super::layers::{Conv, ConvNorm, GroupNorm, Linear, resize};
use super::precision::{like, single};

/// See [`checkpoint::ResnetMae`] for the equations.
#[derive(Module, Debug)]
pub struct ResnetMae<B: Backend> {
    conv1: ConvNorm<B>,
    stages: Vec<Stage<B>>,
    decoder: Decoder<B>,
    fc: Linear<B>,
    input_patch: usize,
}

#[derive(Module, Debug)]
struct Stage<B: Backend> {
    blocks: Vec<Block<B>>,
    norm: GroupNorm<B>,
}

#[derive(Module, Debug)]
struct Block<B: Backend> {
    conv1: ConvNorm<B>,
    conv2: ConvNorm<B>,
    shortcut: Option<ConvNorm<B>>,
    stride: usize,
}

#[derive(Module, Debug)]
struct Decoder<B: Backend> {
    bridge: ConvNorm<B>,
    up: Vec<Up<B>>,
    head: Conv<B>,
}

#[derive(Module, Debug)]
struct Up<B: Backend> {
    norm: GroupNorm<B>,
    proj: ConvNorm<B>,
    refine: ConvNorm<B>,
}

impl<B: Backend> ResnetMae<B> {
    /// Zero weights; `net` is valid.
    pub fn new(net: &checkpoint::ResnetMae, device: &B::Device) -> Self {
        let conv = |outputs, inputs, kernel| ConvNorm::new(outputs, inputs, kernel, device);
        let mut inputs = net.base;
        let mut stages = Vec::new();
        for (s, &count) in net.blocks.iter().enumerate() {
            let width = net.stage_width(s);
            let mut blocks = Vec::new();
            for b in 0..count {
                let projects = net.projects(s, b);
                blocks.push(Block {
                    conv1: conv(width, inputs, 3),
                    conv2: conv(width, width, 3),
                    shortcut: projects.then(|| conv(width, inputs, 1)),
                    stride: if projects { 2 } else { 1 },
                });
                inputs = width;
            }
            stages.push(Stage { blocks, norm: GroupNorm::new(width, device) });
        }
        let last = inputs;
        let up = |s: usize| {
            let skip = net.stage_width(s.saturating_sub(1));
            let joined = inputs + skip;
            inputs = skip;
            Up { norm: GroupNorm::new(joined, device), proj: conv(skip, joined, 3), refine: conv(skip, skip, 3) }
        };
        let decoder = Decoder {
            bridge: conv(last, last, 3),
            up: (0..net.blocks.len()).rev().map(up).collect(),
            head: Conv::pointwise(net.input_width(), net.base, device),
        };
        let conv1 = conv(net.base, net.input_width(), 3);
        Self { conv1, stages, decoder, fc: Linear::new(net.classes, last, device), input_patch: net.input_patch }
    }

    /// Pictures `[n, channels, height, width]` to the maps of the paper's features: the first convolution, every second
    /// block, every stage.
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<NamedMap<B>> {
        let mut x = relu(self.conv1.forward(self.patchify(images), 1));
        let mut maps = vec![("conv1".to_owned(), single(x.clone()))];
        for (s, stage) in self.stages.iter().enumerate() {
            for (b, block) in stage.blocks.iter().enumerate() {
                x = block.forward(x);
                if b % 2 == 1 {
                    maps.push((format!("layer{}_blk{}", s + 1, b + 1), single(x.clone())));
                }
            }
            x = stage.norm.forward(x);
            maps.push((format!("layer{}", s + 1), single(x.clone())));
        }
        maps
    }

    /// The first convolution's and the stages' maps, which the decoder needs.
    fn levels(&self, patches: Tensor<B, 4>) -> Vec<FeatureMap<B>> {
        let mut levels = vec![relu(self.conv1.forward(patches, 1))];
        for stage in &self.stages {
            let x = levels[levels.len() - 1].clone();
            let x = stage.blocks.iter().fold(x, |x, block| block.forward(x));
            levels.push(stage.norm.forward(x));
        }
        levels
    }

    /// Pictures, some patches hidden, to all of them: `[n, channels, height, width]`.
    pub fn reconstruct(&self, hidden: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut levels = self.levels(self.patchify(hidden));
        let Decoder { bridge, up, head } = &self.decoder;
        // There is the first convolution's map and at least one stage's.
        let last = levels.remove(levels.len() - 1);
        let mut x = relu(bridge.forward(last, 1));
        for up in up {
            let skip = levels.remove(levels.len() - 1);
            let [_, _, height, width] = skip.dims();
            x = up.norm.forward(Tensor::cat(vec![resize(x, [height, width]), skip], 1));
            x = relu(up.refine.forward(relu(up.proj.forward(x, 1)), 1));
        }
        self.unpatchify(single(head.forward(x, 1)))
    }

    /// Pictures to class logits `[n, classes]`.
    pub fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let mut levels = self.levels(self.patchify(images));
        let last = levels.remove(levels.len() - 1);
        single(self.fc.forward(last.mean_dim(3).mean_dim(2).flatten(1, 3)))
    }

    /// Square patches become channels, in the order (row, column, channel).
    fn patchify(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, c, h, w] = images.dims();
        let p = self.input_patch;
        let split = like(images, self.fc.dtype()).reshape([n, c, h / p, p, w / p, p]).permute([0, 3, 5, 1, 2, 4]);
        split.reshape([n, p * p * c, h / p, w / p])
    }

    /// The inverse of [`Self::patchify`].
    fn unpatchify(&self, patches: Tensor<B, 4>) -> Tensor<B, 4> {
        let [n, width, h, w] = patches.dims();
        let p = self.input_patch;
        let c = width / p / p;
        let split = patches.reshape([n, p, p, c, h, w]).permute([0, 3, 4, 1, 5, 2]);
        split.reshape([n, c, h * p, w * p])
    }
}

impl<B: Backend> Block<B> {
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let y = self.conv2.forward(relu(self.conv1.forward(x.clone(), self.stride)), 1);
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, self.stride),
            None => x,
        };
        relu(y + shortcut)
    }
}
