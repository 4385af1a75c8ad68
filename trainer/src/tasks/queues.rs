//! Rings of recent real samples, one per class and one of all, as indices into the data set.

use rand::Rng;
use rand::seq::index;

use crate::order::Order;

/// The paper's queues; a function of the seed and of how much was pushed.
pub struct Queues {
    classes: Vec<Ring>,
    global: Ring,
    order: Order,
    pushed: u64,
}

struct Ring {
    items: Vec<u32>,
    next: usize,
    capacity: usize,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self { items: Vec::with_capacity(capacity), next: 0, capacity }
    }

    fn push(&mut self, item: u32) {
        if self.items.len() < self.capacity {
            self.items.push(item);
        } else {
            self.items[self.next] = item;
            self.next = (self.next + 1) % self.capacity;
        }
    }

    fn draw(&self, count: usize, rng: &mut impl Rng) -> impl Iterator<Item = usize> {
        let count = count.min(self.items.len());
        index::sample(rng, self.items.len(), count).into_iter().map(|i| self.items[i] as usize)
    }
}

impl Queues {
    /// Empty rings.
    pub fn new(classes: usize, class_capacity: usize, global_capacity: usize, seed: u64, len: usize) -> Self {
        Self {
            classes: (0..classes).map(|_| Ring::new(class_capacity)).collect(),
            global: Ring::new(global_capacity),
            order: Order::new(seed, len),
            pushed: 0,
        }
    }

    /// Pushes samples until `total` were pushed since the beginning; called with the same totals, rings are the same.
    /// At first it goes on until every class has `least` samples.
    pub fn fill(&mut self, total: u64, least: usize, labels: &[u32]) {
        while self.pushed < total || self.classes.iter().any(|ring| ring.items.len() < least) {
            let index = self.order.at(self.pushed);
            self.classes[labels[index] as usize].push(index as u32);
            self.global.push(index as u32);
            self.pushed += 1;
        }
    }

    /// Different samples of a class.
    pub fn of_class(&self, class: usize, count: usize, rng: &mut impl Rng) -> impl Iterator<Item = usize> {
        self.classes[class].draw(count, rng)
    }

    /// Different samples of any class.
    pub fn of_all(&self, count: usize, rng: &mut impl Rng) -> impl Iterator<Item = usize> {
        self.global.draw(count, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::rng;

    #[test]
    fn rings_hold_the_newest_and_repeat_after_a_gap() {
        let labels: Vec<u32> = (0..1000).map(|i| i % 3).collect();
        let filled = |totals: &[u64]| {
            let mut queues = Queues::new(3, 16, 40, 9, labels.len());
            totals.iter().for_each(|&total| queues.fill(total, 8, &labels));
            queues
        };
        let (steady, jumped) = (filled(&[100, 200, 1500]), filled(&[1500]));
        for class in 0..3 {
            let drawn: Vec<usize> = steady.of_class(class, 8, &mut rng(1, 2, 3)).collect();
            assert_eq!(drawn, jumped.of_class(class, 8, &mut rng(1, 2, 3)).collect::<Vec<_>>());
            assert!(drawn.iter().all(|&i| labels[i] as usize == class));
            assert_eq!(drawn.len(), 8);
        }
        assert_eq!(steady.of_all(100, &mut rng(1, 2, 3)).count(), 40);
    }
}
