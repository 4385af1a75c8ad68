//! Which backend computes.

#[cfg(any(feature = "flex", feature = "tch", feature = "cuda", feature = "wgpu"))]
use burn::backend::{Autodiff, autodiff::checkpoint::strategy::BalancedCheckpointing};
#[cfg(any(feature = "flex", feature = "tch", feature = "cuda", feature = "wgpu"))]
use burn::tensor::backend::Backend;

use crate::config::Config;
use crate::{TrainError, TrainOptions, tasks};

/// Runs a configuration on the backend of that name.
pub fn run(config: &Config, options: &TrainOptions) -> Result<(), TrainError> {
    let unavailable = |problem: String| TrainError::Backend { name: options.backend.clone(), problem };
    let name = match options.backend.as_str() {
        "cpu" if cfg!(feature = "tch") => "tch",
        "cpu" => "flex",
        name => name,
    };
    match name {
        #[cfg(feature = "flex")]
        "flex" => on::<burn::backend::Flex>(config, options, &Default::default()),
        #[cfg(feature = "tch")]
        "tch" => on::<burn::backend::LibTorch>(config, options, &burn::backend::libtorch::LibTorchDevice::Cpu),
        #[cfg(feature = "cuda")]
        "cuda" => {
            // Without a driver Burn panics in a thread of its own; look first.
            if cfg!(target_os = "linux") && !std::path::Path::new("/dev/nvidiactl").exists() {
                return Err(unavailable("no NVIDIA driver is loaded; install it, or use --backend cpu".into()));
            }
            on::<burn::backend::Cuda>(config, options, &Default::default())
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => on::<burn::backend::Wgpu>(config, options, &Default::default()),
        name if ["flex", "tch", "cuda", "wgpu"].contains(&name) => {
            Err(unavailable(format!("not compiled in; build with the feature `{name}`")))
        }
        _ => Err(unavailable("is not known; there are cpu, flex, tch, cuda, wgpu".into())),
    }
}

/// With or without activation checkpointing, which in Burn is a type.
#[cfg(any(feature = "flex", feature = "tch", feature = "cuda", feature = "wgpu"))]
fn on<B: Backend>(config: &Config, options: &TrainOptions, device: &B::Device) -> Result<(), TrainError> {
    match config.checkpointing {
        false => tasks::run::<Autodiff<B>>(config, options, device),
        true => tasks::run::<Autodiff<B, BalancedCheckpointing>>(config, options, device),
    }
}
