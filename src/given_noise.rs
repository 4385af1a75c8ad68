//! Pictures from given noise: safetensors in, safetensors out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use driftlet_checkpoint::{Checkpoint, Tensor, map_file, write_atomic};
use driftlet_runtime::{GivenNoise, Guidance, Model, Sampler, Start};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::commands::sample::check_guidance;
use crate::model_file::arena;
use crate::sampling::no_such_class;

/// Reads `noise` `[n, ..]`, `style_indices` `[n, styles]` where the model takes them, `class_labels` `[n]` (0 if left out) and `cfg_scale` `[n]` (`guidance` if left out); writes
/// `output` `[n, height, width, channels]` in f32, before rounding to pixels.
pub fn run(model: &Model, inputs: &Path, out: &Path, guidance: f32) -> Result<()> {
    let tensors = read(inputs)?;
    let numbers = |name: &str| tensors.get(name).map(|tensor| tensor.data.clone());
    let noise = numbers("noise").with_context(|| format!("{}: has no tensor `noise`", inputs.display()))?;
    let len = model.noise_len();
    ensure!(
        len > 0 && noise.len().is_multiple_of(len) && !noise.is_empty(),
        "{}: noise has {} numbers, not a multiple of the {len} that a picture takes",
        inputs.display(),
        noise.len()
    );
    let count = noise.len() / len;
    let per_image = |name: &str, default: f32| -> Result<Vec<f32>> {
        let values = numbers(name).unwrap_or_else(|| vec![default; count]);
        ensure!(
            values.len() == count,
            "{}: {name} has {} numbers, noise is for {count}",
            inputs.display(),
            values.len()
        );
        Ok(values)
    };
    let classes = per_image("class_labels", 0.0)?;
    let strengths = per_image("cfg_scale", guidance)?;
    let styles = styles(&tensors, model, count).with_context(|| inputs.display().to_string())?;
    let mut memory = arena(model);
    let mut sampler = Sampler::new(model, &mut memory)?;
    let mut output: Vec<f32> = Vec::new();
    let per_image =
        noise.chunks_exact(len).zip(styles.chunks(styles.len() / count)).zip(classes.iter().zip(&strengths));
    for ((noise, styles), (&class, &strength)) in per_image {
        check_guidance(strength, model).with_context(|| format!("{}: cfg_scale", inputs.display()))?;
        let index = class as u32;
        let class =
            model.class(index).filter(|_| index as f32 == class).with_context(|| no_such_class(index, model))?;
        let start = Start::Given { noise: GivenNoise::Numbers(noise), styles };
        sampler.generate_from(start, class, Guidance::from_f32(strength));
        output.extend(sampler.unrounded());
    }
    let [height, width, channels] = model.output_shape();
    let output = Tensor { shape: vec![count, height, width, channels], data: output };
    write(out, &BTreeMap::from([("output".to_owned(), output)]))?;
    eprintln!("{}: {count} pictures", out.display());
    Ok(())
}

/// The style indices of every picture; for models that take none, one that is not read.
fn styles(tensors: &BTreeMap<String, Tensor>, model: &Model, count: usize) -> Result<Vec<u32>> {
    let (styles, rows) = model.styles();
    if styles == 0 {
        return Ok(vec![0; count]);
    }
    let given = tensors.get("style_indices").context("has no tensor `style_indices`, which the model takes")?;
    let (found, expected) = (given.data.len(), count * styles as usize);
    ensure!(found == expected, "style_indices has {found} numbers; {count} pictures take {expected}");
    let index = |&x: &f32| {
        ensure!(
            x.fract() == 0.0 && (0.0..rows as f32).contains(&x),
            "style_indices holds {x}; it must be 0 to {}",
            rows - 1
        );
        Ok(x as u32)
    };
    given.data.iter().map(index).collect()
}

/// Runs a network that .drift files do not hold yet on every input it takes; see `driftlet_trainer::infer`.
#[cfg(feature = "train")]
pub fn run_checkpoint(checkpoint: &Checkpoint, inputs: &Path, out: &Path) -> Result<()> {
    let results = driftlet_trainer::infer(checkpoint, &read(inputs)?).with_context(|| inputs.display().to_string())?;
    write(out, &results)?;
    let names: Vec<&str> = results.keys().map(String::as_str).collect();
    eprintln!("{}: {}", out.display(), names.join(", "));
    Ok(())
}

/// As with the feature `train`, which is not there.
#[cfg(not(feature = "train"))]
pub fn run_checkpoint(_: &Checkpoint, _: &Path, _: &Path) -> Result<()> {
    bail!("transformers and encoders run through the trainer; build with `--features train`")
}

/// What networks take; other tensors of a file are passed over, whatever their type.
const INPUTS: [&str; 5] = ["noise", "style_indices", "class_labels", "cfg_scale", "input"];

/// The inputs in a safetensors file, as f32.
fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let file = map_file(path)?;
    let tensors = SafeTensors::deserialize(&file).with_context(|| format!("{}: not safetensors", path.display()))?;
    let tensor = |(name, view): (String, TensorView)| {
        let data = numbers(&view).with_context(|| format!("{}: {name}", path.display()))?;
        Ok((name, Tensor { shape: view.shape().to_vec(), data }))
    };
    tensors.tensors().into_iter().filter(|(name, _)| INPUTS.contains(&name.as_str())).map(tensor).collect()
}

fn write(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
    let bytes = |tensor: &Tensor| tensor.data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> = tensors.iter().map(|(name, t)| (name, t, bytes(t))).collect();
    let views = bytes.iter().map(|(name, t, bytes)| Ok((*name, TensorView::new(Dtype::F32, t.shape.clone(), bytes)?)));
    let file = safetensors::serialize(views.collect::<Result<Vec<_>>>()?, None)?;
    write_atomic(path, &file).with_context(|| format!("cannot write {}", path.display()))
}

fn numbers(view: &TensorView) -> Result<Vec<f32>> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b) as f32).collect(),
        Dtype::I64 => data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f32).collect(),
        Dtype::U8 => data.iter().map(|&b| b.into()).collect(),
        other => bail!("type {other:?} is not read; store f32, f64, i32, i64 or u8"),
    })
}
