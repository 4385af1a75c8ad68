//! How far the distribution of a model's pictures is from a given one, in the features of a network: what a file is worth as a whole.
//! The error of single pictures does not tell: pictures that are all a little smoother are near to those they stand for, and
//! have less variety.

mod frechet;

use std::fmt;
use std::sync::Arc;

use aligned_vec::AVec;
use driftlet_checkpoint::Checkpoint;
use driftlet_runtime::format::ALIGN;
use driftlet_runtime::{Kernels, Model, Network};
use rayon::prelude::*;

use crate::calibrate::pictures::arena;
use crate::runnable::start;
use crate::{Options, Precision, QuantizeError, quantize};
use frechet::Target;

/// Most features: the distance takes the cube of their number.
const MOST_FEATURES: usize = 512;
/// Pictures of a judgement, fewest and most.
const PICTURES: (u64, u64) = (1024, 4096);
/// Multiply-accumulates of a judgement, unless the fewest pictures take more.
const JUDGEMENT: u64 = 150_000_000_000;
/// The first picture's seed lies so far behind that of calibration.
const APART: u64 = 1 << 24;

/// A feature network, and the mean and covariance that the features of pictures should have: those of the data it was trained on.
#[derive(Clone)]
pub struct Features {
    network: Arc<AVec<u8>>,
    target: Arc<Target>,
}

impl Features {
    /// Of a classifier's checkpoint, a mean `[dim]` and a covariance `[dim, dim]`, row by row.
    ///
    /// # Errors
    /// [`QuantizeError::Parameter`] if these do not fit together.
    pub fn new(network: &Checkpoint, mean: Vec<f64>, covariance: &[f64]) -> Result<Self, QuantizeError> {
        let bytes = quantize(network, &Options::new("features", Precision::F32))?;
        let bytes = AVec::from_slice(ALIGN as usize, &bytes);
        let model = Model::parse(&bytes).map_err(|e| QuantizeError::Defect(e.to_string()))?;
        let found = {
            let mut memory = arena(&model);
            let mut network = looker(&model, &mut memory)?;
            let blank = vec![0; network.image_len()];
            network.run(&blank).map_or(0, |seen| seen.features.len())
        };
        let dim = mean.len();
        if found != dim || covariance.len() != dim * dim || dim == 0 || dim > MOST_FEATURES {
            let problem = format!(
                "the network has {found} features (1 to {MOST_FEATURES} will do), the statistics are of {dim}; make them with driftlet stats"
            );
            return Err(QuantizeError::parameter("features", problem));
        }
        if mean.iter().chain(covariance).any(|x| !x.is_finite()) {
            return Err(QuantizeError::parameter("features", "a number of the statistics is not finite"));
        }
        Ok(Self { network: Arc::new(bytes), target: Arc::new(Target::new(mean, covariance)) })
    }

    /// What a model's pictures are to be judged by: those without guidance, of all classes, of seeds of their own.
    pub fn judge(&self, reference: &Model, calibration_seed: u64) -> Result<Judge, QuantizeError> {
        let count = (JUDGEMENT / reference.macs().max(1)).clamp(PICTURES.0, PICTURES.1);
        let judge =
            Judge { features: self.clone(), first_seed: calibration_seed.wrapping_add(APART), pictures: count as u32 };
        // Sizes of pictures: found out by one.
        judge.look(reference, 1)?;
        Ok(judge)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Features")
    }
}

/// Judges models of one generator.
pub struct Judge {
    features: Features,
    first_seed: u64,
    pub pictures: u32,
}

impl Judge {
    /// The Frechet distance of a model's pictures.
    pub fn distance(&self, model: &Model) -> Result<f64, QuantizeError> {
        Ok(self.features.target.distance(&self.look(model, self.pictures)?))
    }

    /// Features of so many pictures.
    fn look(&self, model: &Model, pictures: u32) -> Result<Vec<Vec<f32>>, QuantizeError> {
        let network = Model::parse(&self.features.network).map_err(|e| QuantizeError::Defect(e.to_string()))?;
        let classes = model.classes().max(1);
        let memory = || (arena(model), arena(&network));
        let seen = |(of_model, of_network): &mut (AVec<u8>, AVec<u8>), i: u32| {
            let mut sampler = start(model, of_model)?;
            let class = model.class(i % classes).ok_or_else(|| QuantizeError::Defect("a class is missing".into()))?;
            let seed = self.first_seed.wrapping_add(i.into());
            let pixels = sampler.generate(seed, class, model.guidance_range().0);
            let mut network = looker(&network, of_network)?;
            let length = network.image_len();
            let wrong = |_| {
                let problem = format!(
                    "the network takes pictures of {length} numbers, this generator makes {} of 8 bits; give another feature network",
                    pixels.len()
                );
                QuantizeError::parameter("features", problem)
            };
            Ok(network.run(pixels).map_err(wrong)?.features.to_vec())
        };
        (0..pictures).into_par_iter().map_init(memory, |memory, i| seen(memory, i)).collect()
    }
}

/// Portable kernels: what they show decides about the file.
fn looker<'a>(network: &Model<'a>, memory: &'a mut [u8]) -> Result<Network<'a>, QuantizeError> {
    let unfit = |e: driftlet_runtime::StartError| QuantizeError::parameter("features", e.to_string());
    let mut network = Network::new(network, memory).map_err(unfit)?;
    network.set_kernels(Kernels::PORTABLE);
    Ok(network)
}
