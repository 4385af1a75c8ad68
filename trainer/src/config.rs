//! The TOML file of a run.

mod data;
mod feature;
mod field;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use driftlet_checkpoint::Architecture;

use crate::TrainError;
pub use data::{Data, Folder, Latents, Order};
pub use feature::{Feature, Statistic};
pub use field::Field;

/// What to train. Unknown fields are errors, so that a misspelt one is not silently left at its default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the network's preset.
    pub preset: Option<String>,
    /// The network itself, as in a checkpoint's config.json, instead of a preset.
    pub network: Option<Architecture>,
    /// Checkpoint whose weights the run begins with; a relative path starts at the configuration's folder. Residual
    /// convolutions that it lacks begin as zeros, so that a deeper network begins as the same function.
    pub start: Option<PathBuf>,
    /// Data set: a name, `{ folder = .. }`, `{ latents = .. }`.
    pub data: Data,
    /// Seed of weights, order and noise.
    #[serde(default)]
    pub seed: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Arithmetic of the networks; weights, losses and the optimizer are in f32 either way.
    #[serde(default)]
    pub precision: Precision,
    /// Bits that weights of convolutions and linear layers are rounded to while the network computes, 4; they train, and lie in
    /// checkpoints, unrounded. So the network gets used to what `quantize --weights 4` does to it. Not rounded if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_bits: Option<u32>,
    /// Keep fewer activations for the backward pass and compute them again: less memory, more time.
    #[serde(default)]
    pub checkpointing: bool,
    /// Devices of the machine that work off the parts of a step side by side; the result is the same for every number.
    #[serde(default = "one")]
    pub devices: usize,
    #[serde(default)]
    pub optimizer: Optimizer,
    #[serde(default)]
    pub log: Log,
    /// The drifting field; the paper's if left out.
    #[serde(default)]
    pub field: Field,
    /// For a generator.
    pub drift: Option<Drift>,
    /// For points in the plane.
    pub toy: Option<Toy>,
    /// For an encoder.
    pub encoder: Option<Encoder>,
    /// For a classifier.
    pub classifier: Option<Classifier>,
}

/// Arithmetic of the networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    #[default]
    F32,
    /// Where the backend has it; norms and softmaxes stay in f32.
    Bf16,
}

/// AdamW (Loshchilov and Hutter, 2019) and what surrounds it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizer {
    pub learning_rate: f64,
    pub beta_1: f32,
    pub beta_2: f32,
    pub weight_decay: f32,
    /// Steps of linear growth from zero.
    pub warmup_steps: u64,
    /// Steps of linear decay to zero at the end; 0 keeps the rate constant.
    pub decay_steps: u64,
    /// Largest norm of the whole gradient.
    pub clip_norm: f64,
    /// Decays of running averages of weights, kept side by side; the first one's is `checkpoint`. Early on
    /// `(1 + step) / (10 + step)` where that is smaller.
    pub ema: Decays,
}

impl Default for Optimizer {
    fn default() -> Self {
        Self {
            learning_rate: 2e-4,
            beta_1: 0.9,
            beta_2: 0.95,
            weight_decay: 0.01,
            warmup_steps: 100,
            decay_steps: 0,
            clip_norm: 2.0,
            ema: Decays::One(0.999),
        }
    }
}

/// One number or a list of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Decays {
    One(f64),
    Many(Vec<f64>),
}

impl Decays {
    /// All of them.
    pub fn all(&self) -> &[f64] {
        match self {
            Self::One(decay) => std::slice::from_ref(decay),
            Self::Many(decays) => decays,
        }
    }
}

/// Steps between outputs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Lines of the log.
    pub every: u64,
    /// Sample grids and test figures.
    pub review_every: u64,
    /// Checkpoints.
    pub checkpoint_every: u64,
    /// Samples that a review judges, generated or of the test split; the first generated ones are drawn.
    pub review_samples: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { every: 10, review_every: 500, checkpoint_every: 200, review_samples: 1000 }
    }
}

/// The drifting loss and its batch.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Generated samples per class and step (G).
    pub generated: usize,
    /// Real samples of the class (P).
    pub positives: usize,
    /// Real samples of any class (N), the extra negatives of guidance.
    pub negatives: usize,
    /// Classes per step (N_c); all if left out.
    pub classes: Option<usize>,
    /// Parts that a step's classes are worked off in, one after another: less memory, the sum of their gradients. Scales
    /// and drift norms are then means over a part.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Guidance strengths are drawn from `[1, last knot]` with density `a^-power`.
    #[serde(default = "guidance_power")]
    pub guidance_power: f64,
    /// Real samples kept per class.
    #[serde(default = "class_queue")]
    pub class_queue: usize,
    /// Real samples of any class kept.
    #[serde(default = "global_queue")]
    pub global_queue: usize,
    /// New real samples per step.
    #[serde(default = "pushed")]
    pub pushed: usize,
    /// Where the distance is taken.
    pub features: Vec<Feature>,
    /// Checkpoints of frozen encoders, whose maps are counted on; a relative path starts at the configuration's folder.
    #[serde(default)]
    pub encoders: Vec<PathBuf>,
    /// Whether features of all real samples are computed once and kept in memory, or anew for the samples of a step.
    #[serde(default = "yes")]
    pub cache: bool,
    /// Checkpoint of a classifier that judges samples on the way; not part of the loss.
    pub judge: Option<PathBuf>,
}

/// Points in the plane.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Toy {
    /// Generated points per step (G).
    pub generated: usize,
    /// Real points per step (P).
    pub positives: usize,
    /// Where generators start; each gets a run of its own.
    pub starts: Vec<Start>,
}

/// Where a toy's generated points lie at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Around the middle of the data.
    Middle,
    /// Far from all data.
    Far,
    /// All at one point of the data.
    Collapsed,
}

impl Start {
    /// Its name, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Middle => "middle",
            Self::Far => "far",
            Self::Collapsed => "collapsed",
        }
    }
}

/// A masked autoencoder, fine-tuned as a classifier.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    pub batch: usize,
    /// How pictures are varied.
    #[serde(default)]
    pub augment: Augment,
    /// Chance that a patch is set to zero.
    pub mask: f64,
    /// Steps at the end that also train the classifier head.
    pub fine_tune_steps: u64,
    /// Weight of the cross-entropy, reached after a third of the fine-tuning.
    pub cross_entropy: f64,
}

/// A classifier.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    pub batch: usize,
    /// How pictures are varied.
    #[serde(default)]
    pub augment: Augment,
}

/// How the pictures of a batch are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Augment {
    /// Not at all.
    None,
    /// All shifted alike by up to two pixels, and flipped half the time.
    #[default]
    Shift,
    /// Each cropped at random to a fifth or more of its area, resized, and flipped half the time.
    Crop,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn guidance_power() -> f64 {
    3.0
}

fn class_queue() -> usize {
    128
}

fn global_queue() -> usize {
    1000
}

fn pushed() -> usize {
    64
}

/// Reads a file, applies `key=value` overrides, and checks every number.
pub fn load(path: &Path, set: &[String]) -> Result<Config, TrainError> {
    let file = path.display().to_string();
    let error = |file: &str, problem: String| TrainError::Config { file: file.into(), problem };
    let text = std::fs::read_to_string(path).map_err(|e| error(&file, format!("cannot be read: {e}")))?;
    let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| error(&file, e.to_string()))?;
    for assignment in set {
        override_field(&mut table, assignment).map_err(|problem| error(&format!("--set {assignment}"), problem))?;
    }
    let mut config: Config = table.try_into().map_err(|e: toml::de::Error| error(&file, e.to_string()))?;
    check(&config).map_err(|problem| error(&file, problem))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let data = config.data.paths();
    for path in config.start.iter_mut().chain(data) {
        *path = folder.join(&path);
    }
    if let Some(drift) = &mut config.drift {
        for path in drift.encoders.iter_mut().chain(&mut drift.judge) {
            *path = folder.join(&path);
        }
    }
    Ok(config)
}

/// Sets `a.b=value`; the value is TOML, or a bare string.
fn override_field(table: &mut toml::Table, assignment: &str) -> Result<(), String> {
    let (key, value) = assignment.split_once('=').ok_or("write key=value")?;
    let value = match format!("v = {value}").parse::<toml::Table>() {
        Ok(mut parsed) => parsed.remove("v").ok_or("write key=value")?,
        Err(_) => toml::Value::String(value.into()),
    };
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().ok_or("write key=value")?;
    let mut inner = table;
    for part in parts {
        let entry = inner.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner = entry.as_table_mut().ok_or_else(|| format!("{part} is not a section"))?;
    }
    inner.insert(last.into(), value);
    Ok(())
}

fn check(config: &Config) -> Result<(), String> {
    let Config { optimizer, log, .. } = config;
    let ensure = |holds: bool, problem: &str| if holds { Ok(()) } else { Err(problem.to_owned()) };
    ensure(config.steps > 0, "steps must be at least 1")?;
    ensure(config.devices > 0, "devices must be at least 1")?;
    ensure(matches!(config.weight_bits, None | Some(4)), "weight_bits must be 4, or left out")?;
    config.data.check()?;
    config.field.check()?;
    ensure(log.every > 0 && log.review_every > 0 && log.checkpoint_every > 0, "log: intervals must be at least 1")?;
    ensure(optimizer.learning_rate > 0.0, "optimizer.learning_rate must be positive")?;
    ensure(optimizer.clip_norm > 0.0, "optimizer.clip_norm must be positive")?;
    let unit = |x: f32| (0.0..1.0).contains(&x);
    ensure(unit(optimizer.beta_1) && unit(optimizer.beta_2), "optimizer.beta_1 and beta_2 must lie in 0..1")?;
    let decays = optimizer.ema.all();
    let sound = !decays.is_empty() && decays.iter().all(|d| (0.0..1.0).contains(d));
    ensure(sound, "optimizer.ema must lie in 0..1: a number, or a list of them")?;
    ensure(config.preset.is_some() != config.network.is_some(), "give either preset or a section [network]")?;
    if let Some(network) = &config.network {
        network.validate().map_err(|problem| format!("network: {problem}"))?;
    }
    ensure(optimizer.weight_decay >= 0.0, "optimizer.weight_decay must not be negative")?;
    if let Some(drift) = &config.drift {
        ensure(drift.generated >= 2, "drift.generated must be at least 2: samples repel each other")?;
        ensure(drift.positives >= 1, "drift.positives must be at least 1")?;
        ensure(drift.positives <= drift.class_queue, "drift.class_queue must hold drift.positives")?;
        ensure(drift.negatives <= drift.global_queue, "drift.global_queue must hold drift.negatives")?;
        ensure(drift.pushed >= 1, "drift.pushed must be at least 1")?;
        ensure(!drift.features.is_empty(), "drift.features must name at least one feature")?;
        ensure(drift.guidance_power > 1.0, "drift.guidance_power must be above 1")?;
        let encoded = drift.features.iter().any(|f| f.encoded());
        ensure(!encoded || !drift.encoders.is_empty(), "drift.encoders must name a checkpoint: a feature needs it")?;
        ensure(drift.accumulate >= 1, "drift.accumulate must be at least 1")?;
        ensure(drift.classes != Some(0), "drift.classes must be at least 1")?;
    }
    if let Some(toy) = &config.toy {
        ensure(toy.generated >= 2, "toy.generated must be at least 2: points repel each other")?;
        ensure(toy.positives >= 1, "toy.positives must be at least 1")?;
        ensure(!toy.starts.is_empty(), "toy.starts must name at least one start")?;
    }
    if let Some(encoder) = &config.encoder {
        ensure(encoder.batch >= 1, "encoder.batch must be at least 1")?;
        ensure(encoder.mask > 0.0 && encoder.mask <= 1.0, "encoder.mask must lie in 0..=1, above 0")?;
        ensure((0.0..=1.0).contains(&encoder.cross_entropy), "encoder.cross_entropy must lie in 0..=1")?;
        ensure(encoder.fine_tune_steps <= config.steps, "encoder.fine_tune_steps must not exceed steps")?;
    }
    if let Some(classifier) = &config.classifier {
        ensure(classifier.batch >= 1, "classifier.batch must be at least 1")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str =
        "preset = \"fashion-classifier\"\ndata = \"fashion-mnist\"\nsteps = 5\n[classifier]\nbatch = 3\n";

    fn loaded(text: &str, set: &[&str]) -> Result<Config, String> {
        let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
        let path = directory.path().join("c.toml");
        std::fs::write(&path, text).map_err(|e| e.to_string())?;
        let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
        load(&path, &set).map_err(|e| e.to_string())
    }

    #[test]
    fn overrides_reach_nested_fields() -> Result<(), String> {
        let config = loaded(MINIMAL, &["steps=7", "optimizer.learning_rate=1e-2", "preset=nano"])?;
        assert_eq!((config.steps, config.optimizer.learning_rate, config.preset.as_deref()), (7, 1e-2, Some("nano")));
        Ok(())
    }

    #[test]
    fn mistakes_are_named() {
        for (set, expected) in [
            ("optimiser.ema=0.9", "optimiser"),
            ("optimizer.ema=1.5", "optimizer.ema"),
            ("steps=0", "steps"),
            ("classifier.batch=x", "batch"),
            ("weight_bits=3", "weight_bits"),
            ("steps", "key=value"),
        ] {
            let error = loaded(MINIMAL, &[set]).expect_err(set);
            assert!(error.contains(expected), "{error}");
        }
    }
}
