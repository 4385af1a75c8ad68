//! Golden generators through `.drift` files: f32 to 1e-4 of the reference code's outputs, f16 and int8 by their
//! signal-to-quantization-noise ratio (SQNR) against f32.
//!
//! `DRIFTLET_GOLDEN` names a directory laid out like `tests/golden`, as for `cargo test --test golden`.

use std::path::{Path, PathBuf};

use aligned_vec::AVec;
use driftlet_checkpoint::{Checkpoint, import_flax};
use driftlet_quantize::{Activations, Options, Precision, WeightBits, quantize};
use driftlet_runtime::{GivenNoise, Guidance, Model, Sampler, Start};
use safetensors::SafeTensors;

type Failure = Box<dyn std::error::Error>;

/// Smallest SQNR against f32, in decibels, with weights of 8 and of 4 bits.
const INT8_SQNR: f64 = 35.0;
const FOUR_BITS_SQNR: f64 = 20.0;

fn golden() -> PathBuf {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::env::var_os("DRIFTLET_GOLDEN").map_or_else(committed, PathBuf::from)
}

/// Inputs and outputs of the reference code.
struct Expected {
    noise: Vec<f32>,
    styles: Vec<u32>,
    classes: Vec<u32>,
    strengths: Vec<f32>,
    output: Vec<f32>,
}

fn expected(directory: &Path) -> Result<Expected, Failure> {
    let bytes = std::fs::read(directory.join("expected.safetensors"))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let words = |name: &str| -> Result<Vec<[u8; 4]>, Failure> { Ok(file.tensor(name)?.data().as_chunks().0.to_vec()) };
    let floats =
        |name: &str| -> Result<Vec<f32>, Failure> { Ok(words(name)?.into_iter().map(f32::from_le_bytes).collect()) };
    let indices =
        |name: &str| -> Result<Vec<u32>, Failure> { Ok(words(name)?.into_iter().map(u32::from_le_bytes).collect()) };
    Ok(Expected {
        noise: floats("noise")?,
        styles: indices("style_indices")?,
        classes: indices("class_labels")?,
        strengths: floats("cfg_scale")?,
        output: floats("output")?,
    })
}

fn outputs(file: &[u8], expected: &Expected) -> Result<Vec<f32>, Failure> {
    let file = AVec::<u8>::from_slice(64, file);
    let model = Model::parse(&file)?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let count = expected.classes.len();
    assert_eq!(expected.noise.len(), count * model.noise_len());
    assert_eq!(expected.styles.len(), count * model.styles().0 as usize);
    let mut outputs = Vec::new();
    for i in 0..count {
        let part = |len: usize| i * len..(i + 1) * len;
        let noise = GivenNoise::Numbers(&expected.noise[part(model.noise_len())]);
        let styles = &expected.styles[part(model.styles().0 as usize)];
        let class = model.class(expected.classes[i]).ok_or("no such class")?;
        sampler.generate_from(Start::Given { noise, styles }, class, Guidance::from_f32(expected.strengths[i]));
        outputs.extend(sampler.unrounded());
    }
    Ok(outputs)
}

/// Energy of the signal by that of the difference, in decibels.
fn sqnr(signal: &[f32], other: &[f32]) -> f64 {
    let energy = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let noise = energy(&mut signal.iter().zip(other).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    10.0 * (energy(&mut signal.iter().map(|&a| f64::from(a))) / noise).log10()
}

#[test]
fn generators_keep_their_outputs() -> Result<(), Failure> {
    for entry in std::fs::read_dir(golden())? {
        let directory = entry?.path();
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("generator") {
            continue;
        }
        let imported = tempfile::tempdir()?;
        import_flax(&directory, imported.path())?;
        let checkpoint = Checkpoint::load(imported.path())?;
        let expected = expected(&directory)?;
        let through = |precision, activations, weights| -> Result<Vec<f32>, Failure> {
            let options = Options { activations, weights, ..Options::new(&name, precision) };
            outputs(&quantize(&checkpoint, &options)?, &expected)
        };
        let reference = through(Precision::F32, Activations::Sixteen, WeightBits::Eight)?;
        assert_eq!(reference.len(), expected.output.len());
        let pairs = reference.iter().zip(&expected.output);
        let deviation = pairs.fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        println!("{name}: f32 within {deviation:.1e}");
        assert!(deviation <= 1e-4, "{name}: f32 deviates by {deviation:e}");
        let int8 = Precision::Int8;
        for (what, precision, activations, weights, least) in [
            ("f16", Precision::F16, Activations::Sixteen, WeightBits::Eight, 50.0),
            ("W8A16", int8, Activations::Sixteen, WeightBits::Eight, INT8_SQNR),
            ("W8A8", int8, Activations::Eight, WeightBits::Eight, INT8_SQNR),
            ("W4A8", int8, Activations::Eight, WeightBits::Four, FOUR_BITS_SQNR),
        ] {
            let ratio = sqnr(&reference, &through(precision, activations, weights)?);
            println!("{name}: {what} {ratio:.1} dB");
            assert!(ratio >= least, "{name}: {what} has {ratio} dB, less than {least}");
        }
    }
    Ok(())
}
