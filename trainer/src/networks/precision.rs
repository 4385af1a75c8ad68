//! Networks in half precision, their losses and weights in single.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Tensor};

/// A copy of a network that computes in another precision. Gradients flow through it to the weights of the original.
pub fn in_precision<B: Backend, M: Module<B>>(module: M, precision: FloatDType) -> M {
    module.map(&mut Cast(precision))
}

struct Cast(FloatDType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}

/// A tensor in the precision of a network's weights.
pub fn like<B: Backend, const D: usize>(x: Tensor<B, D>, dtype: DType) -> Tensor<B, D> {
    if x.dtype() == dtype { x } else { x.cast(FloatDType::from(dtype)) }
}

/// A tensor in single precision.
pub fn single<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    like(x, DType::F32)
}
