//! Weights between modules and checkpoints, and their running average.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint as checkpoint;
use driftlet_checkpoint::Architecture;

/// The weights of a module under the names of its architecture.
pub fn export<B: Backend>(
    module: &impl Module<B>,
    architecture: &Architecture,
) -> BTreeMap<String, checkpoint::Tensor> {
    let mut visitor = Flat(Vec::new());
    module.visit(&mut visitor);
    let named = architecture.parameters().into_iter().zip(visitor.0);
    named
        .map(|((name, shape), flat)| {
            let data: Vec<f32> = flat.into_data().convert::<f32>().to_vec().unwrap_or_default();
            (name, checkpoint::Tensor { shape, data })
        })
        .collect()
}

/// A module with the weights of a checkpoint of its architecture.
pub fn import<B: Backend, M: Module<B>>(module: M, checkpoint: &checkpoint::Checkpoint) -> M {
    let parameters = checkpoint.config.architecture.parameters();
    let tensors = parameters.iter().map(|(name, _)| checkpoint.tensor(name)).collect::<Vec<_>>().into_iter();
    module.map(&mut Load { tensors })
}

/// Moves the average `a` towards the weights `w`: `a = decay * a + (1 - decay) * w`.
pub fn average<B: Backend, M: Module<B>>(average: M, weights: &impl Module<B>, decay: f64) -> M {
    let mut visitor = Flat(Vec::new());
    weights.visit(&mut visitor);
    average.map(&mut Blend { weights: visitor.0.into_iter(), decay })
}

/// Collects all weights, flattened.
struct Flat<B: Backend>(Vec<Tensor<B, 1>>);

impl<B: Backend> ModuleVisitor<B> for Flat<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let tensor = param.val();
        let len = tensor.dims().iter().product::<usize>();
        self.0.push(tensor.reshape([len]));
    }
}

struct Load<'c> {
    tensors: std::vec::IntoIter<&'c checkpoint::Tensor>,
}

impl<B: Backend> ModuleMapper<B> for Load<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let next = self.tensors.next();
        param.map(|old| match next {
            Some(new) => {
                // A new tensor does not record gradients by itself.
                let required = old.is_require_grad();
                let data = TensorData::new(new.data.clone(), new.shape.clone());
                Tensor::from_data(data, &old.device()).set_require_grad(required)
            }
            None => old,
        })
    }
}

struct Blend<B: Backend> {
    weights: std::vec::IntoIter<Tensor<B, 1>>,
    decay: f64,
}

impl<B: Backend> ModuleMapper<B> for Blend<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (next, decay) = (self.weights.next(), self.decay);
        param.map(|old| match next {
            Some(new) => old.clone().mul_scalar(decay) + new.reshape(old.dims()).mul_scalar(1.0 - decay),
            None => old,
        })
    }
}
