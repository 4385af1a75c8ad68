//! How far long work is.

use std::fmt;
use std::sync::Arc;

/// Hears what is being done, how many of its steps are done, and how many there are at most; the last call says that all are.
#[derive(Clone, Default)]
pub struct Listener(Option<Arc<Hears>>);

type Hears = dyn Fn(&str, u64, u64) + Send + Sync;

impl Listener {
    /// Calls `hears`.
    pub fn new(hears: impl Fn(&str, u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hears)))
    }

    pub(crate) fn hear(&self, what: &str, done: usize, total: usize) {
        if let Some(hears) = &self.0 {
            hears(what, done as u64, total as u64);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "None" })
    }
}
