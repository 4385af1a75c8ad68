//! Random weights, for networks that are yet to be trained, sized or timed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::architecture::Initial;
use crate::{Checkpoint, Config, Tensor};

impl Checkpoint {
    /// Weights as each network wants them before training; the same seed gives the same weights.
    pub fn random(config: Config, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tensor = |(name, shape): (String, Vec<usize>)| {
            let data = match config.architecture.initial(&name, &shape) {
                Initial::Constant(value) => vec![value; shape.iter().product()],
                Initial::Random { deviation } => {
                    // A uniform distribution reaches the square root of 3 deviations far.
                    let reach = deviation * 3f32.sqrt();
                    (0..shape.iter().product()).map(|_| reach * (2.0 * rng.random::<f32>() - 1.0)).collect()
                }
                Initial::SinCos { columns } => sin_cos(shape[0], shape[1], columns),
            };
            (name, Tensor { shape, data })
        };
        let tensors = config.architecture.parameters().into_iter().map(&mut tensor).collect();
        Self { config, tensors }
    }
}

/// Positions of a grid as sines and cosines, `[positions, dim]`: half of a row for the column, half for the row
/// (Dosovitskiy et al., 2021).
fn sin_cos(positions: usize, dim: usize, columns: usize) -> Vec<f32> {
    let quarter = dim / 4;
    let mut table = vec![0.0; positions * dim];
    for (position, row) in table.chunks_exact_mut(dim).enumerate() {
        let (y, x) = (position / columns, position % columns);
        for (half, at) in [(0, x), (1, y)] {
            for k in 0..quarter {
                let angle = at as f64 / 10_000f64.powf(k as f64 / quarter as f64);
                row[(2 * half) * quarter + k] = angle.sin() as f32;
                row[(2 * half + 1) * quarter + k] = angle.cos() as f32;
            }
        }
    }
    table
}
