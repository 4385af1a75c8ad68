//! `log.jsonl`, and what people see on the way.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use driftlet_checkpoint::write_atomic;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::TrainError;

/// The log of a run.
pub struct Log {
    path: PathBuf,
    file: File,
    bar: Option<ProgressBar>,
}

impl Log {
    /// Opens the log; lines after `start`, of steps that a resumed run repeats, are dropped.
    pub fn open(path: &Path, start: u64, steps: u64) -> Result<Self, TrainError> {
        let error = |source| TrainError::Write { path: path.into(), source };
        let old = std::fs::read_to_string(path).unwrap_or_default();
        let step_of = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("step")?.as_u64();
        let kept = old.lines().filter(|line| step_of(line).is_some_and(|step| step <= start));
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        write_atomic(path, kept.as_bytes()).map_err(error)?;
        let file = OpenOptions::new().append(true).open(path).map_err(error)?;
        let bar = std::io::stderr().is_terminal().then(|| {
            // The template is constant; should it be wrong, indicatif's own style serves.
            let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {eta} {msg}");
            let bar = ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.with_position(start)
        });
        Ok(Self { path: path.into(), file, bar })
    }

    /// Writes a line: the step and its figures.
    pub fn line(&mut self, step: u64, figures: Map<String, Value>) -> Result<(), TrainError> {
        if figures.is_empty() {
            return Ok(());
        }
        let short: Vec<String> = figures.iter().map(|(name, value)| format!("{name} {}", brief(value))).collect();
        match &self.bar {
            Some(bar) => bar.set_message(short.join(" ")),
            None => eprintln!("step {step}: {}", short.join(" ")),
        }
        let mut line = Map::from_iter([("step".to_owned(), json!(step))]);
        line.extend(figures);
        let line = Value::Object(line);
        writeln!(self.file, "{line}").map_err(|source| TrainError::Write { path: self.path.clone(), source })
    }

    /// Moves the bar.
    pub fn progress(&self, step: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
    }

    /// Removes the bar and says what was made.
    pub fn finish(self, message: &str) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{message}");
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), |x| format!("{x:.4}")),
        Value::Array(list) => list.iter().map(brief).collect::<Vec<_>>().join("/"),
        other => other.to_string(),
    }
}
