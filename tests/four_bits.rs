//! Training for weights of 4 bits (`weight_bits = 4`) computes with the weights that files of 4 bits hold: the quantizer, asked for
//! the nearest, finds every weight that the trainer has rounded on its own grid, and rounds it no further.

use std::collections::BTreeMap;

use aligned_vec::AVec;
use burn::backend::Flex;
use driftlet_checkpoint::{Architecture, Checkpoint, Config, Tensor};
use driftlet_quantize::{Options, Precision, Technique, WeightBits, quantize};
use driftlet_runtime::{Guidance, Model, Sampler};
use driftlet_trainer::networks::{Generator, export, import, in_four_bits};

type Failure = Box<dyn std::error::Error>;

/// Decibels that pictures keep where weights are not rounded again; what is lost is that of activations of 16 bits.
const KEPT: f64 = 45.0;

/// The checkpoint with the weights that its training would compute with.
fn rounded(checkpoint: &Checkpoint) -> Result<Checkpoint, Failure> {
    let architecture = &checkpoint.config.architecture;
    let network = Generator::<Flex>::new(architecture, &Default::default()).ok_or("no generator")?;
    let tensors: BTreeMap<String, Tensor> = export(&in_four_bits(import(network, checkpoint)), architecture);
    Ok(Checkpoint { config: checkpoint.config.clone(), tensors })
}

fn pictures(checkpoint: &Checkpoint, options: &Options) -> Result<Vec<f32>, Failure> {
    let file = AVec::<u8>::from_slice(64, &quantize(checkpoint, options)?);
    let model = Model::parse(&file)?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let mut outputs = Vec::new();
    for seed in 0..6 {
        let class = model.class(seed as u32 % model.classes()).ok_or("no such class")?;
        sampler.generate(seed, class, Guidance::from_q8(320));
        outputs.extend(sampler.unrounded());
    }
    Ok(outputs)
}

/// Signal-to-quantization-noise ratio, in decibels, of a file of the nearest weights of 4 bits against the float file.
fn ratio(checkpoint: &Checkpoint) -> Result<f64, Failure> {
    let nearest = Options {
        weights: WeightBits::Four,
        calibration_samples: Some(64),
        without: vec![Technique::Fit, Technique::Bias],
        ..Options::new("x", Precision::Int8)
    };
    let exact = pictures(checkpoint, &Options::new("x", Precision::F32))?;
    let energy = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let noise = energy(&mut exact.iter().zip(pictures(checkpoint, &nearest)?).map(|(a, b)| a - b));
    Ok(10.0 * (energy(&mut exact.iter().copied()) / noise).log10())
}

#[test]
fn the_quantizer_finds_the_weights_that_the_trainer_computes_with() -> Result<(), Failure> {
    for preset in ["micro", "nano"] {
        let architecture = Architecture::preset(preset).ok_or("no such preset")?;
        for seed in [3, 4] {
            let checkpoint = Checkpoint::random(Config::new(architecture.clone()), seed);
            let trained = rounded(&checkpoint)?;
            assert_ne!(trained.tensors, checkpoint.tensors);
            // On the grid, every weight stays where it is.
            assert_eq!(rounded(&trained)?.tensors, trained.tensors, "{preset}");
            let (as_trained, unprepared) = (ratio(&trained)?, ratio(&checkpoint)?);
            println!("{preset}, seed {seed}: {as_trained:.1} dB; weights that were not on the grid {unprepared:.1} dB");
            assert!(as_trained > KEPT && unprepared < KEPT - 10.0, "{preset}: {as_trained} dB, {unprepared} dB");
        }
    }
    Ok(())
}
