//! The parts of a step: one after another on one device, side by side on several. Either way they are added up in the same
//! order, so that the number of devices changes nothing.

use std::panic::resume_unwind;
use std::thread;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, FloatDType};
use serde_json::{Map, Value};

use super::{StepLoss, Task, rounded};
use crate::config::{Config, Precision};
use crate::networks::in_precision;

/// Loss, gradient and figures of a whole step, or of a part of it.
pub struct Gradient {
    /// A part's share of the mean over all parts.
    pub loss: f64,
    /// Of that loss.
    pub gradients: GradientsParams,
    /// For the log; a step has those of its last part.
    pub figures: Map<String, Value>,
    /// Samples that went into it.
    pub samples: usize,
}

/// Works off the parts of a step: of each device, only one part's activations are alive at a time. The network and the
/// gradient are on the first device.
pub fn gradient<B: AutodiffBackend, T: Task<B> + Send>(
    tasks: &mut [T],
    devices: &[B::Device],
    network: &T::Network,
    config: &Config,
    step: u64,
) -> Gradient {
    let (parts, count) = (tasks[0].parts(), devices.len());
    let mut sum = GradientsAccumulator::new();
    let mut whole = Gradient { loss: 0.0, gradients: GradientsParams::new(), figures: Map::new(), samples: 0 };
    let mut add = |part: Gradient| {
        whole.loss += part.loss;
        whole.figures = part.figures;
        whole.samples += part.samples;
        sum.accumulate(network, part.gradients);
    };
    if let ([task], [_]) = (&mut *tasks, devices) {
        work(task, network, config, step, 0..parts).for_each(add);
    } else {
        let mut worked = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (first, (task, device)) in tasks.iter_mut().zip(devices).enumerate() {
                let network = network.clone().fork(device);
                let own = (first..parts).step_by(count);
                // So that devices wait for nobody: what they found stays with them until all are done.
                threads.push(scope.spawn(move || work(task, &network, config, step, own).collect::<Vec<_>>()));
            }
            let join = |thread: thread::ScopedJoinHandle<'_, Vec<Gradient>>| match thread.join() {
                Ok(worked) => worked.into_iter(),
                Err(panic) => resume_unwind(panic),
            };
            threads.into_iter().map(join).collect::<Vec<_>>()
        });
        for part in (0..parts).filter_map(|part| worked[part % count].next()) {
            let gradients = part.gradients.to_device::<B, _>(&devices[0], network);
            add(Gradient { gradients, ..part });
        }
    }
    whole.gradients = sum.grads();
    whole
}

/// Works off some parts on the device of the network.
fn work<B: AutodiffBackend, T: Task<B>>(
    task: &mut T,
    network: &T::Network,
    config: &Config,
    step: u64,
    own: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Gradient> {
    let parts = task.parts() as f64;
    own.map(move |part| {
        // Anew for each part: a backward pass uses up its graph, and the casts with it.
        let computing = rounded(network, config);
        let computing = match config.precision {
            Precision::F32 => computing,
            Precision::Bf16 => in_precision(computing, FloatDType::BF16),
        };
        let StepLoss { loss, figures, samples } = task.loss(&computing, step, part);
        let loss = loss.div_scalar(parts);
        Gradient {
            loss: loss.clone().into_scalar().elem(),
            gradients: GradientsParams::from_grads(loss.backward(), network),
            figures,
            samples,
        }
    })
}
