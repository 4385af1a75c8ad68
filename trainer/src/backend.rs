//! Which backend computes.

#[cfg(any(feature = "flex", feature = "tch", feature = "cuda", feature = "wgpu"))]
use burn::backend::Autodiff;
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
        "wgpu" => {
            probe::<burn::backend::Wgpu>()
                .map_err(|()| unavailable("no device answers; install a Vulkan driver, or use --backend cpu".into()))?;
            on::<burn::backend::Wgpu>(config, options, &Default::default())
        }
        name if ["flex", "tch", "cuda", "wgpu"].contains(&name) => {
            Err(unavailable(format!("not compiled in; build with the feature `{name}`")))
        }
        _ => Err(unavailable("is not known; there are cpu, flex, tch, cuda, wgpu".into())),
    }
}

/// Whether a backend computes at all. Burn panics where there is no device, so the question is put on another thread.
#[cfg(feature = "wgpu")]
fn probe<B: Backend>() -> Result<(), ()> {
    use burn::tensor::{ElementConversion, Tensor};
    let sum = || Tensor::<B, 1>::ones([4], &Default::default()).sum().into_scalar().elem::<f32>();
    match std::thread::spawn(sum).join() {
        Ok(sum) if sum == 4.0 => Ok(()),
        _ => Err(()),
    }
}

/// With or without activation checkpointing, which in Burn is a type: everything is compiled twice with it.
#[cfg(any(feature = "flex", feature = "tch", feature = "cuda", feature = "wgpu"))]
fn on<B: Backend>(config: &Config, options: &TrainOptions, device: &B::Device) -> Result<(), TrainError> {
    match config.checkpointing {
        false => tasks::run::<Autodiff<B>>(config, options, device),
        #[cfg(feature = "checkpointing")]
        true => {
            use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing;
            tasks::run::<Autodiff<B, BalancedCheckpointing>>(config, options, device)
        }
        #[cfg(not(feature = "checkpointing"))]
        true => Err(TrainError::Config {
            file: options.config.display().to_string(),
            problem: "checkpointing is not compiled in; build with the feature `checkpointing`".into(),
        }),
    }
}
