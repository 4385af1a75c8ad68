//! The drift changes its sign when data and generated samples change places; without that, training does not converge to
//! the data (arXiv 2602.04770, section 3).

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use driftlet_trainer::drift::{DriftLoss, Field, Targets, drift_loss};

type Backend = Autodiff<Flex>;
type Failure = Box<dyn std::error::Error>;

const GROUPS: usize = 3;
const SAMPLES: usize = 12;
const DIMS: usize = 5;

/// Different points that fill a cube around a centre (a Weyl sequence per dimension).
fn cloud(count: usize, centre: f32, start: usize) -> TensorData {
    const STEPS: [f32; DIMS] = [0.754_878, 0.569_840, 0.618_034, 0.414_214, 0.732_051];
    let point = |i: usize| STEPS.map(|step| centre + ((i + start + 1) as f32 * step).fract());
    TensorData::new((0..GROUPS * count).flat_map(point).collect::<Vec<f32>>(), [GROUPS, count, DIMS])
}

/// The loss of one generated sample per group between attracting and repelling real ones, and its gradient. One sample
/// has no generated neighbours, so that the two sides are exactly alike.
fn between(attracting: TensorData, repelling: TensorData) -> Result<(DriftLoss<Backend>, Vec<f32>), Failure> {
    let device = Default::default();
    let targets = Targets::<Flex> {
        positives: Tensor::from_data(attracting, &device),
        negatives: Some((Tensor::from_data(repelling, &device), Tensor::ones([GROUPS, SAMPLES], &device))),
    };
    let generated = Tensor::<Backend, 3>::from_data(cloud(1, 0.3, 500), &device).require_grad();
    let result = drift_loss(generated.clone(), &targets, &Field::default());
    let gradients = result.loss.clone().sum().backward();
    let gradient = generated.grad(&gradients).ok_or("no gradient")?;
    Ok((result, gradient.into_data().to_vec().map_err(|e| format!("{e:?}"))?))
}

#[test]
fn exchanging_the_sides_turns_the_drift_around() -> Result<(), Failure> {
    let (p, q) = (cloud(SAMPLES, 0.0, 0), cloud(SAMPLES, 0.5, 100));
    let (_, forth) = between(p.clone(), q.clone())?;
    let (_, back) = between(q, p)?;
    let largest = forth.iter().fold(0f32, |max, x| max.max(x.abs()));
    assert!(largest > 0.0);
    for (a, b) in forth.iter().zip(&back) {
        // The floor of the affinity leaves a thousandth on the sample itself.
        assert!((a + b).abs() < 0.02 * largest, "{a} against {b}");
    }
    Ok(())
}

#[test]
fn equal_sides_cancel() -> Result<(), Failure> {
    let p = cloud(SAMPLES, 0.0, 0);
    let (apart, _) = between(p.clone(), cloud(SAMPLES, 0.5, 100))?;
    let (equal, _) = between(p.clone(), p)?;
    // What does not cancel is the floor of the sample's affinity to itself, the root of 1e-6, times the other side's pull:
    // its affinities sum to at most the root of their number, and normalized coordinates are about 1.
    let rest = 1e-6 * SAMPLES as f64;
    for (equal, apart) in equal.raw_drift.iter().zip(&apart.raw_drift) {
        assert!(*equal < rest && *apart > 10.0 * rest, "{equal} against {apart}");
    }
    Ok(())
}
