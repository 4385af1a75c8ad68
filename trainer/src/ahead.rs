//! Work of the next step, done on a thread of its own while this step trains.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Makes values from keys one ahead of when they are asked for.
pub struct Ahead<K, T> {
    wanted: Sender<K>,
    made: Receiver<(K, T)>,
    pending: Option<K>,
}

impl<K: Copy + PartialEq + Send + 'static, T: Send + 'static> Ahead<K, T> {
    /// Values by `make`, which depends on its key alone.
    pub fn new(mut make: impl FnMut(K) -> T + Send + 'static) -> Self {
        let (wanted, keys) = channel();
        let (results, made) = channel();
        // It ends when either channel's other end is dropped.
        thread::spawn(move || {
            for key in keys {
                if results.send((key, make(key))).is_err() {
                    return;
                }
            }
        });
        Self { wanted, made, pending: None }
    }

    /// The value of `key`; starts on that of `next`. `None` if the thread has died.
    pub fn get(&mut self, key: K, next: K) -> Option<T> {
        if self.pending != Some(key) {
            self.wanted.send(key).ok()?;
        }
        self.wanted.send(next).ok()?;
        self.pending = Some(next);
        loop {
            // A value that was started on, but not asked for in the end, is skipped.
            let (made, value) = self.made.recv().ok()?;
            if made == key {
                return Some(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_gets_its_value_in_any_order() {
        let mut ahead = Ahead::new(|key: u64| key * key);
        for (key, next) in [(1, 2), (2, 3), (3, 4), (9, 10), (10, 11), (4, 5)] {
            assert_eq!(ahead.get(key, next), Some(key * key));
        }
    }
}
