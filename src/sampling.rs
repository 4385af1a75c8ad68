//! Many pictures at once: image `i` has seed `first + i`, and the same bytes whatever the number of threads.

use anyhow::{Context, Result, bail};
use driftlet_runtime::{Guidance, LineSampler, Model, Start};
use rayon::prelude::*;

use crate::model_file::arena;
use crate::progress::Progress;

/// Which pictures to make.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Seed of the first picture; the others follow.
    pub first_seed: u64,
    /// Number of pictures.
    pub count: usize,
    /// The class of all; `None` goes through all classes in turn.
    pub class: Option<u32>,
    /// Guidance of all.
    pub guidance: Guidance,
}

impl Batch {
    /// Class of picture `i`.
    pub fn class_of(&self, i: usize, classes: u32) -> u32 {
        self.class.unwrap_or(i as u32 % classes.max(1))
    }

    /// Seed of picture `i`.
    pub fn seed_of(&self, i: usize) -> u64 {
        self.first_seed.wrapping_add(i as u64)
    }
}

/// Generates a batch, with progress: 8-bit pixels `[count, height, width, channels]`.
pub fn generate_all(model: &Model, batch: &Batch, label: &str) -> Result<Vec<u8>> {
    let progress = Progress::new(label, batch.count as u64);
    let classes: Vec<u32> = (0..batch.count).map(|i| batch.class_of(i, model.classes())).collect();
    let pixels = generate(model, batch, &classes, &|| progress.step())?;
    progress.finish();
    Ok(pixels)
}

/// Generates the pictures of a batch, of the given classes; calls `step` after each.
pub fn generate(model: &Model, batch: &Batch, classes: &[u32], step: &(dyn Fn() + Sync)) -> Result<Vec<u8>> {
    let Some([height, width, channels]) = model.image_shape() else { bail!("the model makes no pictures") };
    if let Some(class) = batch.class {
        model.class(class).with_context(|| no_such_class(class, model))?;
    }
    // Proves once that the model starts.
    LineSampler::new(model, &mut arena(model))?;
    let mut pixels = vec![0; batch.count * height * width * channels];
    pixels.par_chunks_mut(height * width * channels).zip(classes).enumerate().for_each_init(
        || arena(model),
        |arena, (i, (image, &class))| {
            if let (Ok(mut sampler), Some(class)) = (LineSampler::new(model, arena), model.class(class)) {
                sampler.generate_into(Start::Seed(batch.seed_of(i)), class, batch.guidance, image);
            }
            step();
        },
    );
    Ok(pixels)
}

/// The message for a class that a model does not have.
pub fn no_such_class(class: u32, model: &Model) -> String {
    match model.classes() {
        0 => format!("class {class} does not exist: the model takes no class"),
        n => format!("class {class} does not exist: the model has classes 0 to {}", n - 1),
    }
}
