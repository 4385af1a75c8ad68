//! ConvNeXt-V2, an encoder that the drifting loss can be computed on.

use std::f64::consts::SQRT_2;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use driftlet_checkpoint as checkpoint;

use super::FeatureMap;
use super::layers::Linear;

const EPSILON: f64 = 1e-6;

/// See [`checkpoint::ConvNextV2`] for the equations, the paper, and how pictures are normalized.
#[derive(Module, Debug)]
pub struct ConvNextV2<B: Backend> {
    stem: Filter<B>,
    stem_norm: Norm<B>,
    downs: Vec<Down<B>>,
    stages: Vec<Vec<Block<B>>>,
    norm: Norm<B>,
    head: Linear<B>,
    patch: usize,
}

#[derive(Module, Debug)]
struct Down<B: Backend> {
    norm: Norm<B>,
    filter: Filter<B>,
}

#[derive(Module, Debug)]
struct Block<B: Backend> {
    depthwise: Filter<B>,
    norm: Norm<B>,
    wide: Linear<B>,
    /// `[1, 1, 1, 4 width]`.
    gamma: Param<Tensor<B, 4>>,
    /// `[1, 1, 1, 4 width]`.
    beta: Param<Tensor<B, 4>>,
    narrow: Linear<B>,
}

impl<B: Backend> ConvNextV2<B> {
    /// Zero weights; `net` is valid.
    pub fn new(net: &checkpoint::ConvNextV2, device: &B::Device) -> Self {
        let (first, last) = (net.widths[0], net.widths[net.widths.len() - 1]);
        let down = |pair: &[usize]| Down {
            norm: Norm::new(pair[0], device),
            filter: Filter::new([pair[1], pair[0], 2, 2], device),
        };
        let stage = |(&width, &depth): (&usize, &usize)| (0..depth).map(|_| Block::new(width, device)).collect();
        Self {
            stem: Filter::new([first, net.channels, net.patch, net.patch], device),
            stem_norm: Norm::new(first, device),
            downs: net.widths.windows(2).map(down).collect(),
            stages: net.widths.iter().zip(&net.depths).map(stage).collect(),
            norm: Norm::new(last, device),
            head: Linear::new(net.classes, last, device),
            patch: net.patch,
        }
    }

    /// Pictures `[n, channels, height, width]` in ImageNet's normalization to the output map of each stage. Other sizes
    /// than the architecture's are taken too: rows and columns that fill no patch are left out.
    pub fn maps(&self, images: Tensor<B, 4>) -> Vec<FeatureMap<B>> {
        let mut x = self.stem_norm.of_map(self.stem.forward(images, self.patch, 0, 1));
        let mut maps = Vec::with_capacity(self.stages.len());
        for (s, stage) in self.stages.iter().enumerate() {
            if let Some(down) = s.checked_sub(1).and_then(|s| self.downs.get(s)) {
                x = down.filter.forward(down.norm.of_map(x), 2, 0, 1);
            }
            for block in stage {
                x = block.forward(x);
            }
            maps.push(x.clone());
        }
        maps
    }

    /// The last map to class logits `[n, classes]`.
    pub fn logits(&self, last: FeatureMap<B>) -> Tensor<B, 2> {
        self.head.forward(self.norm.forward(last.mean_dim(3).mean_dim(2).flatten(1, 3)))
    }
}

impl<B: Backend> Block<B> {
    fn new(width: usize, device: &B::Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([1, 1, 1, 4 * width], device));
        Self {
            depthwise: Filter::new([width, 1, 7, 7], device),
            norm: Norm::new(width, device),
            wide: Linear::new(4 * width, width, device),
            gamma: zeros(),
            beta: zeros(),
            narrow: Linear::new(width, 4 * width, device),
        }
    }

    fn forward(&self, x: FeatureMap<B>) -> FeatureMap<B> {
        let dims @ [n, width, h, w] = x.dims();
        let y = self.norm.forward(locations(self.depthwise.forward(x.clone(), 1, 3, width)));
        let y = gelu(self.wide.forward(y)).reshape([n, h * w, 4 * width]);
        let y = self.narrow.forward(self.respond(y).reshape([n * h * w, 4 * width]));
        x + map(y, dims)
    }

    /// Global response normalization of `[n, locations, c]`.
    fn respond(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        // At zero the square root has no slope: a channel that is silent everywhere would get NaN as its gradient.
        let length = x.clone().square().sum_dim(1).clamp_min(1e-30).sqrt();
        let response = length.clone() / (length.mean_dim(2) + EPSILON);
        let (gamma, beta) = (self.gamma.val().flatten::<3>(0, 1), self.beta.val().flatten::<3>(0, 1));
        x * (response * gamma + 1.0) + beta
    }
}

/// A convolution with weights of any size.
#[derive(Module, Debug)]
struct Filter<B: Backend> {
    /// `[out, in / groups, k, k]`.
    weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Filter<B> {
    fn new(shape: [usize; 4], device: &B::Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros(shape, device)),
            bias: Param::from_tensor(Tensor::zeros([shape[0]], device)),
        }
    }

    fn forward(&self, x: Tensor<B, 4>, stride: usize, padding: usize, groups: usize) -> Tensor<B, 4> {
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], groups);
        conv2d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}

/// Layer normalization over the channels.
#[derive(Module, Debug)]
struct Norm<B: Backend> {
    /// `[c]`.
    weight: Param<Tensor<B, 1>>,
    /// `[c]`.
    bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Norm<B> {
    fn new(width: usize, device: &B::Device) -> Self {
        let zeros = || Param::from_tensor(Tensor::zeros([width], device));
        Self { weight: zeros(), bias: zeros() }
    }

    /// Of each row of `[n, c]`.
    fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let centred = x.clone() - x.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        centred / (variance + EPSILON).sqrt() * self.weight.val().unsqueeze() + self.bias.val().unsqueeze()
    }

    /// Of each location of `[n, c, h, w]`.
    fn of_map(&self, x: FeatureMap<B>) -> FeatureMap<B> {
        let dims = x.dims();
        map(self.forward(locations(x)), dims)
    }
}

/// `[n, c, h, w]` to `[n h w, c]`.
fn locations<B: Backend>(x: FeatureMap<B>) -> Tensor<B, 2> {
    let [n, c, h, w] = x.dims();
    x.permute([0, 2, 3, 1]).reshape([n * h * w, c])
}

/// `[n h w, c]` to `[n, c, h, w]`.
fn map<B: Backend>(x: Tensor<B, 2>, [n, c, h, w]: [usize; 4]) -> FeatureMap<B> {
    x.reshape([n, h, w, c]).permute([0, 3, 1, 2])
}

/// The exact GELU. Burn's own has the slope of the tanh approximation on some backends.
fn gelu<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    x.clone() * ((x / SQRT_2).erf() + 1.0) * 0.5
}
