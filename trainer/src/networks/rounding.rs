//! Networks that compute with weights of 4 bits, as files of `quantize --weights 4` hold them, so that training gets used to them
//! (quantization-aware training).

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use driftlet_runtime::panels::{QUAD, SHARE};

/// Integers lie from -8 to 7.
const LARGEST: f64 = 7.0;
/// Multipliers lie from 1 to 16.
const MULTIPLIERS: f64 = 16.0;

/// A copy of a network whose convolutions and linear layers have weights of 4 bits: an integer times a multiplier for every 16
/// terms times a step for each output. Gradients flow through it to the weights of the original as if nothing had been rounded
/// (the straight-through estimator: Bengio, Leonard and Courville, 2013, arXiv 1308.3432).
pub fn in_four_bits<B: Backend, M: Module<B>>(module: M) -> M {
    module.map(&mut Round { filter: false })
}

struct Round {
    /// Whether the parameter at hand is one of a convolution or a linear layer.
    filter: bool,
}

impl<B: Backend> ModuleMapper<B> for Round {
    fn enter_module(&mut self, field: &str, owner: &str) {
        self.filter = field == "weight" && matches!(owner, "Struct:Conv" | "Struct:Linear");
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if !self.filter {
            return param;
        }
        param.map(|weight| weight.clone() + (rounded(weight.clone()) - weight).detach())
    }
}

/// The nearest weights on the grid: of a convolution `[out, in, k, k]`, of a linear layer `[out, in]`.
fn rounded<B: Backend, const D: usize>(weight: Tensor<B, D>) -> Tensor<B, D> {
    let dims = weight.dims();
    let (outputs, inputs) = (dims[0], dims[1]);
    let taps = dims[2..].iter().product();
    // Times one, which copies: burn-tch 0.21 takes what `swap_dims` gives for a tensor of its own and computes in place, in the
    // original's memory.
    let by_tap = weight.mul_scalar(1.0).reshape([outputs, inputs, taps]).swap_dims(1, 2);
    let stored = taps * inputs.next_multiple_of(QUAD);
    let terms = filled(filled(by_tap, QUAD).reshape([outputs, 1, stored]), SHARE);
    let groups = terms.reshape([outputs, stored.div_ceil(SHARE), SHARE]);

    let reach = groups.clone().abs().max_dim(2);
    // A channel of zeros has a step too.
    let step = reach.clone().max_dim(1).div_scalar(LARGEST * MULTIPLIERS).clamp_min(f32::MIN_POSITIVE);
    let multiplier = (reach / (step.clone() * LARGEST)).ceil().clamp(1.0, MULTIPLIERS);
    let step = step * multiplier;
    let integers = (groups / step.clone()).round().clamp(-LARGEST - 1.0, LARGEST);

    let terms = (integers * step).reshape([outputs, 1, stored.next_multiple_of(SHARE)]).narrow(2, 0, stored);
    let by_tap = terms.reshape([outputs, taps, stored / taps]).narrow(2, 0, inputs);
    by_tap.swap_dims(1, 2).reshape(dims)
}

/// Zeros behind the last dimension, up to a multiple of a number.
fn filled<B: Backend>(x: Tensor<B, 3>, multiple: usize) -> Tensor<B, 3> {
    let [a, b, len] = x.dims();
    let missing = len.next_multiple_of(multiple) - len;
    if missing == 0 {
        return x;
    }
    let zeros = Tensor::zeros([a, b, missing], &x.device());
    Tensor::cat(vec![x, zeros], 2)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::backend::{Autodiff, Flex};
    use burn::tensor::{Distribution, TensorData};

    use super::super::layers::{Conv, Linear, Table};
    use super::*;

    type Cpu = Autodiff<Flex>;

    fn values<const D: usize>(tensor: Tensor<Cpu, D>) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap_or_default()
    }

    /// Every group of stored terms has at most 16 values, evenly spaced by a whole multiple of the channel's step.
    #[test]
    fn weights_lie_on_the_grid_of_the_file() {
        let device = Default::default();
        for (outputs, inputs, kernel) in [(3, 14, 3), (5, 16, 1), (2, 3, 3), (1, 70, 1)] {
            let weight =
                Tensor::<Cpu, 4>::random([outputs, inputs, kernel, kernel], Distribution::Default, &device) - 0.5;
            let (before, after) = (values(weight.clone()), values(rounded(weight)));
            let taps = kernel * kernel;
            for o in 0..outputs {
                let row = &before[o * inputs * taps..][..inputs * taps];
                let step = row.iter().fold(0f32, |m, w| m.max(w.abs())) / 112.0;
                for (i, &w) in row.iter().enumerate() {
                    let (input, tap) = (i / taps, i % taps);
                    let group = (tap * inputs.next_multiple_of(QUAD) + input) / SHARE;
                    let reach = row
                        .iter()
                        .enumerate()
                        .filter(|(j, _)| (j % taps * inputs.next_multiple_of(QUAD) + j / taps) / SHARE == group);
                    let reach = reach.fold(0f32, |m, (_, w)| m.max(w.abs()));
                    let multiplier = (reach / (7.0 * step)).ceil().clamp(1.0, 16.0);
                    let expected = (w / (step * multiplier)).round().clamp(-8.0, 7.0) * step * multiplier;
                    let found = after[o * inputs * taps + i];
                    assert!((found - expected).abs() < 1e-5, "{outputs} {inputs} {kernel}: {w} {found} {expected}");
                }
            }
        }
    }

    /// The original stays what it was, and both backends round alike.
    #[cfg(feature = "tch")]
    #[test]
    fn libtorch_rounds_a_copy() {
        use burn::backend::LibTorch;
        for shape in [[56, 48, 1, 1], [14, 32, 3, 3], [40, 12, 3, 3]] {
            let weight = Tensor::<Cpu, 4>::random(shape, Distribution::Default, &Default::default()) - 0.5;
            let there = Tensor::<LibTorch, 4>::from_data(weight.to_data(), &Default::default());
            let found: Vec<f32> = rounded(there.clone()).into_data().to_vec().unwrap_or_default();
            assert_eq!(there.into_data(), weight.to_data());
            assert_eq!(found, values(rounded(weight)), "{shape:?}");
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let zeros = Tensor::<Cpu, 2>::zeros([3, 20], &Default::default());
        assert_eq!(values(rounded(zeros)), vec![0.0; 60]);
    }

    #[derive(Module, Debug)]
    struct Network<B: Backend> {
        linear: Linear<B>,
        conv: Conv<B>,
        table: Table<B>,
    }

    /// Filters are rounded, with the gradient of the unrounded; tables and biases are left alone.
    #[test]
    fn gradients_reach_the_original() {
        let device = Default::default();
        let network = Network::<Cpu> {
            linear: Linear::new(2, 3, &device),
            conv: Conv::new(2, 3, &device),
            table: Table::new(2, 3, &device),
        };
        let mut draw = Draw;
        let network = network.map(&mut draw);
        let copy = in_four_bits(network.clone());
        let x = Tensor::from_data(TensorData::from([[1.0f32, -2.0, 3.0]]), &device);
        let y = copy.linear.forward(x.clone());
        assert_ne!(values(y.clone()), values(network.linear.forward(x.clone())));
        assert_eq!(values(copy.table.rows()), values(network.table.rows()));
        let gradients = burn::optim::GradientsParams::from_grads(y.sum().backward(), &network);
        let mut found = Gradients { gradients, filters: Vec::new() };
        burn::module::Module::visit(&network, &mut found);
        assert_eq!(found.filters, vec![vec![1.0, -2.0, 3.0, 1.0, -2.0, 3.0]]);
    }

    struct Draw;

    impl ModuleMapper<Cpu> for Draw {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<Cpu, D>>) -> Param<Tensor<Cpu, D>> {
            param.map(|old| Tensor::random(old.dims(), Distribution::Normal(0.0, 1.0), &old.device()).require_grad())
        }
    }

    struct Gradients {
        gradients: burn::optim::GradientsParams,
        filters: Vec<Vec<f32>>,
    }

    impl burn::module::ModuleVisitor<Cpu> for Gradients {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Cpu, D>>) {
            if D > 1
                && let Some(gradient) = self.gradients.get::<Flex, D>(param.id)
            {
                self.filters.push(gradient.into_data().to_vec().unwrap_or_default());
            }
        }
    }
}
