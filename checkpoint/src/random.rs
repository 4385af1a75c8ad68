//! Random weights, for networks that are yet to be trained, sized or timed.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{Checkpoint, Config, Tensor};

impl Checkpoint {
    /// Weights uniform with variance 2 / inputs (He et al., 2015), which keeps the size of signals through rectifiers;
    /// biases zero. Embedding tables have a standard deviation of 0.5; the layers that end a network are ten times
    /// smaller, so that an untrained generator makes grey pictures. Normalizations start as the identity.
    pub fn random(config: Config, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tensor = |(name, shape): (String, Vec<usize>)| {
            let inputs: usize = shape[1..].iter().product();
            // The weight of a normalization is a scale, the only weight with one dimension.
            let centre = if name.ends_with("weight") && shape.len() == 1 { 1.0 } else { 0.0 };
            let deviation = if shape.len() == 1 || name.ends_with("gamma") || name.ends_with("beta") {
                0.0
            } else if name == "class.weight" || name == "guidance.weight" {
                0.5
            } else if name == "out.weight" || name == "head.weight" {
                0.1 * (2.0 / inputs as f32).sqrt()
            } else {
                (2.0 / inputs as f32).sqrt()
            };
            // A uniform distribution reaches the square root of 3 deviations far.
            let reach = deviation * 3f32.sqrt();
            let len = shape.iter().product();
            let data = (0..len).map(|_| centre + reach * (2.0 * rng.random::<f32>() - 1.0)).collect();
            (name, Tensor { shape, data })
        };
        let tensors = config.architecture.parameters().into_iter().map(&mut tensor).collect();
        Self { config, tensors }
    }
}
