//! The drifting loss on one feature (arXiv 2602.04770, section 3, and its reference code).
//!
//! Every generated sample drifts towards real samples of its group and away from other generated ones; the loss pulls it
//! to where it would drift. Group: one class at one location of a feature map. Shapes: `B` groups, `G` generated, `P`
//! positive and `N` negative samples, `S` dimensions.

use burn::tensor::activation::softmax;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor};

/// The paper's temperatures.
pub const TEMPERATURES: [f64; 3] = [0.02, 0.05, 0.2];

/// Added to the normalized distance of a sample to itself, so that it does not repel itself.
const SELF_DISTANCE: f64 = 100.0;
/// Floor of the product of the two softmaxes before its square root.
const AFFINITY_FLOOR: f64 = 1e-6;
/// Floor of scales; below it a feature is constant.
const SCALE_FLOOR: f64 = 1e-3;
/// Floor of a mean squared drift.
const DRIFT_FLOOR: f64 = 1e-8;

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
struct Drift<B: Backend> {
    field: Tensor<B, 3>,
    unit: f64,
    scale: f64,
    raw: Vec<f64>,
}

/// The loss of generated samples `[B, G, S]`; its gradient flows to them, their targets are held fixed.
///
/// Scale and drift norms are means over all groups, so groups of one call belong to one feature.
pub fn drift_loss<B: AutodiffBackend>(
    generated: Tensor<B, 3>,
    targets: &Targets<B::InnerBackend>,
    temperatures: &[f64],
) -> DriftLoss<B> {
    let fixed = generated.clone().inner();
    let drift = drift(fixed.clone(), targets, temperatures);
    let goal = fixed.div_scalar(drift.unit) + drift.field;
    let difference = generated.div_scalar(drift.unit) - Tensor::from_inner(goal);
    let loss = difference.powi_scalar(2).mean_dim(2).mean_dim(1).flatten(0, 2);
    DriftLoss { loss, scale: drift.scale, raw_drift: drift.raw }
}

fn drift<B: Backend>(generated: Tensor<B, 3>, targets: &Targets<B>, temperatures: &[f64]) -> Drift<B> {
    let [groups, samples, dims] = generated.dims();
    let device = generated.device();
    let [_, positives, _] = targets.positives.dims();
    let ones = |n| Tensor::<B, 2>::ones([groups, n], &device);
    let (all, weights) = match &targets.negatives {
        Some((negatives, weights)) => (
            Tensor::cat(vec![generated.clone(), negatives.clone(), targets.positives.clone()], 1),
            Tensor::cat(vec![ones(samples), weights.clone(), ones(positives)], 1),
        ),
        None => (Tensor::cat(vec![generated.clone(), targets.positives.clone()], 1), ones(samples + positives)),
    };
    let count = all.dims()[1];
    let repelling = count - positives;
    let weights: Tensor<B, 3> = weights.unsqueeze_dim(1);

    let distance = distances(generated.clone(), all.clone());
    let mean = |t: Tensor<B, 3>| t.mean().into_scalar().elem::<f64>();
    let scale = mean(distance.clone() * weights.clone()) / mean(weights.clone());
    let unit = (scale / (dims as f64).sqrt()).max(SCALE_FLOOR);
    let (generated, all) = (generated.div_scalar(unit), all.div_scalar(unit));
    let own = Tensor::<B, 2>::eye(samples, &device).mul_scalar(SELF_DISTANCE);
    let own = Tensor::cat(vec![own, Tensor::zeros([samples, count - samples], &device)], 1);
    let distance = distance.div_scalar(scale.max(SCALE_FLOOR)) + own.unsqueeze_dim(0);

    let mut field = Tensor::zeros([groups, samples, dims], &device);
    let mut raw = Vec::with_capacity(temperatures.len());
    for &temperature in temperatures {
        let logits = distance.clone().div_scalar(-temperature);
        let product = softmax(logits.clone(), 2) * softmax(logits, 1);
        let affinity = product.clamp_min(AFFINITY_FLOOR).sqrt() * weights.clone();
        let away = affinity.clone().narrow(2, 0, repelling);
        let towards = affinity.narrow(2, repelling, positives);
        // Each side is weighted with the mass of the other: equal distributions cancel exactly.
        let coefficients =
            Tensor::cat(vec![-(away.clone() * towards.clone().sum_dim(2)), towards * away.sum_dim(2)], 2);
        let pull = coefficients.clone().matmul(all.clone());
        let drift = pull - coefficients.sum_dim(2) * generated.clone();
        let norm = mean(drift.clone().powi_scalar(2));
        field = field + drift.div_scalar(norm.max(DRIFT_FLOOR).sqrt());
        raw.push(norm);
    }
    Drift { field, unit, scale, raw }
}

/// Euclidean distances `[B, G, T]` between `x` `[B, G, S]` and `y` `[B, T, S]`.
fn distances<B: Backend>(x: Tensor<B, 3>, y: Tensor<B, 3>) -> Tensor<B, 3> {
    let square = |t: Tensor<B, 3>| t.powi_scalar(2).sum_dim(2);
    let (xx, yy) = (square(x.clone()), square(y.clone()).swap_dims(1, 2));
    // Cancellation may leave a small negative number.
    let squared = xx + yy - x.matmul(y.swap_dims(1, 2)).mul_scalar(2.0);
    squared.clamp_min(0.0).sqrt()
}
