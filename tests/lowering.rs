//! The runtime computes what the trainer trained: Burn's networks against f32 `.drift` files of the same weights.

use aligned_vec::AVec;
use std::collections::BTreeMap;

use burn::backend::Flex;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint::{Architecture, Checkpoint, Config, EdgeConv, Stage};
use driftlet_quantize::{Options, Precision, quantize};
use driftlet_runtime::{GivenNoise, Guidance, Model, Network, Sampler, Start};
use driftlet_trainer::networks;

type Failure = Box<dyn std::error::Error>;

fn drift_file(checkpoint: &Checkpoint) -> Result<AVec<u8>, Failure> {
    Ok(AVec::from_slice(64, &quantize(checkpoint, &Options::new("test", Precision::F32))?))
}

fn arena(model: &Model) -> AVec<u8> {
    let mut arena = AVec::new(64);
    arena.resize(model.arena_len(), 0);
    arena
}

fn numbers<const D: usize>(tensor: Tensor<Flex, D>) -> Result<Vec<f32>, Failure> {
    Ok(tensor.into_data().to_vec().map_err(|e| format!("{e:?}"))?)
}

fn assert_close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    let deviation = got.iter().zip(expected).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(deviation < 1e-4, "deviation {deviation}");
}

#[test]
fn generators_agree() -> Result<(), Failure> {
    let colour = EdgeConv {
        height: 16,
        width: 24,
        channels: 3,
        classes: 4,
        noise_dim: 10,
        hidden: 9,
        base_channels: 5,
        stages: vec![Stage { channels: 7, residual: 2 }, Stage { channels: 6, residual: 0 }],
        guidance_knots: vec![1.0, 1.25, 1.5],
    };
    let presets = ["micro", "nano"].map(Architecture::preset).into_iter().flatten();
    for architecture in presets.chain([Architecture::EdgeConv(colour)]) {
        let checkpoint = Checkpoint::random(Config::new(architecture.clone()), 5);
        let Architecture::EdgeConv(net) = &architecture else { return Err("not a generator".into()) };
        let device = Default::default();
        let burn = networks::import(networks::EdgeConv::<Flex>::new(net, &device), &checkpoint);
        let file = drift_file(&checkpoint)?;
        let model = Model::parse(&file)?;
        let mut memory = arena(&model);
        let mut sampler = Sampler::new(&model, &mut memory)?;
        for (class, strength) in [(0, 1.0), (3, 1.125), (2, *net.guidance_knots.last().ok_or("no knots")?)] {
            let noise: Vec<f32> = (0..net.noise_dim).map(|i| ((i * 7 + class) % 13) as f32 / 4.0 - 1.5).collect();
            let pictures = burn.forward(
                Tensor::from_data(TensorData::new(noise.clone(), [1, net.noise_dim]), &device),
                networks::one_hot(&[class], net.classes, &device),
                networks::between_knots(&[strength], &net.guidance_knots, &device),
            );
            let class = model.class(class as u32).ok_or("no such class")?;
            let noise = GivenNoise::Numbers(&noise);
            sampler.generate_from(Start::Given { noise, styles: &[] }, class, Guidance::from_f32(strength));
            assert_close(&sampler.unrounded().collect::<Vec<_>>(), &numbers(pictures.permute([0, 2, 3, 1]))?);
        }
    }
    Ok(())
}

#[test]
fn classifiers_agree() -> Result<(), Failure> {
    let architecture = Architecture::preset("fashion-classifier").ok_or("no preset")?;
    let checkpoint = Checkpoint::random(Config::new(architecture.clone()), 5);
    let Architecture::Classifier(net) = &architecture else { return Err("not a classifier".into()) };
    let device = Default::default();
    let burn = networks::import(networks::Classifier::<Flex>::new(net, &device), &checkpoint);
    let file = drift_file(&checkpoint)?;
    let model = Model::parse(&file)?;
    let mut memory = arena(&model);
    let mut network = Network::new(&model, &mut memory)?;
    let image: Vec<u8> = (0..784u32).map(|i| (i * 37 % 256) as u8).collect();
    let input: Vec<f32> = image.iter().map(|&p| f32::from(p) / 127.5 - 1.0).collect();
    let features = burn.features(Tensor::from_data(TensorData::new(input, [1, 1, 28, 28]), &device));
    let seen = network.run(&image)?;
    assert_close(seen.features, &numbers(features.clone())?);
    assert_close(seen.output, &numbers(burn.logits(features))?);
    Ok(())
}

fn through(network: impl Module<Flex>, checkpoint: &Checkpoint) -> BTreeMap<String, driftlet_checkpoint::Tensor> {
    networks::export(&networks::import(network, checkpoint), &checkpoint.config.architecture)
}

/// What is exported is what was imported, name by name.
#[test]
fn weights_survive_the_way_through_burn() -> Result<(), Failure> {
    let device = Default::default();
    for name in Architecture::presets() {
        let architecture = Architecture::preset(name).ok_or(*name)?;
        // The large networks have the layers of the small ones.
        if architecture.parameters().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>() > 4_000_000
        {
            continue;
        }
        let checkpoint = Checkpoint::random(Config::new(architecture.clone()), 9);
        let (generator, encoder) = (
            networks::Generator::<Flex>::new(&architecture, &device),
            networks::FeatureEncoder::<Flex>::new(&architecture, &device),
        );
        let exported = match (&architecture, generator, encoder) {
            (_, Some(network), _) => through(network, &checkpoint),
            (_, _, Some(network)) => through(network, &checkpoint),
            (Architecture::Classifier(net), ..) => through(networks::Classifier::new(net, &device), &checkpoint),
            (Architecture::Mlp(net), ..) => through(networks::Mlp::new(net, &device), &checkpoint),
            // Not trained, so not in Burn.
            (Architecture::VaeDecoder(_), ..) => continue,
            _ => return Err(format!("{name} has no module").into()),
        };
        assert_eq!(exported, checkpoint.tensors, "{name}");
    }
    Ok(())
}
