//! ConvNeXt-V2 against a forward and backward pass in PyTorch; see `tests/golden/convnext_toy/README.md`.

use std::collections::BTreeMap;
use std::path::Path;

use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use driftlet_checkpoint::{Architecture, Checkpoint, Config, Tensor as Weights};
use driftlet_trainer::networks::{ConvNextV2, import};
use safetensors::SafeTensors;

type Failure = Box<dyn std::error::Error>;
type Reverse = Autodiff<Flex>;

/// Largest deviation relative to the largest number of the expected tensor.
const TOLERANCE: f64 = 1e-4;

fn floats(file: &SafeTensors, name: &str) -> Result<Weights, Failure> {
    let view = file.tensor(name)?;
    assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
    let data = view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    Ok(Weights { shape: view.shape().to_vec(), data })
}

fn assert_close<B: Backend, const D: usize>(file: &SafeTensors, name: &str, got: Tensor<B, D>) -> Result<(), Failure> {
    let expected = floats(file, name)?;
    assert_eq!(got.dims().to_vec(), expected.shape, "{name}");
    let got: Vec<f32> = got.into_data().to_vec().map_err(|e| format!("{e:?}"))?;
    let largest = expected.data.iter().fold(1e-12f64, |max, &x| max.max(f64::from(x).abs()));
    let pairs = got.iter().zip(&expected.data);
    let deviation = pairs.fold(0f64, |max, (&a, &b)| max.max((f64::from(a) - f64::from(b)).abs())) / largest;
    println!("{name}: deviation {deviation:.1e}");
    assert!(deviation <= TOLERANCE, "{name}: deviation {deviation:e} of the largest number {largest:e}");
    Ok(())
}

fn toy() -> Result<(Architecture, driftlet_checkpoint::ConvNextV2), Failure> {
    let architecture = Architecture::preset("convnextv2-toy").ok_or("no preset")?;
    let Architecture::ConvNextV2(net) = &architecture else { return Err("not a ConvNeXt-V2".into()) };
    let net = net.clone();
    Ok((architecture, net))
}

#[test]
fn maps_logits_and_gradient_are_those_of_the_reference() -> Result<(), Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/convnext_toy/expected.safetensors");
    let bytes = std::fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let (architecture, net) = toy()?;
    let mut tensors = BTreeMap::new();
    for (name, shape) in architecture.parameters() {
        let tensor = floats(&file, &name)?;
        assert_eq!(tensor.shape, shape, "{name}");
        tensors.insert(name, tensor);
    }
    let checkpoint = Checkpoint { config: Config::new(architecture), tensors };

    let device = Default::default();
    let network = import(ConvNextV2::<Reverse>::new(&net, &device), &checkpoint);
    let input = floats(&file, "input")?;
    let images = Tensor::<Reverse, 4>::from_data(TensorData::new(input.data, input.shape), &device).require_grad();
    let maps = network.maps(images.clone());
    assert_eq!(maps.len(), 4);
    let logits = network.logits(maps[3].clone());
    let mut loss = logits.clone().square().sum();
    for (s, map) in maps.into_iter().enumerate() {
        assert_close(&file, &format!("maps.{s}"), map.clone())?;
        loss = loss + map.square().mean();
    }
    assert_close(&file, "logits", logits)?;
    let gradients = loss.backward();
    assert_close(&file, "gradient", images.grad(&gradients).ok_or("no gradient")?)
}

#[test]
fn silent_channels_have_a_finite_gradient() -> Result<(), Failure> {
    let device = Default::default();
    // GELU of zero is zero: every channel that GRN sees is silent.
    let (architecture, net) = toy()?;
    let mut checkpoint = Checkpoint::random(Config::new(architecture), 4);
    for (name, tensor) in &mut checkpoint.tensors {
        if name.ends_with("pwconv1.weight") {
            tensor.data.fill(0.0);
        }
    }
    let network = import(ConvNextV2::<Reverse>::new(&net, &device), &checkpoint);
    let images = Tensor::<Reverse, 4>::ones([1, 3, 64, 32], &device).require_grad();
    let last = network.maps(images.clone()).pop().ok_or("no map")?;
    let gradients = network.logits(last).sum().backward();
    let gradient = images.grad(&gradients).ok_or("no gradient")?;
    let gradient: Vec<f32> = gradient.into_data().to_vec().map_err(|e| format!("{e:?}"))?;
    assert!(gradient.iter().all(|g| g.is_finite()));
    Ok(())
}
