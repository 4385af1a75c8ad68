//! Pictures from given noise: safetensors in, safetensors out.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use driftlet_checkpoint::write_atomic;
use driftlet_runtime::{Guidance, Model, Sampler};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::commands::sample::check_guidance;
use crate::mapping::map;
use crate::model_file::arena;
use crate::sampling::no_such_class;

/// Reads `noise` `[n, ..]`, `class_labels` `[n]` (0 if left out) and `cfg_scale` `[n]` (`guidance` if left out); writes
/// `output` `[n, height, width, channels]` in f32, before rounding to pixels.
pub fn run(model: &Model, inputs: &Path, out: &Path, guidance: f32) -> Result<()> {
    let file = map(inputs)?;
    let tensors = SafeTensors::deserialize(&file).with_context(|| format!("{}: not safetensors", inputs.display()))?;
    let read = |name: &str| -> Result<Option<Vec<f64>>> {
        match tensors.tensor(name) {
            Ok(view) => Ok(Some(numbers(&view).with_context(|| format!("{}: {name}", inputs.display()))?)),
            Err(_) => Ok(None),
        }
    };
    let noise = read("noise")?.with_context(|| format!("{}: has no tensor `noise`", inputs.display()))?;
    let len = model.noise_len();
    ensure!(
        len > 0 && noise.len().is_multiple_of(len) && !noise.is_empty(),
        "{}: noise has {} numbers, not a multiple of the {len} that a picture takes",
        inputs.display(),
        noise.len()
    );
    let count = noise.len() / len;
    let per_image = |name: &str, default: f64| -> Result<Vec<f64>> {
        let values = read(name)?.unwrap_or_else(|| vec![default; count]);
        ensure!(
            values.len() == count,
            "{}: {name} has {} numbers, noise is for {count}",
            inputs.display(),
            values.len()
        );
        Ok(values)
    };
    let classes = per_image("class_labels", 0.0)?;
    let strengths = per_image("cfg_scale", guidance.into())?;
    let mut memory = arena(model);
    let mut sampler = Sampler::new(model, &mut memory)?;
    let mut output: Vec<f32> = Vec::new();
    for ((noise, &class), &strength) in noise.chunks_exact(len).zip(&classes).zip(&strengths) {
        check_guidance(strength as f32, model).with_context(|| format!("{}: cfg_scale", inputs.display()))?;
        let index = class as u32;
        let class =
            model.class(index).filter(|_| f64::from(index) == class).with_context(|| no_such_class(index, model))?;
        let noise: Vec<f32> = noise.iter().map(|&x| x as f32).collect();
        sampler.generate_from(&noise, class, Guidance::from_f32(strength as f32))?;
        output.extend(sampler.unrounded());
    }
    let [height, width, channels] = model.image_shape().unwrap_or_default();
    let bytes: Vec<u8> = output.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![count, height, width, channels], &bytes)?;
    let file = safetensors::serialize(HashMap::from([("output", view)]), None)?;
    write_atomic(out, &file).with_context(|| format!("cannot write {}", out.display()))?;
    eprintln!("{}: {count} pictures", out.display());
    Ok(())
}

fn numbers(view: &TensorView) -> Result<Vec<f64>> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|&b| i32::from_le_bytes(b).into()).collect(),
        Dtype::I64 => data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
        Dtype::U8 => data.iter().map(|&b| b.into()).collect(),
        other => bail!("type {other:?} is not read; store f32, f64, i32, i64 or u8"),
    })
}
