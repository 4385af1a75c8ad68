//! What can be trained: generators, encoders, classifiers.

mod classifier;
mod encoder;
mod features;
mod generator;
mod labelled;
mod queues;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};
use driftlet_checkpoint::{Architecture, Checkpoint};
use driftlet_data::{FASHION_MNIST_CLASSES, Images, Split, fashion_mnist};

use crate::config::Config;
use crate::run::run as run_task;
use crate::{TrainError, TrainOptions};
use labelled::Labelled;

/// Trains what the configuration's preset is.
pub fn run<B: AutodiffBackend>(config: &Config, options: &TrainOptions, device: &B::Device) -> Result<(), TrainError> {
    let error = |problem: String| TrainError::Config { file: options.config.display().to_string(), problem };
    let architecture = Architecture::preset(&config.preset).ok_or_else(|| {
        error(format!("preset: `{}` is not known; there are {}", config.preset, Architecture::presets().join(", ")))
    })?;
    let missing = |section: &str| error(format!("section [{section}] is missing; preset {} needs it", config.preset));
    let train = fashion_mnist(None, Split::Train)?;
    let names = &FASHION_MNIST_CLASSES;
    match architecture {
        Architecture::EdgeConv(net) => {
            let drift = config.drift.clone().ok_or_else(|| missing("drift"))?;
            let mut task = generator::Generator::<B>::new(net, drift, config.seed, train, device)?;
            run_task(&mut task, config, names, options, device)
        }
        Architecture::Encoder(net) => {
            let settings = config.encoder.clone().ok_or_else(|| missing("encoder"))?;
            let test = fashion_mnist(None, Split::Test)?;
            let data = Labelled::new(train, test, settings.batch, config.seed, device.clone());
            let mut task = encoder::Encoder { net, settings, steps: config.steps, data };
            run_task::<B, _>(&mut task, config, names, options, device)
        }
        Architecture::Classifier(net) => {
            let settings = config.classifier.clone().ok_or_else(|| missing("classifier"))?;
            let test = fashion_mnist(None, Split::Test)?;
            let data = Labelled::new(train, test, settings.batch, config.seed, device.clone());
            let mut task = classifier::Classifier { net, data };
            run_task::<B, _>(&mut task, config, names, options, device)
        }
        Architecture::ConvNextV2(_) => {
            Err(error(format!("preset: {} is not trained here; its weights are imported", config.preset)))
        }
    }
}

/// Pictures of a data set as `[n, channels, height, width]` in `[-1, 1]`.
fn pictures<B: Backend>(images: &Images, indices: &[usize], device: &B::Device) -> Tensor<B, 4> {
    let len = images.image_len();
    let data: Vec<f32> =
        indices.iter().flat_map(|&i| &images.pixels[i * len..][..len]).map(|&p| f32::from(p) / 127.5 - 1.0).collect();
    let shape = [indices.len(), images.height, images.width, images.channels];
    Tensor::<B, 4>::from_data(TensorData::new(data, shape), device).permute([0, 3, 1, 2])
}

/// Labels of a data set.
fn labels<B: Backend>(images: &Images, indices: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
    let data: Vec<i64> = indices.iter().map(|&i| images.labels[i].into()).collect();
    Tensor::from_data(TensorData::new(data, [indices.len()]), device)
}

/// Mean cross-entropy of logits `[n, classes]`.
fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 1, Int>) -> Tensor<B, 1> {
    let log = burn::tensor::activation::log_softmax(logits, 1);
    log.gather(1, labels.unsqueeze_dim(1)).mean().neg()
}

/// Share of a data set that a network labels rightly.
fn accuracy<B: Backend>(images: &Images, device: &B::Device, logits: impl Fn(Tensor<B, 4>) -> Tensor<B, 2>) -> f64 {
    let indices: Vec<usize> = (0..images.len()).collect();
    let right: i64 = indices
        .chunks(500)
        .map(|part| {
            let predicted = logits(pictures(images, part, device)).argmax(1).flatten::<1>(0, 1);
            predicted.equal(labels(images, part, device)).int().sum().into_scalar().elem::<i64>()
        })
        .sum();
    right as f64 / images.len() as f64
}

/// Reads a checkpoint that another network of the run needs.
fn companion(path: &std::path::Path, kind: &str) -> Result<Checkpoint, TrainError> {
    let checkpoint = Checkpoint::load(path)?;
    let found = match checkpoint.config.architecture {
        Architecture::EdgeConv(_) => "generator",
        Architecture::Classifier(_) => "classifier",
        Architecture::Encoder(_) => "encoder",
        Architecture::ConvNextV2(_) => "ConvNeXt-V2",
    };
    if found == kind {
        return Ok(checkpoint);
    }
    let problem = format!("is a checkpoint of a {found}, but the configuration names it as {kind}");
    Err(TrainError::Config { file: path.display().to_string(), problem })
}
