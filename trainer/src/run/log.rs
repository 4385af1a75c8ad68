//! `log.jsonl`, and what people see on the way.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use driftlet_checkpoint::write_atomic;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::events::Events;
use crate::TrainError;

/// The log of a run.
pub struct Log {
    path: PathBuf,
    file: File,
    events: Events,
    bar: Option<ProgressBar>,
}

impl Log {
    /// Opens the log; lines after `start`, of steps that a resumed run repeats, are dropped.
    pub fn open(directory: &Path, start: u64, steps: u64) -> Result<Self, TrainError> {
        let path = &directory.join("log.jsonl");
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
        // The step that a run goes on from stays; what an earlier file holds beyond it is repeated.
        let events = Events::create(directory, if start > 0 { start + 1 } else { 0 }).map_err(error)?;
        Ok(Self { path: path.into(), file, events, bar })
    }

    /// Writes a line: the step and its figures.
    pub fn line(&mut self, step: u64, figures: Map<String, Value>) -> Result<(), TrainError> {
        if figures.is_empty() {
            return Ok(());
        }
        let short = figures.iter().filter(|(_, value)| value.as_array().is_none_or(|list| list.len() <= 16));
        let short: Vec<String> = short.map(|(name, value)| format!("{name} {}", brief(value))).collect();
        match &self.bar {
            Some(bar) => bar.set_message(short.join(" ")),
            None => eprintln!("step {step}: {}", short.join(" ")),
        }
        for (name, value) in &figures {
            let failed = |source| TrainError::Write { path: self.path.with_file_name("events.out.tfevents"), source };
            if let Some(value) = value.as_f64() {
                self.events.scalar(step, name, value).map_err(failed)?;
            }
            // Numbers by temperature; longer lists are no curves.
            for (i, value) in value.as_array().filter(|list| list.len() <= 16).into_iter().flatten().enumerate() {
                if let Some(value) = value.as_f64() {
                    self.events.scalar(step, &format!("{name}/{i}"), value).map_err(failed)?;
                }
            }
        }
        let mut line = Map::from_iter([("step".to_owned(), json!(step))]);
        line.extend(figures);
        let line = Value::Object(line);
        writeln!(self.file, "{line}").map_err(|source| TrainError::Write { path: self.path.clone(), source })
    }

    /// Keeps a grid of samples beside the curves.
    pub fn picture(&mut self, step: u64, png: &[u8]) -> Result<(), TrainError> {
        let failed = |source| TrainError::Write { path: self.path.with_file_name("events.out.tfevents"), source };
        self.events.picture(step, "samples", png).map_err(failed)
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
