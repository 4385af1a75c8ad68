//! Features of pictures, by a feature network that runs on the runtime like any other model.

use aligned_vec::AVec;
use driftlet_runtime::{Model, Network};
use rayon::prelude::*;

use crate::MetricsError;

/// What a feature network saw in a set of pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// Length of a feature vector.
    pub dim: usize,
    /// `[n, dim]`.
    pub data: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// What the network says of each class, before softmax: `[n, classes]`.
    pub logits: Vec<f32>,
}

/// Memory that a model works in.
pub(crate) fn arena(model: &Model) -> AVec<u8> {
    let mut arena = AVec::new(64);
    arena.resize(model.arena_len(), 0);
    arena
}

/// Looks at pictures `[n, height, width, channels]`, 8-bit, on all cores; calls `step` after each.
///
/// # Errors
/// [`MetricsError`] if the model is no feature network, or the pictures do not fit it.
pub fn extract(model: &Model, pixels: &[u8], step: &(dyn Fn() + Sync)) -> Result<Features, MetricsError> {
    let image_len = Network::new(model, &mut arena(model))?.image_len();
    if pixels.is_empty() || !pixels.len().is_multiple_of(image_len) {
        let problem =
            format!("{} bytes are no pictures of {image_len} pixels, which the feature network takes", pixels.len());
        return Err(MetricsError::Shape(problem));
    }
    let seen: Vec<(Vec<f32>, Vec<f32>)> = pixels
        .par_chunks_exact(image_len)
        .map_init(
            || arena(model),
            |arena, image| {
                let mut network = Network::new(model, arena)?;
                let seen = network.run(image)?;
                step();
                Ok((seen.features.to_vec(), seen.output.to_vec()))
            },
        )
        .collect::<Result<_, MetricsError>>()?;
    let (dim, classes) = seen.first().map_or((0, 0), |(features, logits)| (features.len(), logits.len()));
    if dim == 0 || classes == 0 {
        return Err(MetricsError::Shape("the network has no feature vector; give a classifier".into()));
    }
    let (data, logits): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
    Ok(Features { dim, data: data.concat(), classes, logits: logits.concat() })
}

/// The class of the largest logit.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class as u32)
}

impl Features {
    /// The class that the network names, per picture.
    pub fn predicted(&self) -> impl Iterator<Item = u32> {
        self.logits.chunks_exact(self.classes).map(argmax)
    }

    /// Share of pictures that the network names as intended.
    pub fn accuracy(&self, intended: impl Iterator<Item = u32>) -> f64 {
        let right = self.predicted().zip(intended).filter(|(a, b)| a == b).count();
        right as f64 * self.dim as f64 / self.data.len() as f64
    }
}
