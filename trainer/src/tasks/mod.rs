//! What can be trained: generators, encoders, classifiers.

mod classifier;
mod encoder;
pub mod features;
mod generator;
mod judge;
mod labelled;
mod queues;
mod toy;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, ElementConversion, Int, Tensor};
use driftlet_checkpoint::{Architecture, Checkpoint};

use crate::config::{Config, Precision};
use crate::dataset::{self, Dataset, Samples};
use crate::run::{Task, run as run_task};
use crate::{TrainError, TrainOptions};
use labelled::Labelled;

/// Trains what the configuration's preset is.
pub fn run<B: AutodiffBackend>(
    config: &Config,
    options: &TrainOptions,
    devices: &[B::Device],
) -> Result<(), TrainError> {
    let device = &devices[0];
    let error = |problem: String| TrainError::Config { file: options.config.display().to_string(), problem };
    if config.precision == Precision::Bf16 && !B::supports_dtype(device, DType::BF16) {
        return Err(error(format!("precision: {} has no bf16; leave it at f32", B::name(device))));
    }
    let architecture = match (&config.network, &config.preset) {
        (Some(network), _) => network.clone(),
        (None, preset) => {
            let name = preset.as_deref().unwrap_or_default();
            let known = || format!("preset: `{name}` is not known; there are {}", Architecture::presets().join(", "));
            Architecture::preset(name).ok_or_else(|| error(known()))?
        }
    };
    if devices.len() > 1 && architecture.interface().is_none() {
        return Err(error("devices: only generators train on several; leave it at 1".into()));
    }
    let missing = |section: &str| error(format!("section [{section}] is missing; this network and data need it"));
    match (&architecture, config.data.toy()) {
        (Architecture::Mlp(net), Some(distribution)) => {
            let settings = config.toy.as_ref().ok_or_else(|| missing("toy"))?;
            if net.outputs != 2 {
                return Err(error(format!("network.outputs is {}; points in the plane have 2", net.outputs)));
            }
            return toy::run::<B>(net, distribution, settings, config, options, device);
        }
        (Architecture::Mlp(_), None) => return Err(error("data: points need a distribution in the plane".into())),
        (Architecture::VaeDecoder(_), _) => {
            let text = "decoders of latents are not trained here; import their weights with `driftlet import`";
            return Err(error(format!("preset: {text}")));
        }
        (_, Some(_)) => return Err(error("data: a distribution in the plane needs preset `toy`".into())),
        _ => {}
    }
    let data = dataset::load(&config.data)?;
    let wanted = architecture.interface().map(|i| i.shape).or_else(|| architecture.input_shape());
    if let Some(wanted) = wanted.filter(|wanted| *wanted != data.train.shape) {
        let text = format!("samples have shape {:?}, the network {wanted:?}", data.train.shape);
        return Err(error(format!("data: {text}; choose another preset, or give a section [network]")));
    }
    check_labels(&data, architecture.classes()).map_err(error)?;
    let names: Vec<&str> = match data.class_names.len() == architecture.classes() {
        true => data.class_names.iter().map(String::as_str).collect(),
        false => Vec::new(),
    };
    let names = names.as_slice();
    if let Some(interface) = architecture.interface() {
        let drift = config.drift.clone().ok_or_else(|| missing("drift"))?;
        let mut tasks = generator::Generator::<B>::on_each(&architecture, &interface, config, &drift, &data, devices)?;
        let parts = tasks[0].parts();
        if devices.len() > parts {
            let text = format!("{} share the {parts} parts of a step; set drift.accumulate to as many", devices.len());
            return Err(error(format!("devices: {text}")));
        }
        return run_task(&mut tasks, config, names, options, devices);
    }
    let patch = match &architecture {
        Architecture::Encoder(net) => Some(net.patch()),
        Architecture::ResnetMae(net) => Some(net.input_patch * net.mask_patch),
        _ => None,
    };
    let labelled = |data: &Dataset, batch, augment| Labelled::new(data, batch, augment, config, device.clone());
    match (architecture, patch) {
        (architecture, Some(patch)) => {
            let settings = config.encoder.clone().ok_or_else(|| missing("encoder"))?;
            let data = labelled(&data, settings.batch, settings.augment);
            let task = encoder::Encoder { architecture, patch, settings, steps: config.steps, data };
            run_task::<B, _>(&mut [task], config, names, options, devices)
        }
        (Architecture::Classifier(net), None) => {
            let settings = config.classifier.clone().ok_or_else(|| missing("classifier"))?;
            let data = labelled(&data, settings.batch, settings.augment);
            let task = classifier::Classifier { net, data };
            run_task::<B, _>(&mut [task], config, names, options, devices)
        }
        (Architecture::ConvNextV2(_), None) => {
            Err(error("preset: ConvNeXt-V2 is not trained here; import its weights with `driftlet import`".into()))
        }
        (_, None) => unreachable!("generators have an interface"),
    }
}

/// Every class must have samples, and every label a class.
fn check_labels(data: &Dataset, classes: usize) -> Result<(), String> {
    let mut counts = vec![0u64; classes];
    for &label in data.train.labels.iter().chain(data.test.labels.iter()) {
        match counts.get_mut(label as usize) {
            Some(count) => *count += 1,
            None => {
                return Err(format!("data: label {label}, but the network has {classes} classes; set its `classes`"));
            }
        }
    }
    match counts.iter().position(|&count| count == 0) {
        Some(class) => Err(format!("data: class {class} has no samples, but the network has {classes} classes")),
        None => Ok(()),
    }
}

/// Mean cross-entropy of logits `[n, classes]`.
fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let log = burn::tensor::activation::log_softmax(logits, 1);
    log.gather(1, labels.unsqueeze_dim(1)).mean().neg()
}

/// Share of a data set that a network labels rightly.
fn accuracy<B: Backend>(samples: &Samples, device: &B::Device, logits: impl Fn(Tensor<B, 4>) -> Tensor<B, 2>) -> f64 {
    let right = |part: Vec<usize>| {
        let predicted = logits(samples.tensor(&part, device)).argmax(1).flatten::<1>(0, 1);
        predicted.equal(samples.classes(&part, device)).int().sum().into_scalar().elem::<i64>()
    };
    samples.parts().map(right).sum::<i64>() as f64 / samples.len() as f64
}

/// Reads a checkpoint that another network of the run needs, and makes its network; `kind` is for messages.
fn companion<N>(
    path: &std::path::Path,
    kind: &str,
    network: impl Fn(&Architecture) -> Option<N>,
) -> Result<(N, Checkpoint), TrainError> {
    let checkpoint = Checkpoint::load(path)?;
    match network(&checkpoint.config.architecture) {
        Some(network) => Ok((network, checkpoint)),
        None => {
            let problem = format!("is a checkpoint of another kind, but the configuration names it as {kind}");
            Err(TrainError::Config { file: path.display().to_string(), problem })
        }
    }
}
