//! The latent decoder through `.drift` files: f32 to 1e-4 of the reference implementation's pictures, f16 and int8 by their
//! signal-to-quantization-noise ratio (SQNR); and a generator of latents with its decoder in one file.

use std::io::Cursor;
use std::path::Path;

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config, Dit, import_diffusers};
use driftlet_quantize::{Activations, Options, Precision, quantize, quantize_with_decoder_to};
use driftlet_runtime::{GivenNoise, Guidance, Model, Sampler, Start};
use safetensors::SafeTensors;

type Failure = Box<dyn std::error::Error>;

fn toy() -> Result<Checkpoint, Failure> {
    let imported = tempfile::tempdir()?;
    import_diffusers(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vae_toy"), imported.path())?;
    Ok(Checkpoint::load(imported.path())?)
}

/// Raw results of a file from given noise.
fn outputs(file: &[u8], noise: &[f32], class: u32) -> Result<Vec<f32>, Failure> {
    let file = AVec::<u8>::from_slice(64, file);
    let model = Model::parse(&file)?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0x5a);
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let class = model.class(class).ok_or("no such class")?;
    let mut outputs = Vec::new();
    for noise in noise.chunks_exact(model.noise_len()) {
        let start = Start::Given { noise: GivenNoise::Numbers(noise), styles: &[] };
        sampler.generate_from(start, class, Guidance::from_f32(1.5));
        outputs.extend(sampler.unrounded());
    }
    Ok(outputs)
}

/// Energy of the signal by that of the difference, in decibels.
fn sqnr(signal: &[f32], other: &[f32]) -> f64 {
    assert_eq!(signal.len(), other.len());
    let energy = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
    let noise = energy(&mut signal.iter().zip(other).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    10.0 * (energy(&mut signal.iter().map(|&a| f64::from(a))) / noise).log10()
}

#[test]
fn decoders_keep_their_pictures() -> Result<(), Failure> {
    let checkpoint = toy()?;
    let bytes = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vae_toy/expected.safetensors"))?;
    let golden = SafeTensors::deserialize(&bytes)?;
    let floats = |name: &str| -> Result<Vec<f32>, Failure> {
        Ok(golden.tensor(name)?.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
    };
    for (prefix, size) in [("", [8, 8]), ("wide.", [4, 6])] {
        let mut checkpoint = checkpoint.clone();
        let Architecture::VaeDecoder(net) = &mut checkpoint.config.architecture else {
            return Err("no decoder".into());
        };
        [net.height, net.width] = size;
        let (latents, expected) = (floats(&format!("{prefix}input"))?, floats(&format!("{prefix}output"))?);
        let through = |precision, activations| -> Result<Vec<f32>, Failure> {
            let options = Options { activations, ..Options::new("toy", precision) };
            outputs(&quantize(&checkpoint, &options)?, &latents, 0)
        };
        let reference = through(Precision::F32, Activations::Sixteen)?;
        let largest = expected.iter().fold(0f32, |max, x| max.max(x.abs()));
        assert_eq!(reference.len(), expected.len());
        let deviation = reference.iter().zip(&expected).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / largest;
        let f16 = sqnr(&reference, &through(Precision::F16, Activations::Sixteen)?);
        let int8 = sqnr(&reference, &through(Precision::Int8, Activations::Sixteen)?);
        let narrow = sqnr(&reference, &through(Precision::Int8, Activations::Eight)?);
        println!(
            "{prefix}decoder: f32 within {deviation:.1e}; SQNR f16 {f16:.1} dB, int8 {int8:.1} dB, with 8-bit activations {narrow:.1} dB"
        );
        assert!(deviation <= 1e-4, "f32 deviates by {deviation:e}");
        assert!(f16 >= 50.0, "f16 has {f16} dB");
        assert!(int8 >= 30.0, "int8 has {int8} dB");
        assert!(narrow >= 20.0, "int8 with 8-bit activations has {narrow} dB");
    }
    Ok(())
}

/// A transformer that makes latents of 4 channels, 8 x 8; all its weights count, also those that start at zero.
fn generator() -> Result<Checkpoint, Failure> {
    let Some(Architecture::Dit(preset)) = Architecture::preset("dit-32") else { return Err("no preset".into()) };
    let net = Dit { size: 8, patch: 2, channels: 4, depth: 2, ..preset };
    let mut checkpoint = Checkpoint::random(Config::new(Architecture::Dit(net)), 3);
    let mut state = 1u32;
    for tensor in checkpoint.tensors.values_mut() {
        for x in tensor.data.iter_mut().filter(|x| **x == 0.0) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *x = ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.1;
        }
    }
    Ok(checkpoint)
}

#[test]
fn one_file_does_what_two_do() -> Result<(), Failure> {
    let (generator, decoder) = (generator()?, toy()?);
    let joined = |precision| -> Result<Vec<u8>, Failure> {
        let mut file = Cursor::new(Vec::new());
        quantize_with_decoder_to(&generator.view(), &decoder.view(), &Options::new("joined", precision), &mut file)?;
        Ok(file.into_inner())
    };
    let noise: Vec<f32> = (0..8 * 8 * 4).map(|i| ((i * 37 % 101) as f32 - 50.0).round() / 32.0).collect();
    let latents = outputs(&quantize(&generator, &Options::new("generator", Precision::F32))?, &noise, 5)?;
    let apart = outputs(&quantize(&decoder, &Options::new("decoder", Precision::F32))?, &latents, 0)?;
    let whole = outputs(&joined(Precision::F32)?, &noise, 5)?;
    assert_eq!(whole, apart);
    let int8 = sqnr(&whole, &outputs(&joined(Precision::Int8)?, &noise, 5)?);
    println!("generator and decoder in one file: int8 {int8:.1} dB");
    assert!(int8 >= 30.0, "int8 has {int8} dB");
    Ok(())
}

#[test]
fn what_does_not_fit_together_is_refused() -> Result<(), Failure> {
    let refusal = |generator: &Checkpoint, decoder: &Checkpoint| {
        let mut file = Cursor::new(Vec::new());
        let options = Options::new("joined", Precision::F32);
        quantize_with_decoder_to(&generator.view(), &decoder.view(), &options, &mut file).err().map(|e| e.to_string())
    };
    let pictures = Checkpoint::random(Config::new(Architecture::preset("nano").ok_or("preset")?), 1);
    let problem = refusal(&pictures, &toy()?).ok_or("a generator of pictures is accepted")?;
    assert!(problem.contains("makes no latents"), "{problem}");
    let problem = refusal(&generator()?, &pictures).ok_or("a generator is accepted as decoder")?;
    assert!(problem.contains("not a decoder"), "{problem}");
    let Some(Architecture::VaeDecoder(mut net)) = Architecture::preset("vae-decoder-toy") else {
        return Err("preset".into());
    };
    net.latent_channels = 16;
    let other = Checkpoint::random(Config::new(Architecture::VaeDecoder(net)), 1);
    let problem = refusal(&generator()?, &other).ok_or("other latents are accepted")?;
    assert!(problem.contains("latents of 16 channels, but the generator makes 4"), "{problem}");
    Ok(())
}
