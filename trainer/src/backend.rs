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
        "flex" => on::<burn::backend::Flex>(config, options, &same(config.devices)),
        #[cfg(feature = "tch")]
        "tch" => on::<burn::backend::LibTorch>(
            config,
            options,
            &vec![burn::backend::libtorch::LibTorchDevice::Cpu; config.devices],
        ),
        #[cfg(feature = "cuda")]
        "cuda" => {
            // Without a driver Burn panics in a thread of its own; look first.
            if cfg!(target_os = "linux") && !std::path::Path::new("/dev/nvidiactl").exists() {
                return Err(unavailable("no NVIDIA driver is loaded; install it, or use --backend cpu".into()));
            }
            let devices = several::<burn::backend::Cuda>(config.devices, burn::backend::cuda::CudaDevice::new);
            on::<burn::backend::Cuda>(config, options, &devices.map_err(unavailable)?)
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => {
            probe::<burn::backend::Wgpu>()
                .map_err(|()| unavailable("no device answers; install a Vulkan driver, or use --backend cpu".into()))?;
            let devices = several::<burn::backend::Wgpu>(config.devices, burn::backend::wgpu::WgpuDevice::DiscreteGpu);
            on::<burn::backend::Wgpu>(config, options, &devices.map_err(unavailable)?)
        }
        name if ["flex", "tch", "cuda", "wgpu"].contains(&name) => {
            Err(unavailable(format!("not compiled in; build with the feature `{name}`")))
        }
        _ => Err(unavailable("is not known; there are cpu, flex, tch, cuda, wgpu".into())),
    }
}

/// The processor, as often as asked: its cores are shared.
#[cfg(feature = "flex")]
fn same<D: Clone + Default>(count: usize) -> Vec<D> {
    vec![D::default(); count]
}

/// The default device, or the first of several that the machine has.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn several<B: Backend>(count: usize, device: impl Fn(usize) -> B::Device) -> Result<Vec<B::Device>, String> {
    use burn::tensor::backend::DeviceOps;
    if count == 1 {
        return Ok(vec![B::Device::default()]);
    }
    let there = B::device_count(device(0).id().type_id);
    if count > there {
        return Err(format!("finds {there} discrete GPUs, but `devices` asks for {count}; ask for fewer"));
    }
    Ok((0..count).map(device).collect())
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
fn on<B: Backend>(config: &Config, options: &TrainOptions, devices: &[B::Device]) -> Result<(), TrainError> {
    match config.checkpointing {
        false => tasks::run::<Autodiff<B>>(config, options, devices),
        #[cfg(feature = "checkpointing")]
        true => {
            use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing;
            tasks::run::<Autodiff<B, BalancedCheckpointing>>(config, options, devices)
        }
        #[cfg(not(feature = "checkpointing"))]
        true => Err(TrainError::Config {
            file: options.config.display().to_string(),
            problem: "checkpointing is not compiled in; build with the feature `checkpointing`".into(),
        }),
    }
}
