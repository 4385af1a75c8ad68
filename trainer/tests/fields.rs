//! What every kind of drifting field must have: it changes its sign when data and generated samples change places, it is
//! zero where both agree, and the loss's gradient is the drift. Without the first, training does not converge to the data
//! (arXiv 2602.04770, section 3).

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use driftlet_trainer::drift::{DriftLoss, Field, Kernel, Normalization, Targets, drift, drift_loss};

type Backend = Autodiff<Flex>;
type Failure = Box<dyn std::error::Error>;

const GROUPS: usize = 3;
const SAMPLES: usize = 12;
const DIMS: usize = 5;

/// Every kind, with its name.
fn fields() -> Vec<(String, Field)> {
    let kernels = [Kernel::Exponential, Kernel::Gaussian];
    let normalizations = [Normalization::Both, Normalization::Targets, Normalization::None, Normalization::Sinkhorn];
    let all = kernels.into_iter().flat_map(|kernel| normalizations.map(|normalization| (kernel, normalization)));
    all.map(|(kernel, normalization)| {
        (format!("{kernel:?}, {normalization:?}"), Field { kernel, normalization, ..Field::default() })
    })
    .collect()
}

/// Different points that fill a cube around a centre (a Weyl sequence per dimension).
fn cloud(count: usize, centre: f32, start: usize) -> TensorData {
    const STEPS: [f32; DIMS] = [0.754_878, 0.569_840, 0.618_034, 0.414_214, 0.732_051];
    let point = |i: usize| STEPS.map(|step| centre + ((i + start + 1) as f32 * step).fract());
    TensorData::new((0..GROUPS * count).flat_map(point).collect::<Vec<f32>>(), [GROUPS, count, DIMS])
}

/// The loss of one generated sample per group between attracting and repelling real ones, and its gradient. One sample
/// has no generated neighbours, so that the two sides are exactly alike.
fn between(
    attracting: TensorData,
    repelling: TensorData,
    field: &Field,
) -> Result<(DriftLoss<Backend>, Vec<f32>), Failure> {
    let device = Default::default();
    let targets = Targets::<Flex> {
        positives: Tensor::from_data(attracting, &device),
        negatives: Some((Tensor::from_data(repelling, &device), Tensor::ones([GROUPS, SAMPLES], &device))),
    };
    let generated = Tensor::<Backend, 3>::from_data(cloud(1, 0.3, 500), &device).require_grad();
    let result = drift_loss(generated.clone(), &targets, field);
    let gradients = result.loss.clone().sum().backward();
    let gradient = generated.grad(&gradients).ok_or("no gradient")?;
    Ok((result, gradient.into_data().to_vec().map_err(|e| format!("{e:?}"))?))
}

#[test]
fn exchanging_the_sides_turns_the_drift_around() -> Result<(), Failure> {
    for (name, field) in fields() {
        let (p, q) = (cloud(SAMPLES, 0.0, 0), cloud(SAMPLES, 0.5, 100));
        let (_, forth) = between(p.clone(), q.clone(), &field)?;
        let (_, back) = between(q, p, &field)?;
        let largest = forth.iter().fold(0f32, |max, x| max.max(x.abs()));
        assert!(largest > 0.0, "{name}");
        for (a, b) in forth.iter().zip(&back) {
            // The floor of the affinity leaves a thousandth on the sample itself.
            assert!((a + b).abs() < 0.02 * largest, "{name}: {a} against {b}");
        }
    }
    Ok(())
}

#[test]
fn equal_sides_cancel() -> Result<(), Failure> {
    for (name, field) in fields() {
        let p = cloud(SAMPLES, 0.0, 0);
        let (apart, _) = between(p.clone(), cloud(SAMPLES, 0.5, 100), &field)?;
        let (equal, _) = between(p.clone(), p, &field)?;
        // What does not cancel is the floor of the sample's affinity to itself, the root of 1e-6, times the other side's
        // pull: its affinities sum to at most the root of their number, and normalized coordinates are about 1.
        let rest = 1e-6 * SAMPLES as f64;
        // Where hardly any affinity is left, also the rounding of coordinates, by another processor's products differently.
        let rounding = SAMPLES as f64 * f64::from(f32::EPSILON).powi(2);
        for (equal, apart) in equal.raw_drift.iter().zip(&apart.raw_drift) {
            assert!(*equal < rest && *equal < rounding.max(0.1 * apart), "{name}: {equal} against {apart}");
        }
    }
    Ok(())
}

/// With the targets held fixed, the loss is the mean of `(x / unit - goal)^2`: finite differences of that agree with the
/// gradient that training uses.
#[test]
fn the_gradient_is_that_of_finite_differences() -> Result<(), Failure> {
    let device = Default::default();
    for (name, field) in fields() {
        let targets = Targets::<Flex> {
            positives: Tensor::from_data(cloud(SAMPLES, 0.0, 0), &device),
            negatives: Some((
                Tensor::from_data(cloud(SAMPLES, 0.5, 100), &device),
                Tensor::full([GROUPS, SAMPLES], 0.7, &device),
            )),
        };
        let data = cloud(4, 0.3, 500);
        let generated = Tensor::<Backend, 3>::from_data(data.clone(), &device).require_grad();
        let loss = drift_loss(generated.clone(), &targets, &field).loss.sum();
        let gradients = loss.backward();
        let gradient = generated.grad(&gradients).ok_or("no gradient")?;
        let gradient: Vec<f32> = gradient.into_data().to_vec().map_err(|e| format!("{e:?}"))?;

        let fixed = Tensor::<Flex, 3>::from_data(data, &device);
        let drift = drift(fixed.clone(), &targets, &field);
        let vector = |tensor: Tensor<Flex, 3>| tensor.into_data().to_vec::<f32>().map_err(|e| format!("{e:?}"));
        let (x, v) = (vector(fixed)?, vector(drift.field)?);
        let per_group = (4 * DIMS) as f64;
        let value = |i: usize, moved: f64| {
            let (x, v) = (f64::from(x[i]), f64::from(v[i]));
            let difference = (x + moved) / drift.unit - (x / drift.unit + v);
            difference * difference / per_group
        };
        let largest = gradient.iter().fold(0f32, |max, g| max.max(g.abs()));
        for (i, &g) in gradient.iter().enumerate() {
            let step = 1e-4;
            let slope = (value(i, step) - value(i, -step)) / (2.0 * step);
            assert!((slope - f64::from(g)).abs() < 1e-3 * f64::from(largest), "{name}: {slope} against {g}");
        }
    }
    Ok(())
}
