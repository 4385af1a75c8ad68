//! Our numerics against the reference implementation of the paper: its inputs and outputs.
//!
//! `DRIFTLET_GOLDEN` names a directory laid out like `tests/golden`; without it, the vectors committed there are used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint::{Checkpoint, Tensor as Array, import_flax};
use driftlet_trainer::drift::{Field, Targets, drift_loss};
use driftlet_trainer::infer;
use safetensors::SafeTensors;

type Inner = Flex;
type Backend = Autodiff<Inner>;
type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Largest deviation relative to the largest number of the expected tensor.
const TOLERANCE: f64 = 1e-4;

fn golden() -> PathBuf {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::env::var_os("DRIFTLET_GOLDEN").map_or_else(committed, PathBuf::from)
}

fn floats(file: &SafeTensors, name: &str) -> Result<(Vec<usize>, Vec<f32>), Box<dyn std::error::Error>> {
    let view = file.tensor(name)?;
    assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
    Ok((view.shape().to_vec(), view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()))
}

fn tensor<B: burn::tensor::backend::Backend, const D: usize>(
    file: &SafeTensors,
    name: &str,
) -> Result<Tensor<B, D>, Box<dyn std::error::Error>> {
    let (shape, data) = floats(file, name)?;
    Ok(Tensor::from_data(TensorData::new(data, shape), &Default::default()))
}

fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-12f64, |max, &x| max.max(f64::from(x).abs()));
    let deviation = got.iter().zip(expected).fold(0f64, |max, (&a, &b)| max.max((f64::from(a) - f64::from(b)).abs()));
    println!("{what}: deviation {:.1e}", deviation / largest);
    assert!(deviation <= TOLERANCE * largest, "{what}: deviation {deviation:e}, largest number {largest:e}");
}

#[test]
fn drift_loss_and_its_gradient() -> Outcome {
    let directory = golden().join("drift_loss");
    let mut checked = 0;
    for entry in std::fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let (_, temperatures) = floats(&file, "temperatures")?;
        let temperatures: Vec<f64> = temperatures.iter().map(|&t| f64::from(t)).collect();
        let negatives = match file.tensor("neg") {
            Ok(_) => Some((tensor(&file, "neg")?, tensor(&file, "weight_neg")?)),
            Err(_) => None,
        };
        let targets = Targets::<Inner> { positives: tensor(&file, "pos")?, negatives };
        let generated: Tensor<Backend, 3> = tensor::<Backend, 3>(&file, "gen")?.require_grad();
        let field = Field { temperatures: temperatures.clone(), ..Field::default() };
        let result = drift_loss(generated.clone(), &targets, &field);

        let loss: Vec<f32> = result.loss.clone().into_data().to_vec().map_err(|e| format!("{e:?}"))?;
        assert_close(&format!("{name}: loss"), &loss, &floats(&file, "loss")?.1);
        let gradients = result.loss.sum().backward();
        let gradient = generated.grad(&gradients).ok_or("no gradient")?;
        let gradient: Vec<f32> = gradient.into_data().to_vec().map_err(|e| format!("{e:?}"))?;
        assert_close(&format!("{name}: gradient"), &gradient, &floats(&file, "grad_gen_of_sum")?.1);
        assert_close(&format!("{name}: scale"), &[result.scale as f32], &floats(&file, "scale_mean")?.1);
        for (&temperature, &raw) in temperatures.iter().zip(&result.raw_drift) {
            // The keys carry the temperature in the reference's spelling.
            let key = file.names().into_iter().find(|key| {
                key.strip_prefix("loss_tau_")
                    .and_then(|t| t.replace('_', ".").parse::<f64>().ok())
                    .is_some_and(|t| (t - temperature).abs() < 1e-6)
            });
            let key = key.ok_or_else(|| format!("{name}: no loss_tau of {temperature}"))?.to_owned();
            assert_close(&format!("{name}: {key}"), &[raw as f32], &floats(&file, &key)?.1);
        }
        checked += 1;
    }
    assert!(checked > 0, "{} holds no vectors", directory.display());
    Ok(())
}

/// Artifacts whose directory's name starts so: their network on the inputs of `expected.safetensors` gives its outputs, to
/// `tolerance`, absolute. A directory without such artifacts is skipped.
fn artifacts(kind: &str, tolerance: f32) -> Outcome {
    for entry in std::fs::read_dir(golden())? {
        let directory = entry?.path();
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with(kind) {
            continue;
        }
        let checkpoint = tempfile::tempdir()?;
        import_flax(&directory, checkpoint.path())?;
        let bytes = std::fs::read(directory.join("expected.safetensors"))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let mut expected = BTreeMap::new();
        for (name, view) in file.tensors() {
            let words = view.data().as_chunks().0.iter();
            let data: Vec<f32> = match view.dtype() {
                safetensors::Dtype::I32 => words.map(|&b| i32::from_le_bytes(b) as f32).collect(),
                _ => words.map(|&b| f32::from_le_bytes(b)).collect(),
            };
            expected.insert(name, Array { shape: view.shape().to_vec(), data });
        }
        let results = infer(&Checkpoint::load(checkpoint.path())?, &expected)?;
        let inputs = ["noise", "style_indices", "class_labels", "cfg_scale", "input"];
        let mut largest = 0f32;
        for (output, expected) in expected.iter().filter(|(name, _)| !inputs.contains(&name.as_str())) {
            let result = results.get(output).ok_or_else(|| format!("{name}: there is no {output}"))?;
            assert_eq!(result.shape, expected.shape, "{name}: {output}");
            let deviation = result.data.iter().zip(&expected.data).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
            assert!(deviation <= tolerance, "{name}: {output}: deviation {deviation:e}");
            largest = largest.max(deviation);
        }
        println!("{name}: largest deviation {largest:.1e}");
    }
    Ok(())
}

#[test]
fn generators() -> Outcome {
    artifacts("generator", 1e-4)
}

#[test]
fn masked_autoencoders() -> Outcome {
    artifacts("mae", 1e-3)
}
