//! Layers with plain weights.

use burn::module::{Module, Param};
use burn::tensor::activation::silu;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor, TensorData};

use super::precision::{like, single};

/// A square convolution with as much padding as keeps the size at stride 1.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// `[out, in, k, k]`.
    weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    bias: Option<Param<Tensor<B, 1>>>,
}

impl<B: Backend> Conv<B> {
    /// 3x3 with bias, zero weights.
    pub fn new(outputs: usize, inputs: usize, device: &B::Device) -> Self {
        Self { bias: Some(zeros([outputs], device)), ..Self::plain(outputs, inputs, 3, device) }
    }

    /// Without bias, zero weights.
    pub fn plain(outputs: usize, inputs: usize, kernel: usize, device: &B::Device) -> Self {
        Self { weight: zeros([outputs, inputs, kernel, kernel], device), bias: None }
    }

    /// 1x1 with bias, zero weights.
    pub fn pointwise(outputs: usize, inputs: usize, device: &B::Device) -> Self {
        Self { bias: Some(zeros([outputs], device)), ..Self::plain(outputs, inputs, 1, device) }
    }

    /// Precision of the weights.
    pub fn dtype(&self) -> DType {
        self.weight.val().dtype()
    }

    /// `[n, in, h, w]` to `[n, out, h / stride, w / stride]`, rounded up.
    pub fn forward(&self, x: Tensor<B, 4>, stride: usize) -> Tensor<B, 4> {
        let [_, _, kernel, _] = self.weight.dims();
        let options = ConvOptions::new([stride, stride], [kernel / 2, kernel / 2], [1, 1], 1);
        conv2d(x, self.weight.val(), self.bias.as_ref().map(|bias| bias.val()), options)
    }
}

/// A linear layer.
#[derive(Module, Debug)]
pub struct Linear<B: Backend> {
    /// `[out, in]`.
    weight: Param<Tensor<B, 2>>,
    /// `[out]`.
    bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Linear<B> {
    /// Zero weights.
    pub fn new(outputs: usize, inputs: usize, device: &B::Device) -> Self {
        Self { weight: zeros([outputs, inputs], device), bias: zeros([outputs], device) }
    }

    /// Precision of the weights.
    pub fn dtype(&self) -> DType {
        self.weight.val().dtype()
    }

    /// `[n, in]` to `[n, out]`.
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// `[n, tokens, in]` to `[n, tokens, out]`.
    pub fn of_tokens(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [n, tokens, inputs] = x.dims();
        let [outputs, _] = self.weight.dims();
        self.forward(x.reshape([n * tokens, inputs])).reshape([n, tokens, outputs])
    }
}

/// A table of rows.
#[derive(Module, Debug)]
pub struct Table<B: Backend> {
    /// `[rows, width]`.
    weight: Param<Tensor<B, 2>>,
}

impl<B: Backend> Table<B> {
    /// Zero rows.
    pub fn new(rows: usize, width: usize, device: &B::Device) -> Self {
        Self { weight: zeros([rows, width], device) }
    }

    /// Rows mixed by coefficients: `[n, rows]` to `[n, width]`.
    pub fn forward(&self, coefficients: Tensor<B, 2>) -> Tensor<B, 2> {
        coefficients.matmul(self.weight.val())
    }

    /// All rows, `[rows, width]`.
    pub fn rows(&self) -> Tensor<B, 2> {
        self.weight.val()
    }
}

/// Division by the root mean square of the last dimension, times a learned weight (Zhang and Sennrich, 2019).
#[derive(Module, Debug)]
pub struct RmsNorm<B: Backend> {
    /// `[width]`.
    weight: Param<Tensor<B, 1>>,
}

impl<B: Backend> RmsNorm<B> {
    /// Zero weights.
    pub fn new(width: usize, device: &B::Device) -> Self {
        Self { weight: zeros([width], device) }
    }

    /// `[.., width]`; computed in single precision.
    pub fn forward<const D: usize>(&self, x: Tensor<B, D>) -> Tensor<B, D> {
        let dtype = x.dtype();
        let x = single(x);
        let square = x.clone().powi_scalar(2).mean_dim(D - 1);
        like(x / square.add_scalar(1e-6).sqrt() * single(self.weight.val()).unsqueeze(), dtype)
    }
}

/// Normalization over groups of channels (Wu and He, 2018): 32 of them, or as many as divide the channels.
#[derive(Module, Debug)]
pub struct GroupNorm<B: Backend> {
    /// `[channels]`.
    weight: Param<Tensor<B, 1>>,
    /// `[channels]`.
    bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> GroupNorm<B> {
    /// Zero weights.
    pub fn new(channels: usize, device: &B::Device) -> Self {
        Self { weight: zeros([channels], device), bias: zeros([channels], device) }
    }

    /// `[n, channels, h, w]`; computed in single precision.
    pub fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let dtype = x.dtype();
        let x = single(x);
        let [n, channels, h, w] = x.dims();
        let groups = (1..=32).rev().find(|groups| channels % groups == 0).unwrap_or(1);
        let x = x.reshape([n, groups, channels / groups * h * w]);
        let x = x.clone() - x.mean_dim(2);
        let variance = x.clone().powi_scalar(2).mean_dim(2);
        let x = (x / variance.add_scalar(1e-6).sqrt()).reshape([n, channels, h, w]);
        let per_channel = |param: &Param<Tensor<B, 1>>| single(param.val()).reshape([1, channels, 1, 1]);
        like(x * per_channel(&self.weight) + per_channel(&self.bias), dtype)
    }
}

/// A convolution without bias and the normalization behind it.
#[derive(Module, Debug)]
pub struct ConvNorm<B: Backend> {
    conv: Conv<B>,
    norm: GroupNorm<B>,
}

impl<B: Backend> ConvNorm<B> {
    /// Zero weights.
    pub fn new(outputs: usize, inputs: usize, kernel: usize, device: &B::Device) -> Self {
        Self { conv: Conv::plain(outputs, inputs, kernel, device), norm: GroupNorm::new(outputs, device) }
    }

    /// `[n, in, h, w]` to `[n, out, h / stride, w / stride]`, rounded up.
    pub fn forward(&self, x: Tensor<B, 4>, stride: usize) -> Tensor<B, 4> {
        self.norm.forward(self.conv.forward(x, stride))
    }
}

/// `down(silu(gate(x)) * up(x))` (Shazeer, 2020).
#[derive(Module, Debug)]
pub struct SwiGlu<B: Backend> {
    gate: Linear<B>,
    up: Linear<B>,
    down: Linear<B>,
}

impl<B: Backend> SwiGlu<B> {
    /// Zero weights.
    pub fn new(width: usize, inner: usize, device: &B::Device) -> Self {
        let linear = |outputs, inputs| Linear::new(outputs, inputs, device);
        Self { gate: linear(inner, width), up: linear(inner, width), down: linear(width, inner) }
    }

    /// `[n, tokens, width]`.
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        self.down.of_tokens(silu(self.gate.of_tokens(x.clone())) * self.up.of_tokens(x))
    }
}

/// Bilinear resizing with pixel centres at halves: two products, whose gradient every backend has.
pub fn resize<B: Backend>(x: Tensor<B, 4>, [height, width]: [usize; 2]) -> Tensor<B, 4> {
    let [n, c, h, w] = x.dims();
    if [h, w] == [height, width] {
        return x;
    }
    let device = x.device();
    let dtype = x.dtype();
    let rows = like(between(height, h, &device), dtype).unsqueeze_dims::<4>(&[0, 0]);
    let columns = like(between(width, w, &device), dtype).transpose().unsqueeze_dims::<4>(&[0, 0]);
    rows.expand([n, c, height, h]).matmul(x).matmul(columns.expand([n, c, w, width]))
}

/// Weights `[to, from]` of the two neighbours of each new position.
fn between<B: Backend>(to: usize, from: usize, device: &B::Device) -> Tensor<B, 2> {
    let mut weights = vec![0f32; to * from];
    for (i, row) in weights.chunks_exact_mut(from).enumerate() {
        let at = ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
        let low = at.floor();
        let high = (low as usize + 1).min(from - 1);
        row[low as usize] += 1.0 - (at - low);
        row[high] += at - low;
    }
    Tensor::from_data(TensorData::new(weights, [to, from]), device)
}

fn zeros<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Param<Tensor<B, D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}
