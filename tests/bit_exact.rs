//! The same file, seed, class and guidance give the same bytes: on every machine, in debug and release builds.

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::{Activations, Options, Precision, quantize};
use driftlet_runtime::{Guidance, Model, Sampler};
use sha2::{Digest, Sha256};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn pictures(file: &[u8], count: u64) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let file = AVec::<u8>::from_slice(64, file);
    let model = Model::parse(&file)?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0xa5);
    let mut sampler = Sampler::new(&model, &mut arena)?;
    (0..count)
        .map(|seed| {
            let class = model.class((seed % 10) as u32).ok_or("class")?;
            let guidance = Guidance::from_q8(256 + 37 * seed as u16);
            Ok(sampler.generate(seed, class, guidance).to_vec())
        })
        .collect()
}

fn made(preset: &str, precision: Precision) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let checkpoint = Checkpoint::random(Config::new(Architecture::preset(preset).ok_or("preset")?), 7);
    Ok(quantize(&checkpoint, &Options::new("test", precision))?)
}

#[test]
fn quantizing_twice_gives_the_same_file() -> Outcome {
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        assert_eq!(made("nano", precision)?, made("nano", precision)?);
    }
    Ok(())
}

/// One picture does not depend on what the arena held before, nor on the pictures made before.
#[test]
fn pictures_do_not_depend_on_history() -> Outcome {
    for precision in [Precision::F32, Precision::Int8] {
        let file = made("nano", precision)?;
        assert_eq!(pictures(&file, 12)?[..3], pictures(&file, 3)?);
    }
    Ok(())
}

/// The published hash of the shipped model.
#[test]
fn the_shipped_model_has_its_published_hash() -> Outcome {
    let checkpoint =
        Checkpoint::load(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/fashion-micro")))?;
    let file = quantize(&checkpoint, &Options::new("fashion-micro", Precision::Int8))?;
    let hash: String = Sha256::digest(pictures(&file, 20)?.concat()).iter().map(|b| format!("{b:02x}")).collect();
    let published = include_str!("../models/fashion-micro/README.md");
    assert!(
        published.contains(&hash),
        "20 pictures hash to {hash}, which models/fashion-micro/README.md does not name"
    );
    Ok(())
}

/// f16 and int8, with both widths of activations, stay close to f32 with the same noise.
#[test]
fn precisions_agree() -> Outcome {
    let checkpoint = Checkpoint::random(Config::new(Architecture::preset("micro").ok_or("preset")?), 7);
    let made = |precision, activations| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let options = Options { activations, ..Options::new("test", precision) };
        Ok(pictures(&quantize(&checkpoint, &options)?, 20)?.concat())
    };
    let reference = made(Precision::F32, Activations::Sixteen)?;
    for (precision, activations, most) in [
        (Precision::F16, Activations::Sixteen, 0.02),
        (Precision::Int8, Activations::Sixteen, 2.0),
        (Precision::Int8, Activations::Eight, 2.0),
    ] {
        let other = made(precision, activations)?;
        let error: f64 = reference.iter().zip(&other).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum();
        let mean = error / reference.len() as f64;
        assert!(mean <= most, "{precision:?}, {activations:?}: mean difference {mean} of 255");
    }
    Ok(())
}
