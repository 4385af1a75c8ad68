//! The loop that every task shares: optimizer, average, log, checkpoints, interruption.

mod events;
mod gradient;
mod log;
mod parts;
mod state;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::{AutodiffModule, Module};
use burn::optim::{AdamWConfig, Optimizer};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use driftlet_checkpoint::{Architecture, Checkpoint, Config as CheckpointConfig, remove_leftovers, write_atomic};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::networks::{average, export, import, in_four_bits};
use crate::{TrainError, TrainOptions};
use log::Log;
use parts::Gradient;

/// The average of a network's weights has no gradients.
pub type Averaged<N, B> = <N as AutodiffModule<B>>::InnerModule;

/// One average per decay.
pub type Averages<N, B> = Vec<Averaged<N, B>>;

/// What differs between generators, encoders and classifiers.
pub trait Task<B: AutodiffBackend> {
    /// The network that is trained.
    type Network: AutodiffModule<B>;

    /// Its architecture.
    fn architecture(&self) -> Architecture;

    /// Its weights before the first step.
    fn initial(&self, seed: u64) -> Checkpoint {
        Checkpoint::random(CheckpointConfig::new(self.architecture()), seed)
    }

    /// It, with zero weights.
    fn network(&self, device: &B::Device) -> Self::Network;

    /// Parts that a step is worked off in; their losses and gradients are averaged.
    fn parts(&self) -> usize {
        1
    }

    /// The loss of a part of a step: a function of the weights, the configuration's seed, step and part only.
    fn loss(&mut self, network: &Self::Network, step: u64, part: usize) -> StepLoss<B>;

    /// Judges the averaged weights: figures for the log, and a grid of samples if there are any.
    fn review(&mut self, network: &Averaged<Self::Network, B>) -> Result<Review, TrainError>;
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

/// Trains from the beginning, or from where a run stands: on the first device, with the same task on each of the others,
/// which only work off parts of steps.
pub fn run<B: AutodiffBackend, T: Task<B> + Send>(
    tasks: &mut [T],
    config: &Config,
    class_names: &[&str],
    options: &TrainOptions,
    devices: &[B::Device],
) -> Result<(), TrainError> {
    let (task, device) = (&mut tasks[0], &devices[0]);
    let directory = Directory(options.out.clone());
    let architecture = task.architecture();
    let mut initial = task.initial(config.seed);
    if let Some(start) = &config.start {
        begin_with(&mut initial, start)?;
    }
    let mut network = import(task.network(device), &initial);
    let settings = &config.optimizer;
    let decays = settings.ema.all();
    let mut averages: Averages<T::Network, B> = decays.iter().map(|_| network.valid()).collect();
    let mut optimizer = AdamWConfig::new()
        .with_beta_1(settings.beta_1)
        .with_beta_2(settings.beta_2)
        .with_epsilon(1e-8)
        .with_weight_decay(settings.weight_decay)
        .init::<B, T::Network>();
    let mut start = 0;
    if options.resume {
        let state = state::load(&directory.state(), config, decays.len(), device)?;
        (start, network) = (state.step, network.load_record(state.network));
        let loaded = averages.into_iter().zip(state.averages);
        averages = loaded.map(|(average, record)| average.load_record(record)).collect();
        optimizer = optimizer.load_record(state.optimizer);
    } else if directory.state().exists() {
        return Err(directory.error("holds a run already; continue it with --resume, or choose another --out"));
    }
    for folder in [directory.0.clone(), directory.checkpoint()] {
        remove_leftovers(&folder).map_err(|source| TrainError::Write { path: folder, source })?;
    }
    let text = toml::to_string(config).map_err(|e| directory.error(&e.to_string()))?;
    directory.write(&directory.0.join("config.toml"), text.as_bytes())?;

    let interrupted = interruption();
    let mut log = Log::open(&directory.0, start, config.steps)?;
    if start == 0 {
        report(&directory, &mut log, 0, tasks[0].review(&rounded(&averages[0], config))?)?;
    }
    let mut since_log = (Instant::now(), 0usize);
    for step in start + 1..=config.steps {
        let Gradient { loss: value, mut gradients, mut figures, samples } =
            parts::gradient(tasks, devices, &network, config, step);
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
        let weights = network.valid();
        let averaged = averages.into_iter().zip(decays);
        averages = averaged.map(|(old, decay)| average(old, &weights, decay.min(early))).collect();

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
            report(&directory, &mut log, step, tasks[0].review(&rounded(&averages[0], config))?)?;
            since_log = (Instant::now(), 0);
        }
        if due(config.log.checkpoint_every) {
            for (i, (average, decay)) in averages.iter().zip(decays).enumerate() {
                save(&directory.checkpoint_of(i, *decay), config, class_names, &architecture, average, step)?;
            }
            state::save(&directory.state(), config, step, &network, &averages, &optimizer)?;
        }
        log.progress(step);
        if stop {
            return Err(TrainError::Interrupted { step });
        }
    }
    log.finish(&format!("{}: done", directory.checkpoint().display()));
    Ok(())
}

/// A network with the weights that it is to compute with; see `Config::weight_bits`.
fn rounded<B: Backend, M: Module<B>>(network: &M, config: &Config) -> M {
    let network = network.clone();
    if config.weight_bits.is_some() { in_four_bits(network) } else { network }
}

/// Writes what a review found.
fn report(directory: &Directory, log: &mut Log, step: u64, review: Review) -> Result<(), TrainError> {
    if let Some(grid) = review.grid {
        directory.write(&directory.0.join(format!("samples/step-{step:06}.png")), &grid)?;
        log.picture(step, &grid)?;
    }
    log.line(step, review.figures)
}

/// Takes the weights of another checkpoint over; see `Config::start`.
fn begin_with(initial: &mut Checkpoint, start: &Path) -> Result<(), TrainError> {
    let mut other = Checkpoint::load(start)?;
    for (name, tensor) in &mut initial.tensors {
        match other.tensors.remove(name) {
            Some(known) if known.shape == tensor.shape => *tensor = known,
            None if name.contains(".residual.") => tensor.data.fill(0.0),
            _ => {
                let problem = format!("has no parameter {name} of shape {:?}, but `start` names it", tensor.shape);
                return Err(TrainError::Config { file: start.display().to_string(), problem });
            }
        }
    }
    Ok(())
}

/// Writes averaged weights as a checkpoint.
fn save<B: Backend>(
    directory: &Path,
    config: &Config,
    class_names: &[&str],
    architecture: &Architecture,
    average: &impl Module<B>,
    step: u64,
) -> Result<(), TrainError> {
    let mut checkpoint = CheckpointConfig::new(architecture.clone());
    checkpoint.data = config.data.name();
    checkpoint.class_names = class_names.iter().map(|name| name.to_string()).collect();
    checkpoint.training = json!({ "steps": step, "seed": config.seed, "config": config });
    let tensors = export(average, architecture);
    if tensors.values().flat_map(|t| &t.data).any(|w| !w.is_finite()) {
        return Err(TrainError::NotFinite { step, what: "a weight", checkpoint: directory.into() });
    }
    Ok(Checkpoint { config: checkpoint, tensors }.save(directory)?)
}

/// Linear growth, constant, linear decay at the end.
fn learning_rate(config: &Config, step: u64) -> f64 {
    let settings = &config.optimizer;
    let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { (part as f64 / whole as f64).min(1.0) };
    settings.learning_rate * share(step, settings.warmup_steps) * share(config.steps - step + 1, settings.decay_steps)
}

/// Replaces a file as a whole.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_atomic(path, bytes).map_err(|source| TrainError::Write { path: path.into(), source })
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

    /// Where the average of a decay goes: the first one's is the run's checkpoint.
    fn checkpoint_of(&self, index: usize, decay: f64) -> PathBuf {
        if index == 0 { self.checkpoint() } else { self.0.join(format!("checkpoint-ema-{decay}")) }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
        write(path, bytes)
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
