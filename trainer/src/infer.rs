//! Networks of a checkpoint on given inputs, in f32 on the CPU.

use std::collections::BTreeMap;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use driftlet_checkpoint::{Architecture, Checkpoint, Dit, Tensor as Array};

use crate::config::Statistic;
use crate::networks::{self, FeatureEncoder, import};
use crate::tasks::features::{of_map, of_picture};

#[cfg(feature = "tch")]
type Cpu = burn::backend::LibTorch;
#[cfg(not(feature = "tch"))]
type Cpu = burn::backend::Flex;

/// Pictures that are worked on at once.
const BATCH: usize = 16;

/// Why a network cannot run on given inputs.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// An input is missing or does not fit.
    #[error("tensor `{name}`: {problem}")]
    Input {
        /// The tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another kind of network.
    #[error("transformers and encoders run here; quantize other networks to f32 and run that")]
    Unsupported,
}

/// Runs a network on given inputs, row-major and channels last, and returns what it gives by name.
///
/// - A transformer takes `noise` `[n, h, w, c]`, `style_indices` `[n, styles]`, `class_labels` `[n]` and `cfg_scale` `[n]`;
///   it gives `output` `[n, h, w, c]` and `cond` `[n, cond_dim]`.
/// - An encoder takes `input` `[n, h, w, c]`; it gives `act/<map>` `[n, locations, channels]` of every map, its means and
///   standard deviations (`_mean`, `_std`, over squares `_mean_2`, `_std_2`, `_mean_4`, `_std_4`), and `act/norm_x`, the root
///   mean square of each input channel.
///
/// # Errors
/// [`InferError`] names the tensor.
pub fn infer(checkpoint: &Checkpoint, inputs: &BTreeMap<String, Array>) -> Result<BTreeMap<String, Array>, InferError> {
    let device = Default::default();
    let architecture = &checkpoint.config.architecture;
    if let Architecture::Dit(net) = architecture {
        let network = import(networks::Dit::<Cpu>::new(net, &device), checkpoint);
        return transformer(net, &network, inputs, &device);
    }
    match FeatureEncoder::<Cpu>::new(architecture, &device) {
        Some(network) => encoder(architecture, &import(network, checkpoint), inputs, &device),
        None => Err(InferError::Unsupported),
    }
}

fn transformer<B: Backend>(
    net: &Dit,
    network: &networks::Dit<B>,
    inputs: &BTreeMap<String, Array>,
    device: &B::Device,
) -> Result<BTreeMap<String, Array>, InferError> {
    let noise = given(inputs, "noise")?;
    let count = pictures(noise, "noise", [net.size, net.size, net.channels])?;
    let styles = indices(inputs, "style_indices", &[count, net.styles], net.style_values)?;
    let classes = indices(inputs, "class_labels", &[count], net.classes)?;
    let strengths = given(inputs, "cfg_scale")?;
    expect_shape(strengths, "cfg_scale", &[count])?;
    let mut results = BTreeMap::new();
    for first in (0..count).step_by(BATCH) {
        let range = first..count.min(first + BATCH);
        let n = range.len();
        let condition = network.condition(
            integers(&classes[range.clone()], [n], device),
            integers(&styles[range.start * net.styles..range.end * net.styles], [n, net.styles], device),
            part(strengths, range.clone(), device),
        );
        let output = network.forward(part(noise, range, device), condition.clone());
        append(&mut results, "output", output);
        append(&mut results, "cond", condition);
    }
    Ok(results)
}

fn encoder<B: Backend>(
    architecture: &Architecture,
    network: &FeatureEncoder<B>,
    inputs: &BTreeMap<String, Array>,
    device: &B::Device,
) -> Result<BTreeMap<String, Array>, InferError> {
    let images = given(inputs, "input")?;
    let count = any_size(images, architecture)?;
    let mut results = BTreeMap::new();
    for first in (0..count).step_by(BATCH) {
        let images: Tensor<B, 4> = part(images, first..count.min(first + BATCH), device);
        let images = images.permute([0, 3, 1, 2]);
        if let Some(rms) = of_picture(Statistic::Rms, &images) {
            append(&mut results, "act/norm_x", rms);
        }
        for (name, map) in network.maps(images) {
            let [_, _, h, w] = map.dims();
            let mut statistics =
                vec![("", Statistic::Locations), ("_mean", Statistic::Means), ("_std", Statistic::Deviations)];
            for (size, [mean, deviation]) in [(2, ["_mean_2", "_std_2"]), (4, ["_mean_4", "_std_4"])] {
                if h.min(w) >= size {
                    statistics.push((mean, Statistic::SquareMeans(size)));
                    statistics.push((deviation, Statistic::SquareDeviations(size)));
                }
            }
            for (suffix, statistic) in statistics {
                append(&mut results, &format!("act/{name}{suffix}"), of_map(statistic, map.clone()));
            }
        }
    }
    Ok(results)
}

fn given<'i>(inputs: &'i BTreeMap<String, Array>, name: &str) -> Result<&'i Array, InferError> {
    inputs.get(name).ok_or_else(|| wrong(name, "is missing".into()))
}

fn wrong(name: &str, problem: String) -> InferError {
    InferError::Input { name: name.into(), problem }
}

fn expect_shape(array: &Array, name: &str, shape: &[usize]) -> Result<(), InferError> {
    match array.shape == shape {
        true => Ok(()),
        false => Err(wrong(name, format!("has shape {:?}; the network takes {shape:?}", array.shape))),
    }
}

/// Number of pictures of a given shape.
fn pictures(array: &Array, name: &str, [height, width, channels]: [usize; 3]) -> Result<usize, InferError> {
    let count = array.shape.first().copied().unwrap_or_default();
    expect_shape(array, name, &[count, height, width, channels])?;
    if count == 0 { Err(wrong(name, "holds no pictures".into())) } else { Ok(count) }
}

/// Number of pictures for an encoder: convolutions take any size that its patches divide.
fn any_size(array: &Array, architecture: &Architecture) -> Result<usize, InferError> {
    let [height, width, channels] = architecture.input_shape().unwrap_or_default();
    let whole = match architecture {
        Architecture::ResnetMae(net) => net.input_patch,
        Architecture::Encoder(net) => net.patch(),
        _ => 1,
    };
    match array.shape[..] {
        [count, h, w, c]
            if count > 0 && c == channels && h >= whole && w >= whole && h % whole == 0 && w % whole == 0 =>
        {
            Ok(count)
        }
        _ => {
            let text = format!("the network takes [n, {height}, {width}, {channels}], or other multiples of {whole}");
            Err(wrong("input", format!("has shape {:?}; {text}", array.shape)))
        }
    }
}

fn indices(
    inputs: &BTreeMap<String, Array>,
    name: &str,
    shape: &[usize],
    below: usize,
) -> Result<Vec<i64>, InferError> {
    let array = given(inputs, name)?;
    expect_shape(array, name, shape)?;
    let bad = array.data.iter().find(|&&x| x.fract() != 0.0 || !(0.0..below as f32).contains(&x));
    match bad {
        Some(bad) => Err(wrong(name, format!("holds {bad}; there are 0 to {}", below - 1))),
        None => Ok(array.data.iter().map(|&x| x as i64).collect()),
    }
}

fn integers<B: Backend, const D: usize>(values: &[i64], shape: [usize; D], device: &B::Device) -> Tensor<B, D, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Some of an array's first dimension.
fn part<B: Backend, const D: usize>(array: &Array, range: std::ops::Range<usize>, device: &B::Device) -> Tensor<B, D> {
    let row: usize = array.shape[1..].iter().product();
    let mut shape = array.shape.clone();
    shape[0] = range.len();
    let data = array.data[range.start * row..range.end * row].to_vec();
    Tensor::from_data(TensorData::new(data, shape), device)
}

/// Adds a batch to a result.
fn append<B: Backend, const D: usize>(results: &mut BTreeMap<String, Array>, name: &str, batch: Tensor<B, D>) {
    let dims = batch.dims();
    let data: Vec<f32> = batch.into_data().convert::<f32>().to_vec().unwrap_or_default();
    let empty = || Array { shape: [&[0], &dims[1..]].concat(), data: Vec::new() };
    let result = results.entry(name.to_owned()).or_insert_with(empty);
    result.shape[0] += dims[0];
    result.data.extend(data);
}
