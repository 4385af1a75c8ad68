//! Whole networks: small ones of every architecture that makes pictures, the golden ones, and the shipped models.

use std::boxed::Box;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;
use std::{format, fs};

use driftlet_checkpoint::{
    Architecture, Checkpoint, Config, Dit, EdgeConv, Stage, VaeDecoder, import_diffusers, import_flax,
};
use driftlet_quantize::{Options, quantize, quantize_with_decoder_to};

use super::Make;
use super::builder::Random;
use crate::Failure;

/// Small networks of each architecture with random weights; none is left at zero.
pub fn architectures() -> Vec<(&'static str, Make)> {
    let edge = EdgeConv {
        height: 16,
        width: 24,
        channels: 3,
        classes: 4,
        noise_dim: 10,
        hidden: 9,
        base_channels: 5,
        stages: Vec::from([Stage { channels: 7, residual: 2 }, Stage { channels: 6, residual: 0 }]),
        guidance_knots: Vec::from([1.0, 1.25, 1.5]),
    };
    let dit = Dit {
        size: 12,
        channels: 3,
        classes: 3,
        patch: 3,
        dim: 24,
        depth: 2,
        heads: 3,
        mlp_ratio: 2.0,
        context: 3,
        styles: 2,
        style_values: 5,
        cond_dim: 20,
    };
    let latents = Dit { size: 4, channels: 4, patch: 2, context: 1, heads: 2, depth: 1, ..dit.clone() };
    let decoder = VaeDecoder {
        height: 4,
        width: 4,
        latent_channels: 4,
        out_channels: 3,
        block_out_channels: Vec::from([8, 12]),
        layers_per_block: 1,
        norm_num_groups: 4,
        scaling_factor: 0.18215,
    };
    Vec::from([
        ("edge-conv", of_checkpoint(random(Architecture::EdgeConv(edge), 1))),
        ("dit", of_checkpoint(random(Architecture::Dit(dit), 2))),
        ("latents", of_checkpoint(random(Architecture::Dit(latents.clone()), 3))),
        ("decoder", of_pair(random(Architecture::Dit(latents), 3), random(Architecture::VaeDecoder(decoder), 4))),
    ])
}

/// The networks whose f32 outputs are compared with the reference implementations'.
///
/// # Errors
/// If their files are damaged.
pub fn golden() -> Result<Vec<(String, Make)>, Failure> {
    type Import = fn(&Path, &Path) -> Result<(), driftlet_checkpoint::CheckpointError>;
    let imports: [(&str, Import); 2] = [
        ("generator_tiny_pixel", |from, to| import_flax(from, to).map(drop)),
        ("vae_toy", |from, to| import_diffusers(from, to).map(drop)),
    ];
    let mut cases = Vec::new();
    for (name, import) in imports {
        let imported = tempfile::tempdir()?;
        import(&root().join("tests/golden").join(name), imported.path())?;
        cases.push((name.into(), of_checkpoint(Checkpoint::load(imported.path())?)));
    }
    Ok(cases)
}

/// The generators under `models/`.
///
/// # Errors
/// If one cannot be read.
pub fn shipped() -> Result<Vec<(String, Make)>, Failure> {
    let mut models = Vec::new();
    for entry in fs::read_dir(root().join("models"))? {
        let path = entry?.path();
        let checkpoint = Checkpoint::load(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        if matches!(checkpoint.config.architecture, Architecture::EdgeConv(_) | Architecture::Dit(_)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            models.push((name, of_checkpoint(checkpoint)));
        }
    }
    models.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(models)
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Random weights, also where training starts from constants: zeros would hide what comes before them.
fn random(architecture: Architecture, seed: u64) -> Checkpoint {
    let mut checkpoint = Checkpoint::random(Config::new(architecture), seed);
    let mut random = Random(seed);
    for tensor in checkpoint.tensors.values_mut() {
        for x in &mut tensor.data {
            *x += 0.2 * random.number();
        }
    }
    checkpoint
}

fn of_checkpoint(checkpoint: Checkpoint) -> Make {
    Box::new(move |options: &Options| Ok(quantize(&checkpoint, options)?))
}

fn of_pair(generator: Checkpoint, decoder: Checkpoint) -> Make {
    Box::new(move |options: &Options| {
        let mut file = Cursor::new(Vec::new());
        quantize_with_decoder_to(&generator.view(), &decoder.view(), options, &mut file)?;
        Ok(file.into_inner())
    })
}
