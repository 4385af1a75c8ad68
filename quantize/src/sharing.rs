//! Tables that several operators read are kept once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::program::{Shared, Tensor};

/// Indices of the tensors that were kept, by the table they come from.
#[derive(Default)]
pub struct Sharing(BTreeMap<usize, u32>);

impl Sharing {
    /// A table: made for its first user, whose tensor gets the index `next`, and only named for the others.
    pub fn table<'g, T>(&mut self, source: &Arc<T>, next: usize, make: impl FnOnce() -> Tensor<'g>) -> Shared<'g> {
        match self.0.entry(Arc::as_ptr(source).addr()) {
            std::collections::btree_map::Entry::Occupied(kept) => Shared::Again(*kept.get()),
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(next as u32);
                Shared::New(make())
            }
        }
    }
}
