//! Inception-v3 against pytorch-fid, with weights that a formula gives; see `tests/golden/inception/README.md`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use aligned_vec::AVec;
use driftlet_checkpoint::{Tensor, read_parameters};
use driftlet_quantize::{Description, Options, Precision, inception, inception_parameters, quantize_graph};
use driftlet_runtime::{Model, Network};

type Failure = Box<dyn std::error::Error>;

/// Largest deviation relative to the largest number.
const TOLERANCE: f32 = 1e-4;

const PICTURES: [[usize; 3]; 3] = [[28, 28, 1], [32, 32, 3], [320, 250, 3]];

/// Numbers in [0, 1): FNV-1a of the name, then an integer hash of it and the index.
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> + use<> {
    let hash = |seed: u32, byte: u8| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811C_9DC5, hash);
    (0..count as u32).map(move |i| {
        let mut x = seed.wrapping_add(i.wrapping_mul(0x9E37_79B9));
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B), (16, 1)] {
            x = (x ^ x >> shift).wrapping_mul(factor);
        }
        f64::from(x) / 4_294_967_296.0
    })
}

fn weights() -> BTreeMap<String, Tensor> {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let scale = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
        let number = |u: f64| {
            if name.ends_with("conv.weight") || name == "fc.weight" {
                (2.0 * u - 1.0) * scale
            } else if name.ends_with("weight") || name.ends_with("running_var") {
                0.6 + 0.8 * u
            } else {
                0.4 * (u - 0.5)
            }
        };
        let data = uniform(&name, shape.iter().product()).map(|u| number(u) as f32).collect();
        (name, Tensor { shape, data })
    };
    inception_parameters().into_iter().map(tensor).collect()
}

fn picture([height, width, channels]: [usize; 3]) -> Vec<u8> {
    let noise = uniform(&format!("{height}x{width}"), height * width * channels);
    let pixel = |(i, u): (usize, f64)| {
        let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
        ((y * 128 / height + x * 64 / width * (c + 1)) % 192) as u8 + (64.0 * u) as u8
    };
    noise.enumerate().map(pixel).collect()
}

fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    let deviation = got.iter().zip(expected).fold(0.0, |max: f32, (a, b)| max.max((a - b).abs())) / largest;
    println!("{what}: deviation {deviation:.1e} of the largest number {largest:.2}");
    assert!(deviation <= TOLERANCE, "{what}: deviation {deviation:e}");
}

#[test]
fn features_and_logits_are_those_of_pytorch_fid() -> Result<(), Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/inception/expected.safetensors");
    let named = |[height, ..]: [usize; 3]| [(format!("features.{height}"), 2048), (format!("logits.{height}"), 1008)];
    let parameters = PICTURES.into_iter().flat_map(named).map(|(name, len)| (name, vec![len])).collect();
    let expected = read_parameters(&path, parameters, |_| false)?;
    let weights = weights();
    for shape in PICTURES {
        let graph = inception(&weights, shape)?;
        let mut file = Cursor::new(Vec::new());
        quantize_graph(&graph, &Description::default(), &Options::new("inception", Precision::F32), &mut file)?;
        let file = AVec::<u8>::from_slice(64, &file.into_inner());
        let model = Model::parse(&file)?;
        let mut arena = AVec::<u8>::new(64);
        arena.resize(model.arena_len(), 0);
        let mut network = Network::new(&model, &mut arena)?;
        let seen = network.run(&picture(shape))?;
        for ((name, _), got) in named(shape).into_iter().zip([seen.features, seen.output]) {
            assert_close(&name, got, &expected[&name].data);
        }
    }
    Ok(())
}
