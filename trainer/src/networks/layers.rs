//! Layers with plain weights.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

/// A 3x3 convolution with padding 1.
#[derive(Module, Debug)]
pub struct Conv<B: Backend> {
    /// `[out, in, 3, 3]`.
    weight: Param<Tensor<B, 4>>,
    /// `[out]`.
    bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Conv<B> {
    /// Zero weights.
    pub fn new(outputs: usize, inputs: usize, device: &B::Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs, 3, 3], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// `[n, in, h, w]` to `[n, out, h / stride, w / stride]`.
    pub fn forward(&self, x: Tensor<B, 4>, stride: usize) -> Tensor<B, 4> {
        let options = ConvOptions::new([stride, stride], [1, 1], [1, 1], 1);
        conv2d(x, self.weight.val(), Some(self.bias.val()), options)
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
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// `[n, in]` to `[n, out]`.
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}

/// A table of rows that are mixed by given coefficients.
#[derive(Module, Debug)]
pub struct Table<B: Backend> {
    /// `[rows, width]`.
    weight: Param<Tensor<B, 2>>,
}

impl<B: Backend> Table<B> {
    /// Zero rows.
    pub fn new(rows: usize, width: usize, device: &B::Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([rows, width], device)) }
    }

    /// Coefficients `[n, rows]` to `[n, width]`.
    pub fn forward(&self, coefficients: Tensor<B, 2>) -> Tensor<B, 2> {
        coefficients.matmul(self.weight.val())
    }
}
