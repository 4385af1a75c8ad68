//! What is added up of the pictures of one model.

use sha2::{Digest, Sha256};

use crate::features::argmax;
use crate::ssim::ssim;
use crate::tree::Join;
use crate::{Features, MetricsError, Moments};

/// Sums over consecutive pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Of the feature vectors.
    pub moments: Moments,
    /// Pictures that the network takes for what they are meant to be.
    pub named: u64,
    /// Sum of the probabilities of each class.
    pub probabilities: Vec<f64>,
    /// Sum of `p ln p` over pictures and classes.
    pub certainty: f64,
    /// Against the reference's pictures.
    pub pairs: Pairs,
    /// SHA-256 of the pixels of a leaf's pictures; of the two digests where parts were joined.
    pub digest: [u8; 32],
}

/// Sums over pairs of pictures with equal seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pairs {
    /// Of squared differences of pixels.
    pub squares: u64,
    /// Of structural similarities.
    pub similarity: f64,
    /// Of distances between feature vectors.
    pub distance: f64,
}

impl Join for Summary {
    fn join(&mut self, next: &Self) {
        self.moments.join(&next.moments);
        self.named += next.named;
        self.probabilities.iter_mut().zip(&next.probabilities).for_each(|(a, b)| *a += b);
        self.certainty += next.certainty;
        self.pairs.add(&next.pairs);
        self.digest = Sha256::new().chain_update(self.digest).chain_update(next.digest).finalize().into();
    }
}

impl Pairs {
    /// Of one picture and its counterpart.
    pub fn of([pixels, other]: [&[u8]; 2], shape: [usize; 3], [features, others]: [&[f32]; 2]) -> Self {
        let square = |(&a, &b): (&u8, &u8)| u64::from(a.abs_diff(b)).pow(2);
        let distance = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
        Self {
            squares: pixels.iter().zip(other).map(square).sum(),
            similarity: ssim(pixels, other, shape),
            distance: features.iter().zip(others).map(distance).sum::<f64>().sqrt(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.squares += other.squares;
        self.similarity += other.similarity;
        self.distance += other.distance;
    }
}

impl Summary {
    /// Of the pictures of a leaf, with what they are meant to be and how they compare with the reference's.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if a feature is not finite.
    pub fn of(pixels: &[u8], features: &Features, intended: &[u32], pairs: &[Pairs]) -> Result<Self, MetricsError> {
        let mut probabilities = vec![0.0; features.classes];
        let (mut certainty, mut named) = (0.0, 0);
        for (logits, &class) in features.logits.chunks_exact(features.classes).zip(intended) {
            named += u64::from(argmax(logits) == class);
            for (sum, p) in probabilities.iter_mut().zip(softmax(logits)) {
                *sum += p;
                certainty += information(p);
            }
        }
        let mut sum = Pairs::default();
        pairs.iter().for_each(|pair| sum.add(pair));
        let moments = Moments::of(&features.data, features.dim)?;
        Ok(Self { moments, named, probabilities, certainty, pairs: sum, digest: Sha256::digest(pixels).into() })
    }
}

/// Probabilities of logits; not by the system's exponential, so that they are the same on every machine.
pub fn softmax(logits: &[f32]) -> impl Iterator<Item = f64> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let power = move |&x: &f32| libm::exp(f64::from(x) - f64::from(largest));
    let sum: f64 = logits.iter().map(power).sum();
    logits.iter().map(move |x| power(x) / sum)
}

/// `p ln p`, 0 at 0.
pub fn information(p: f64) -> f64 {
    if p > 0.0 { p * libm::log(p) } else { 0.0 }
}
