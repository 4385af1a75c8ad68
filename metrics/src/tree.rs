//! Sums in a fixed order, whoever computed which part.
//!
//! Samples stand in leaves of [`LEAF`]; leaves are joined in pairs, pairs in fours, and so on, always at multiples of the
//! power of two. A part of the samples keeps the joined nodes that lie wholly within it, at most two of each size, and parts
//! that meet go on joining as if they had always been one: the last bits are the same for any number of parts.

use std::ops::Range;

use crate::MetricsError;

/// Samples of a leaf; only the last of all may have fewer.
pub const LEAF: usize = 256;

/// What can be joined with what comes right after it.
pub trait Join {
    /// Adds what comes right after.
    fn join(&mut self, next: &Self);
}

/// Joined leaves: `1 << level` of them, from leaf `index << level` on.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<T> {
    /// Joined so many times.
    pub level: u32,
    /// Place among the nodes of its level.
    pub index: u64,
    /// The sum.
    pub sum: T,
}

impl<T> Node<T> {
    /// Leaves that it holds.
    pub fn leaves(&self) -> Range<u64> {
        self.index << self.level..(self.index + 1) << self.level
    }
}

/// Nodes of consecutive leaves, each as large as it can be.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree<T> {
    nodes: Vec<Node<T>>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { nodes: Vec::new() }
    }
}

impl<T: Join + Clone> Tree<T> {
    /// The nodes, by their leaves.
    pub fn nodes(&self) -> &[Node<T>] {
        &self.nodes
    }

    /// Leaves that it holds.
    pub fn leaves(&self) -> Range<u64> {
        match (self.nodes.first(), self.nodes.last()) {
            (Some(first), Some(last)) => first.leaves().start..last.leaves().end,
            _ => 0..0,
        }
    }

    /// Adds the node that comes next.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if it does not begin where the tree ends.
    pub fn push(&mut self, node: Node<T>) -> Result<(), MetricsError> {
        let leaves = node.leaves();
        if !self.nodes.is_empty() && self.leaves().end != leaves.start {
            let problem = format!("leaf {} cannot follow leaf {}", leaves.start, self.leaves().end);
            return Err(MetricsError::Shape(problem));
        }
        self.nodes.push(node);
        self.settle();
        Ok(())
    }

    /// Joins neighbours until none are halves of one node.
    fn settle(&mut self) {
        let halves = |pair: &[Node<T>]| pair[0].level == pair[1].level && pair[0].index.is_multiple_of(2);
        while let Some(at) = self.nodes.windows(2).position(halves) {
            let right = self.nodes.remove(at + 1);
            let left = &mut self.nodes[at];
            left.sum.join(&right.sum);
            (left.level, left.index) = (left.level + 1, left.index / 2);
        }
    }

    /// Adds the leaves that come next.
    ///
    /// # Errors
    /// As [`Tree::push`].
    pub fn extend(&mut self, next: Self) -> Result<(), MetricsError> {
        next.nodes.into_iter().try_for_each(|node| self.push(node))
    }

    /// The sum of all leaves, from the smallest nodes at the end to the largest; `None` without leaves.
    pub fn total(&self) -> Option<T> {
        let (last, before) = self.nodes.split_last()?;
        let add = |sum: T, node: &Node<T>| {
            let mut joined = node.sum.clone();
            joined.join(&sum);
            joined
        };
        Some(before.iter().rev().fold(last.sum.clone(), add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a sum was put together.
    #[derive(Clone, Debug, PartialEq)]
    struct Order(String);

    impl Join for Order {
        fn join(&mut self, next: &Self) {
            self.0 = format!("({} {})", self.0, next.0);
        }
    }

    fn part(leaves: Range<u64>) -> Result<Tree<Order>, MetricsError> {
        let mut tree = Tree::default();
        for index in leaves {
            tree.push(Node { level: 0, index, sum: Order(index.to_string()) })?;
        }
        Ok(tree)
    }

    #[test]
    fn parts_join_in_the_order_of_the_whole() -> Result<(), MetricsError> {
        for count in 1..40 {
            let whole = part(0..count)?;
            for (a, b) in (0..=count).flat_map(|a| (a..=count).map(move |b| (a, b))) {
                let mut joined = part(0..a)?;
                joined.extend(part(a..b)?)?;
                joined.extend(part(b..count)?)?;
                assert_eq!(joined, whole);
            }
        }
        assert_eq!(part(0..7)?.total(), Some(Order("(((0 1) (2 3)) ((4 5) 6))".into())));
        assert!(part(1..38)?.nodes().len() <= 2 * 6);
        Ok(())
    }

    #[test]
    fn gaps_are_refused() -> Result<(), MetricsError> {
        let mut tree = part(0..3)?;
        assert!(tree.extend(part(4..5)?).is_err() && tree.extend(part(2..3)?).is_err());
        assert_eq!(Tree::<Order>::default().total(), None);
        Ok(())
    }
}
