//! Randomness that a resumed run repeats: everything is a function of the seed and a counter.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// A generator of random numbers for one purpose at one count.
pub fn rng(seed: u64, purpose: u64, count: u64) -> StdRng {
    let mut bytes = [0; 32];
    for (part, value) in bytes.chunks_exact_mut(8).zip([seed, purpose, count, 0x6472_6966_746c_6574]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    StdRng::from_seed(bytes)
}

/// Indices of a data set in random order, each once per epoch, for ever.
pub struct Order {
    seed: u64,
    len: usize,
    epoch: u64,
    permutation: Vec<u32>,
}

impl Order {
    /// The order of a seed over `len` items; `len` is not zero.
    pub fn new(seed: u64, len: usize) -> Self {
        Self { seed, len, epoch: u64::MAX, permutation: Vec::new() }
    }

    /// The item at a position that counts on through all epochs.
    pub fn at(&mut self, position: u64) -> usize {
        let epoch = position / self.len as u64;
        if epoch != self.epoch {
            self.permutation = (0..self.len as u32).collect();
            self.permutation.shuffle(&mut rng(self.seed, 0, epoch));
            self.epoch = epoch;
        }
        self.permutation[(position % self.len as u64) as usize] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_holds_each_item_once_and_repeats_exactly() {
        let mut order = Order::new(5, 100);
        let first: Vec<usize> = (0..100).map(|k| order.at(k)).collect();
        let second: Vec<usize> = (100..200).map(|k| order.at(k)).collect();
        assert_ne!(first, second);
        let mut sorted = second.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        let mut again = Order::new(5, 100);
        assert_eq!((100..200).map(|k| again.at(k)).collect::<Vec<_>>(), second);
    }
}
