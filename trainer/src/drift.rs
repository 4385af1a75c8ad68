//! The drifting loss on one feature (arXiv 2602.04770, section 3, and its reference code).
//!
//! Every generated sample drifts towards real samples of its group and away from other generated ones; the loss pulls it
//! to where it would drift. Group: one class at one location of a feature map. Shapes: `B` groups, `G` generated, `P`
//! positive and `N` negative samples, `S` dimensions.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor};
use serde::{Deserialize, Serialize};

/// The paper's temperatures.
pub const TEMPERATURES: [f64; 3] = [0.02, 0.05, 0.2];

/// Added to the normalized distance of a sample to itself, so that it does not repel itself.
const SELF_DISTANCE: f64 = 100.0;
/// Floor of scales; below it a feature is constant.
const SCALE_FLOOR: f64 = 1e-3;
/// Floor of a mean squared drift.
const DRIFT_FLOOR: f64 = 1e-8;
/// Rounds of normalization over targets and samples that Sinkhorn's algorithm gets.
const SINKHORN_ROUNDS: usize = 10;

/// How affinity falls with the normalized distance `d` at temperature `t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// `exp(-d / t)`, the paper's.
    #[default]
    Exponential,
    /// `exp(-d^2 / t)`.
    Gaussian,
}

/// How kernels become affinities between generated samples (rows) and targets (columns).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// Geometric mean of the softmax over targets and the one over samples, the paper's.
    #[default]
    Both,
    /// Softmax over targets only.
    Targets,
    /// The kernel itself, up to one common factor.
    None,
    /// Rows and columns in turn until both are even (arXiv 2603.12366).
    Sinkhorn,
}

/// The drifting field. The default is the paper's.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Each gives a drift; the normalized drifts are summed.
    pub temperatures: Vec<f64>,
    /// How affinity falls with distance.
    pub kernel: Kernel,
    /// How kernels become affinities.
    pub normalization: Normalization,
    /// Floor of the product of the two softmaxes before its square root ([`Normalization::Both`]). The paper's 1e-6 gives
    /// far targets a say; in few dimensions that freezes small clusters, and 0 serves better.
    pub affinity_floor: f64,
}

impl Default for Field {
    fn default() -> Self {
        Self {
            temperatures: TEMPERATURES.to_vec(),
            kernel: Kernel::default(),
            normalization: Normalization::default(),
            affinity_floor: 1e-6,
        }
    }
}

/// Real samples that generated ones are held against; no gradient flows to them.
#[derive(Clone, Debug)]
pub struct Targets<B: Backend> {
    /// Real samples of the group's class, `[B, P, S]`.
    pub positives: Tensor<B, 3>,
    /// Real samples of any class, `[B, N, S]`, with their weights `[B, N]`: guidance.
    pub negatives: Option<(Tensor<B, 3>, Tensor<B, 2>)>,
}

/// A loss with what there is to know about it.
#[derive(Clone, Debug)]
pub struct DriftLoss<B: AutodiffBackend> {
    /// Loss of each group, `[B]`: mean over samples and dimensions. Its value is nearly constant by construction.
    pub loss: Tensor<B, 1>,
    /// Mean distance, the feature's scale.
    pub scale: f64,
    /// Mean squared drift of each temperature before normalization: what tells how far the distributions are apart.
    pub raw_drift: Vec<f64>,
}

/// The drift of each generated sample with its figures, all in units of the scale.
#[derive(Clone, Debug)]
pub struct Drift<B: Backend> {
    /// Sum of the normalized drifts of all temperatures, `[B, G, S]`, in units of `unit`.
    pub field: Tensor<B, 3>,
    /// Length that coordinates are divided by: the scale over the square root of `S`.
    pub unit: f64,
    /// Mean distance.
    pub scale: f64,
    /// Mean squared drift of each temperature before normalization.
    pub raw: Vec<f64>,
}

/// The loss of generated samples `[B, G, S]`; its gradient flows to them, their targets are held fixed.
///
/// Scale and drift norms are means over all groups, so groups of one call belong to one feature.
pub fn drift_loss<B: AutodiffBackend>(
    generated: Tensor<B, 3>,
    targets: &Targets<B::InnerBackend>,
    field: &Field,
) -> DriftLoss<B> {
    let fixed = generated.clone().inner();
    let drift = drift(fixed.clone(), targets, field);
    let goal = fixed.div_scalar(drift.unit) + drift.field;
    let difference = generated.div_scalar(drift.unit) - Tensor::from_inner(goal);
    let loss = difference.powi_scalar(2).mean_dim(2).mean_dim(1).flatten(0, 2);
    DriftLoss { loss, scale: drift.scale, raw_drift: drift.raw }
}

/// The drift of generated samples `[B, G, S]`.
pub fn drift<B: Backend>(generated: Tensor<B, 3>, targets: &Targets<B>, options: &Field) -> Drift<B> {
    let [groups, samples, dims] = generated.dims();
    let device = generated.device();
    let [_, positives, _] = targets.positives.dims();
    let mut all = vec![generated.clone(), targets.positives.clone()];
    let mut weights = None;
    if let Some((negatives, given)) = &targets.negatives {
        all.insert(1, negatives.clone());
        let own = Tensor::ones([groups, samples], &device);
        weights = Some(Tensor::cat(vec![own, given.clone()], 1).unsqueeze_dim::<3>(1));
    }
    let all = Tensor::cat(all, 1);
    let count = all.dims()[1];
    let repelling = count - positives;

    let distance = distances(generated.clone(), all.clone());
    let mean = |t: Tensor<B, 3>| t.mean().into_scalar().elem::<f64>();
    let scale = match &weights {
        Some(weights) => {
            let weights = Tensor::cat(vec![weights.clone(), Tensor::ones([groups, 1, positives], &device)], 2);
            mean(distance.clone() * weights.clone()) / mean(weights)
        }
        None => mean(distance.clone()),
    };
    let unit = (scale / (dims as f64).sqrt()).max(SCALE_FLOOR);
    let all = all.div_scalar(unit);
    let (repelled, attracting) = (all.clone().narrow(1, 0, repelling), all.narrow(1, repelling, positives));
    let own = Tensor::<B, 2>::eye(samples, &device);
    let own = Tensor::cat(vec![own, Tensor::zeros([samples, count - samples], &device)], 1).unsqueeze_dim::<3>(0);
    let distance = distance.div_scalar(scale.max(SCALE_FLOOR)) + own.clone().mul_scalar(SELF_DISTANCE);
    let distance = match options.kernel {
        Kernel::Exponential => distance,
        Kernel::Gaussian => distance.powi_scalar(2),
    };

    let mut field = Tensor::zeros([groups, samples, dims], &device);
    let mut raw = Vec::with_capacity(options.temperatures.len());
    for &temperature in &options.temperatures {
        let mut affinity = affinity(distance.clone().div_scalar(-temperature), options);
        if options.normalization == Normalization::Sinkhorn {
            // Even columns give the sample itself, which nothing else may claim, a share again.
            affinity = affinity * own.clone().neg().add_scalar(1.0);
        }
        let towards = affinity.clone().narrow(2, repelling, positives);
        let mut away = affinity.narrow(2, 0, repelling);
        if let Some(weights) = &weights {
            away = away * weights.clone();
        }
        // Each side is weighted with the mass of the other: equal distributions cancel exactly. The coefficients of all
        // targets then sum to zero, so that the sample's own position drops out.
        let (pull, push) = (towards.clone().matmul(attracting.clone()), away.clone().matmul(repelled.clone()));
        let drift = pull * away.sum_dim(2) - push * towards.sum_dim(2);
        let norm = mean(drift.clone().powi_scalar(2));
        field = field + drift.div_scalar(norm.max(DRIFT_FLOOR).sqrt());
        raw.push(norm);
    }
    Drift { field, unit, scale, raw }
}

/// Affinities `[B, G, T]` from the logarithms of kernels.
fn affinity<B: Backend>(logits: Tensor<B, 3>, options: &Field) -> Tensor<B, 3> {
    match options.normalization {
        Normalization::Both => {
            let product = softmax(logits.clone(), 2) * softmax(logits, 1);
            product.clamp_min(options.affinity_floor).sqrt()
        }
        Normalization::Targets => softmax(logits, 2),
        // The factor is common to all, so that the normalized drift does not see it; it keeps the kernel from vanishing.
        Normalization::None => {
            let largest = logits.clone().max().into_scalar().elem::<f64>();
            logits.sub_scalar(largest).exp()
        }
        Normalization::Sinkhorn => {
            let even = |logits, _| log_softmax(log_softmax(logits, 1), 2);
            (0..SINKHORN_ROUNDS).fold(logits, even).exp()
        }
    }
}

/// Euclidean distances `[B, G, T]` between `x` `[B, G, S]` and `y` `[B, T, S]`.
fn distances<B: Backend>(x: Tensor<B, 3>, y: Tensor<B, 3>) -> Tensor<B, 3> {
    let square = |t: Tensor<B, 3>| t.powi_scalar(2).sum_dim(2);
    let (xx, yy) = (square(x.clone()), square(y.clone()).swap_dims(1, 2));
    // Cancellation may leave a small negative number.
    let squared = xx + yy - x.matmul(y.swap_dims(1, 2)).mul_scalar(2.0);
    squared.clamp_min(0.0).sqrt()
}
