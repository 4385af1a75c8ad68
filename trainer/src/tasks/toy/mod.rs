//! The method in the plane (the paper's figures 3 and 4): one generator per start, and an animation of how they drift.

mod animation;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint as checkpoint;
use driftlet_checkpoint::{Architecture, Checkpoint, Config as CheckpointConfig};
use driftlet_data::Toy as Distribution;
use serde_json::{Map, json};

use super::generator::gaussian;
use crate::config::{self, Config, Start};
use crate::drift::{Targets, drift_loss};
use crate::networks;
use crate::order::rng;
use crate::run::{Averaged, Review, StepLoss, Task, run as run_task, write};
use crate::{TrainError, TrainOptions};

/// Points that a review keeps, for the animation and the distance.
const SHOWN: usize = 400;

/// A generator of points from one start.
struct Toy<D> {
    net: checkpoint::Mlp,
    settings: config::Toy,
    field: config::Field,
    distribution: Distribution,
    start: Start,
    seed: u64,
    device: D,
}

/// Trains from each start in a directory of its own, then draws `evolution.gif`.
pub fn run<B: AutodiffBackend>(
    net: &checkpoint::Mlp,
    distribution: Distribution,
    settings: &config::Toy,
    config: &Config,
    options: &TrainOptions,
    device: &B::Device,
) -> Result<(), TrainError> {
    let mut evolutions = Vec::new();
    for &start in &settings.starts {
        let out = options.out.join(start.name());
        let resume = options.resume && out.join("state.safetensors").exists();
        let options = TrainOptions { out: out.clone(), resume, ..options.clone() };
        let toy = Toy {
            net: net.clone(),
            settings: settings.clone(),
            field: config.field.clone(),
            distribution,
            start,
            seed: config.seed,
            device: device.clone(),
        };
        run_task::<B, _>(&mut [toy], config, &[], &options, std::slice::from_ref(device))?;
        evolutions.push(animation::Evolution::read(start.name(), &out.join("log.jsonl"))?);
    }
    let real: Vec<[f32; 2]> = real(distribution, config.seed, 0, 4 * SHOWN);
    let path = options.out.join("evolution.gif");
    write(&path, &animation::draw(&real, &evolutions))?;
    eprintln!("{}: the evolution from {} starts", path.display(), evolutions.len());
    Ok(())
}

fn real(distribution: Distribution, seed: u64, step: u64, count: usize) -> Vec<[f32; 2]> {
    let mut rng = rng(seed, 5, step);
    (0..count).map(|_| distribution.sample(&mut rng)).collect()
}

impl<B: AutodiffBackend> Task<B> for Toy<B::Device> {
    type Network = networks::Mlp<B>;

    fn architecture(&self) -> Architecture {
        Architecture::Mlp(self.net.clone())
    }

    fn initial(&self, seed: u64) -> Checkpoint {
        let mut initial = Checkpoint::random(CheckpointConfig::new(Task::<B>::architecture(self)), seed);
        let (scale, centre) = match self.start {
            Start::Middle => (0.1, [0.0, 0.0]),
            Start::Far => (0.1, [1.5, 1.5]),
            // One point of the data; what little the noise still moves it is all there is to start from.
            Start::Collapsed => (1e-3, real(self.distribution, seed, u64::MAX, 1)[0]),
        };
        for (name, tensor) in &mut initial.tensors {
            match name.as_str() {
                "out.weight" => tensor.data.iter_mut().for_each(|w| *w *= scale),
                "out.bias" => tensor.data.copy_from_slice(&centre),
                _ => {}
            }
        }
        initial
    }

    fn network(&self, device: &B::Device) -> Self::Network {
        networks::Mlp::new(&self.net, device)
    }

    fn loss(&mut self, network: &Self::Network, step: u64, _part: usize) -> StepLoss<B> {
        let (generated, positives) = (self.settings.generated, self.settings.positives);
        let noise = gaussian(generated * self.net.noise_dim, &mut rng(self.seed, 2, step));
        let noise = Tensor::from_data(TensorData::new(noise, [generated, self.net.noise_dim]), &self.device);
        let data = real(self.distribution, self.seed, step, positives).concat();
        let data = Tensor::from_data(TensorData::new(data, [1, positives, 2]), &self.device);
        let targets = Targets { positives: data, negatives: None };
        let drift = drift_loss(network.forward(noise).unsqueeze(), &targets, &self.field.at(step));
        StepLoss {
            loss: drift.loss.mean(),
            figures: Map::from_iter([("raw_drift".into(), json!(drift.raw_drift))]),
            samples: generated,
        }
    }

    fn review(&mut self, network: &Averaged<Self::Network, B>) -> Result<Review, TrainError> {
        let noise = gaussian(SHOWN * self.net.noise_dim, &mut rng(self.seed, 3, 0));
        let noise = Tensor::from_data(TensorData::new(noise, [SHOWN, self.net.noise_dim]), &self.device);
        let points: Vec<f32> = network.forward(noise).into_data().convert::<f32>().to_vec().unwrap_or_default();
        let points = points.as_chunks::<2>().0;
        let distance = energy_distance(points, &real(self.distribution, self.seed, u64::MAX - 1, SHOWN));
        let rounded: Vec<[f64; 2]> = points.iter().map(|p| p.map(|x| (f64::from(x) * 1e3).round() / 1e3)).collect();
        let figures = Map::from_iter([("energy_distance".into(), json!(distance)), ("points".into(), json!(rounded))]);
        Ok(Review { figures, grid: None })
    }
}

/// `2 E|x - y| - E|x - x'| - E|y - y'|` (Szekely and Rizzo, 2013), 0 for equal distributions.
fn energy_distance(x: &[[f32; 2]], y: &[[f32; 2]]) -> f64 {
    let mean = |a: &[[f32; 2]], b: &[[f32; 2]]| {
        let each = |p: &[f32; 2]| b.iter().map(|q| f64::from((p[0] - q[0]).hypot(p[1] - q[1]))).sum::<f64>();
        a.iter().map(each).sum::<f64>() / (a.len() * b.len()) as f64
    };
    2.0 * mean(x, y) - mean(x, x) - mean(y, y)
}
