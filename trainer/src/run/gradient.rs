//! The norm of a whole gradient, and clipping by it.

use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};

/// Scales the gradient down so that its norm over all parameters is at most `largest`; returns the norm before.
pub fn clip<B: AutodiffBackend>(
    network: &impl AutodiffModule<B>,
    gradients: &mut GradientsParams,
    largest: f64,
) -> f64 {
    let mut sum = SquareSum { gradients, sum: None };
    network.visit(&mut sum);
    let norm = sum.sum.map_or(0.0, |sum| sum.into_scalar().elem::<f64>().sqrt());
    if norm.is_finite() && norm > largest {
        network.visit(&mut Scale { gradients, factor: largest / norm });
    }
    norm
}

struct SquareSum<'g, B: AutodiffBackend> {
    gradients: &'g GradientsParams,
    sum: Option<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for SquareSum<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            let square = gradient.powi_scalar(2).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Scale<'g> {
    gradients: &'g mut GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}
