//! The loop that every task shares: optimizer, average, log, checkpoints, interruption.

mod gradient;
mod log;
mod state;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::{AutodiffModule, Module};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor};
use driftlet_checkpoint::{Architecture, Checkpoint, Config as CheckpointConfig, write_atomic};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::networks::{average, export, import};
use crate::{TrainError, TrainOptions};
use log::Log;

/// The average of a network's weights has no gradients.
pub type Averaged<N, B> = <N as AutodiffModule<B>>::InnerModule;

/// What differs between generators, encoders and classifiers.
pub trait Task<B: AutodiffBackend> {
    /// The network that is trained.
    type Network: AutodiffModule<B>;

    /// Its architecture.
    fn architecture(&self) -> Architecture;

    /// It, with zero weights.
    fn network(&self, device: &B::Device) -> Self::Network;

    /// The loss of a step: a function of the weights, the configuration's seed and the step's number only.
    fn loss(&mut self, network: &Self::Network, step: u64) -> StepLoss<B>;

    /// Judges the averaged weights: figures for the log, and a grid of samples if there are any.
    fn review(&mut self, network: &Averaged<Self::Network, B>) -> Review;
}

/// The loss of one step.
pub struct StepLoss<B: AutodiffBackend> {
    /// `[1]`.
    pub loss: Tensor<B, 1>,
    /// Figures for the log.
    pub figures: Map<String, Value>,
    /// Samples that went into it.
    pub samples: usize,
}

/// What a review found.
#[derive(Default)]
pub struct Review {
    /// Figures for the log.
    pub figures: Map<String, Value>,
    /// A PNG.
    pub grid: Option<Vec<u8>>,
}

/// Trains from the beginning, or from where a run stands.
pub fn run<B: AutodiffBackend, T: Task<B>>(
    task: &mut T,
    config: &Config,
    class_names: &[&str],
    options: &TrainOptions,
    device: &B::Device,
) -> Result<(), TrainError> {
    let directory = Directory(options.out.clone());
    let architecture = task.architecture();
    let initial = Checkpoint::random(CheckpointConfig::new(architecture.clone()), config.seed);
    let mut network = import(task.network(device), &initial);
    let mut ema = network.valid();
    let settings = &config.optimizer;
    let mut optimizer = AdamWConfig::new()
        .with_beta_1(settings.beta_1)
        .with_beta_2(settings.beta_2)
        .with_epsilon(1e-8)
        .with_weight_decay(settings.weight_decay)
        .init::<B, T::Network>();
    let mut start = 0;
    if options.resume {
        let state = state::load(&directory.state(), config, device)?;
        (start, network, ema) = (state.step, network.load_record(state.network), ema.load_record(state.ema));
        optimizer = optimizer.load_record(state.optimizer);
    } else if directory.state().exists() {
        return Err(directory.error("holds a run already; continue it with --resume, or choose another --out"));
    }
    let text = toml::to_string(config).map_err(|e| directory.error(&e.to_string()))?;
    directory.write(&directory.0.join("config.toml"), text.as_bytes())?;

    let interrupted = interruption();
    let mut log = Log::open(&directory.0.join("log.jsonl"), start, config.steps)?;
    let mut since_log = (Instant::now(), 0usize);
    for step in start + 1..=config.steps {
        let StepLoss { loss, mut figures, samples } = task.loss(&network, step);
        let value = loss.clone().into_scalar().elem::<f64>();
        let mut gradients = GradientsParams::from_grads(loss.backward(), &network);
        let norm = gradient::clip(&network, &mut gradients, settings.clip_norm);
        let not_finite = |what| TrainError::NotFinite { step, what, checkpoint: directory.checkpoint() };
        if !value.is_finite() {
            return Err(not_finite("the loss"));
        }
        if !norm.is_finite() {
            return Err(not_finite("the gradient"));
        }
        let rate = learning_rate(config, step);
        network = optimizer.step(rate, network, gradients);
        let early = (1.0 + step as f64) / (10.0 + step as f64);
        ema = average(ema, &network.valid(), settings.ema.min(early));

        since_log.1 += samples;
        let stop = interrupted.load(Ordering::Relaxed);
        let last = step == config.steps || stop;
        let due = |interval: u64| last || step.is_multiple_of(interval);
        if due(config.log.every) {
            let seconds = since_log.0.elapsed();
            figures.insert("loss".into(), json!(value));
            figures.insert("gradient_norm".into(), json!(norm));
            figures.insert("learning_rate".into(), json!(rate));
            figures.insert("samples_per_second".into(), json!(since_log.1 as f64 / seconds.as_secs_f64()));
            log.line(step, figures)?;
            since_log = (Instant::now(), 0);
        }
        if due(config.log.review_every) {
            let review = task.review(&ema);
            if let Some(grid) = review.grid {
                directory.write(&directory.0.join(format!("samples/step-{step:06}.png")), &grid)?;
            }
            log.line(step, review.figures)?;
            since_log = (Instant::now(), 0);
        }
        if due(config.log.checkpoint_every) {
            save(&directory, config, class_names, &architecture, &ema, step)?;
            state::save(&directory.state(), config, step, &network, &ema, &optimizer)?;
        }
        log.progress(step);
        if stop {
            return Err(TrainError::Interrupted { step });
        }
    }
    log.finish(&format!("{}: done", directory.checkpoint().display()));
    Ok(())
}

/// Writes the averaged weights as a checkpoint.
fn save<B: Backend>(
    directory: &Directory,
    config: &Config,
    class_names: &[&str],
    architecture: &Architecture,
    ema: &impl Module<B>,
    step: u64,
) -> Result<(), TrainError> {
    let mut checkpoint = CheckpointConfig::new(architecture.clone());
    checkpoint.data.clone_from(&config.data);
    checkpoint.class_names = class_names.iter().map(|name| name.to_string()).collect();
    checkpoint.training = json!({ "steps": step, "seed": config.seed, "config": config });
    let tensors = export(ema, architecture);
    if tensors.values().flat_map(|t| &t.data).any(|w| !w.is_finite()) {
        return Err(TrainError::NotFinite { step, what: "a weight", checkpoint: directory.checkpoint() });
    }
    Ok(Checkpoint { config: checkpoint, tensors }.save(&directory.checkpoint())?)
}

/// Linear growth, constant, linear decay at the end.
fn learning_rate(config: &Config, step: u64) -> f64 {
    let settings = &config.optimizer;
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) };
    settings.learning_rate * share(step, settings.warmup_steps) * share(config.steps - step + 1, settings.decay_steps)
}

/// A run's files.
struct Directory(PathBuf);

impl Directory {
    fn state(&self) -> PathBuf {
        self.0.join("state.safetensors")
    }

    fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
        write_atomic(path, bytes).map_err(|source| TrainError::Write { path: path.into(), source })
    }

    fn error(&self, problem: &str) -> TrainError {
        TrainError::Run { directory: self.0.clone(), problem: problem.into() }
    }
}

/// Set by Ctrl-C; a second Ctrl-C ends the process at once.
fn interruption() -> &'static AtomicBool {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    static HANDLER: OnceLock<()> = OnceLock::new();
    HANDLER.get_or_init(|| {
        // Without a handler, Ctrl-C ends the process as usual; the last checkpoint remains.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
    });
    &INTERRUPTED
}
