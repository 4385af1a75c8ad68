//! Figures against other packages on the same features, logits and pictures; `metrics/agree` made the expected values, see
//! `tests/golden/metrics/README.md`.

use std::collections::BTreeMap;
use std::error::Error;

use driftlet_metrics::{Statistics, coverage, frechet_distance, inception_score, kernel_distance, psnr, ssim};

const DIM: usize = 24;
const REAL: usize = 700;
const GENERATED: usize = 600;
const CLASSES: usize = 10;
const SIDE: usize = 28;
/// Relative.
const TOLERANCE: f64 = 1e-6;

/// Numbers in [0, 1): FNV-1a of the name, then an integer hash of it and the index.
fn uniform(name: &str, count: usize) -> Vec<f64> {
    let hash = |seed: u32, byte: u8| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811C_9DC5, hash);
    let number = |i: u32| {
        let mut x = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B), (16, 1)] {
            x = (x ^ x >> shift).wrapping_mul(factor);
        }
        f64::from(x) / 4_294_967_296.0
    };
    (0..count as u32).map(number).collect()
}

/// Roughly normal numbers, of another deviation in every dimension, with one in common.
fn features(name: &str, count: usize, dim: usize, shift: f64) -> Vec<f32> {
    let parts: Vec<Vec<f64>> = (0..4).map(|part| uniform(&format!("{name}.{part}"), count * dim)).collect();
    let common = uniform(&format!("{name}.common"), count);
    let number = |i: usize| {
        let scale = 1.0 + (i % dim) as f64 / dim as f64;
        let sum = parts[0][i] + parts[1][i] + parts[2][i] + parts[3][i];
        ((sum - 2.0 + common[i / dim]) * scale + shift) as f32
    };
    (0..count * dim).map(number).collect()
}

/// Noise on stripes.
fn picture(name: &str) -> Vec<u8> {
    let noise = uniform(name, SIDE * SIDE);
    let pixel = |i: usize| ((i % SIDE * 5 + i / SIDE * 2) % 128) as u8 + (noise[i] * 128.0) as u8;
    (0..SIDE * SIDE).map(pixel).collect()
}

#[test]
fn figures_are_those_of_other_packages() -> Result<(), Box<dyn Error>> {
    let expected: BTreeMap<String, f64> =
        serde_json::from_str(include_str!("../../tests/golden/metrics/expected.json"))?;
    let (real, generated) = (features("real", REAL, DIM, 0.0), features("generated", GENERATED, DIM, 0.25));
    let logits = features("logits", GENERATED, CLASSES, 0.0);
    let (a, b) = (picture("a"), picture("b"));
    let statistics = |set: &[f32]| Statistics::of(set, DIM);
    let kernel = kernel_distance(&real[..GENERATED * DIM], &generated, DIM, (1, GENERATED), 0)?;
    let mut found = vec![
        ("frechet".to_owned(), frechet_distance(&statistics(&generated)?, &statistics(&real)?)?),
        ("kid".to_owned(), kernel.mean),
        ("inception_score".to_owned(), inception_score(&logits, CLASSES)),
        ("ssim".to_owned(), ssim(&a, &b, [SIDE, SIDE, 1])),
        ("psnr".to_owned(), psnr(&a, &b).ok_or("no pictures")?),
    ];
    for k in [3, 5] {
        let covered = coverage(&real, &generated, DIM, k)?;
        let figures = [
            ("precision", covered.fidelity),
            ("recall", covered.recall),
            ("density", covered.density),
            ("coverage", covered.coverage),
        ];
        found.extend(figures.map(|(name, value)| (format!("{name}.{k}"), value)));
    }
    assert_eq!(found.len(), expected.len());
    for (name, value) in found {
        println!("{name} {value}");
        let expected = expected.get(&name).ok_or_else(|| format!("no {name} in expected.json"))?;
        assert!((value - expected).abs() <= TOLERANCE * expected.abs(), "{name}: {value} instead of {expected}");
    }
    Ok(())
}
