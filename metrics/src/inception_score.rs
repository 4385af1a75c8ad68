//! Inception score (Salimans et al., 2016): how sure a classifier is of each picture, and how varied the pictures are.

use crate::summary::{information, softmax};

/// The score of pictures by the logits `[n, classes]` of a classifier, all of them at once.
///
/// # Panics
/// If there are no classes.
pub fn inception_score(logits: &[f32], classes: usize) -> f64 {
    Guesses::new(logits, classes).score(&vec![1; logits.len() / classes])
}

/// `exp(mean p ln p - sum m ln m)`, with the mean `m` of the probabilities: 1 for one and the same guess, the number of
/// classes at best. `certainty` is the sum of `p ln p` over `count` pictures.
pub fn score(probabilities: &[f64], certainty: f64, count: f64) -> f64 {
    let marginal: f64 = probabilities.iter().map(|sum| information(sum / count)).sum();
    libm::exp(certainty / count - marginal)
}

/// Probabilities of pictures, for scores of resamples.
pub struct Guesses {
    classes: usize,
    probabilities: Vec<f64>,
    certainty: Vec<f64>,
}

impl Guesses {
    /// Of logits `[n, classes]`.
    pub fn new(logits: &[f32], classes: usize) -> Self {
        let probabilities: Vec<f64> = logits.chunks_exact(classes).flat_map(softmax).collect();
        let certainty = |p: &[f64]| p.iter().map(|&p| information(p)).sum();
        Self { classes, certainty: probabilities.chunks_exact(classes).map(certainty).collect(), probabilities }
    }

    /// The score, every picture counted as often as its weight says.
    pub fn score(&self, weights: &[u32]) -> f64 {
        let mut sums = vec![0.0; self.classes];
        let (mut certainty, mut count) = (0.0, 0.0);
        let pictures = self.probabilities.chunks_exact(self.classes).zip(&self.certainty);
        for (&weight, (probabilities, &certain)) in weights.iter().zip(pictures).filter(|(w, _)| **w > 0) {
            let weight = f64::from(weight);
            sums.iter_mut().zip(probabilities).for_each(|(sum, p)| *sum += weight * p);
            certainty += weight * certain;
            count += weight;
        }
        score(&sums, certainty, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_one_to_the_number_of_classes() {
        let sure = |class: usize| (0..4).map(move |c| if c == class { 60.0 } else { 0.0 });
        let all: Vec<f32> = (0..4).flat_map(sure).collect();
        assert!((Guesses::new(&all, 4).score(&[1; 4]) - 4.0).abs() < 1e-9);
        assert!((Guesses::new(&all, 4).score(&[1, 1, 0, 0]) - 2.0).abs() < 1e-9);
        assert!((Guesses::new(&[0.5; 12], 4).score(&[1; 3]) - 1.0).abs() < 1e-12);
    }
}
