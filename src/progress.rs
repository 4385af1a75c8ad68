//! Progress of long work: a bar on a terminal, plain lines elsewhere, on standard error.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// Counts finished pieces of work.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    total: u64,
    done: AtomicU64,
}

impl Progress {
    /// Starts at none of `total` pieces.
    pub fn new(label: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            // The template is constant; should it be wrong, indicatif's own style serves.
            let style = ProgressStyle::with_template("{msg:32} {bar:32} {pos}/{len} {eta}");
            let bar = ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.with_message(label.to_owned())
        });
        Self { bar, label: label.to_owned(), total, done: AtomicU64::new(0) }
    }

    /// One more piece is done; callable from many threads.
    pub fn step(&self) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => {
                let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
                // Four lines in all.
                if done * 4 / self.total.max(1) > (done - 1) * 4 / self.total.max(1) {
                    eprintln!("{}: {done} of {}", self.label, self.total);
                }
            }
        }
    }

    /// So many pieces are done.
    pub fn reach(&self, done: u64) {
        let before = self.bar.as_ref().map_or_else(|| self.done.load(Ordering::Relaxed), ProgressBar::position);
        (before..done).for_each(|_| self.step());
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
