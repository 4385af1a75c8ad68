//! Weights from PyTorch and safetensors.
//!
//! `data/tiny.pt` was made once with `torch.save` of PyTorch 2.9: parameter `k` of [`tiny`] holds [`numbers`], as f32,
//! f16, bf16 and f64 in turn; matrices are stored by columns, filters in the order of `channels_last`, `norm.bias` is
//! every second number of a larger storage. Beside `model` stand an optimizer's state, the options and an epoch.

use std::path::{Path, PathBuf};

use driftlet_checkpoint::{Architecture, Checkpoint, ConvNextV2, read_weights};
use safetensors::tensor::{Dtype, TensorView};

type Change = fn(&mut Vec<Raw>);
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn tiny() -> Architecture {
    let (depths, widths) = (vec![1, 1], vec![4, 6]);
    Architecture::ConvNextV2(ConvNextV2 { height: 16, width: 16, channels: 3, classes: 4, patch: 4, depths, widths })
}

/// Exact in every type.
fn numbers(k: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((7 * i + 3 * k) % 13) as f32 / 8.0 - 0.75).collect()
}

fn assert_expected(checkpoint: &Checkpoint) {
    assert_eq!(checkpoint.config.architecture, tiny());
    let parameters = tiny().parameters();
    assert_eq!(checkpoint.tensors.len(), parameters.len());
    for (k, (name, shape)) in parameters.into_iter().enumerate() {
        let tensor = checkpoint.tensor(&name);
        assert_eq!(tensor.shape, shape, "{name}");
        assert_eq!(tensor.data, numbers(k, tensor.data.len()), "{name}");
    }
}

/// A tensor of a file: name, type, shape, bytes.
type Raw = (String, Dtype, Vec<usize>, Vec<u8>);

fn raw() -> Vec<Raw> {
    let encode = |(k, (name, shape)): (usize, (String, Vec<usize>))| {
        let numbers = numbers(k, shape.iter().product());
        // The upper half of an f32 is a bf16; the numbers have no bits in the lower half.
        let (dtype, bytes) = match k % 3 {
            0 => (Dtype::F32, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            1 => (Dtype::BF16, numbers.iter().flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect()),
            _ => (Dtype::F64, numbers.iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect()),
        };
        (name, dtype, shape, bytes)
    };
    tiny().parameters().into_iter().enumerate().map(encode).collect()
}

fn write(path: &Path, prefix: &str, tensors: &[Raw]) -> Outcome {
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        views.push((format!("{prefix}{name}"), TensorView::new(*dtype, shape.clone(), bytes)?));
    }
    std::fs::write(path, safetensors::serialize(views, None)?)?;
    Ok(())
}

fn saved_by_torch() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny.pt")
}

#[test]
fn a_file_of_torch_is_read() -> Outcome {
    assert_expected(&read_weights(&saved_by_torch(), &tiny())?);
    Ok(())
}

#[test]
fn safetensors_are_read_with_and_without_a_key() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("w.safetensors");
    for prefix in ["", "model.", "state_dict.module."] {
        write(&path, prefix, &raw())?;
        let checkpoint = read_weights(&path, &tiny())?;
        assert_expected(&checkpoint);
        checkpoint.save(&directory.path().join("c"))?;
        assert_eq!(Checkpoint::load(&directory.path().join("c"))?, checkpoint);
    }
    Ok(())
}

#[test]
fn mistakes_name_the_parameter() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("w.safetensors");
    let changes: [(Change, &str); 6] = [
        (|t| t.retain(|t| t.0 != "norm.bias"), "parameter model.norm.bias is missing"),
        (|t| t[0].2 = vec![4, 3, 16], "parameter model.downsample_layers.0.0.weight has shape [4, 3, 16]"),
        (|t| (t[3].1, t[3].2) = (Dtype::U8, vec![16]), "parameter model.downsample_layers.0.1.bias has shape [16]"),
        (|t| t[3].1 = Dtype::I32, "downsample_layers.0.1.bias has numbers of type I32"),
        (|t| t[3].3[4..8].copy_from_slice(&f32::NAN.to_le_bytes()), "0.1.bias holds NaN at 1"),
        (|t| t.iter_mut().for_each(|t| t.0.insert(0, 'x')), "no parameter of the architecture, but model.x"),
    ];
    for (change, expected) in changes {
        let mut tensors = raw();
        change(&mut tensors);
        write(&path, "model.", &tensors)?;
        let message = read_weights(&path, &tiny()).err().ok_or("accepted")?.to_string();
        assert!(message.contains(expected) && message.contains("w.safetensors"), "{message}");
    }
    let mut tensors = raw();
    tensors.push(("head.scale".into(), Dtype::F32, vec![1], vec![0; 4]));
    write(&path, "", &tensors)?;
    let message = read_weights(&path, &tiny()).err().ok_or("accepted")?.to_string();
    assert!(message.contains("parameter head.scale belongs to no layer"), "{message}");
    let message = read_weights(&directory.path().join("absent.pt"), &tiny()).err().ok_or("accepted")?.to_string();
    assert!(message.contains("cannot read") && message.contains("absent.pt"), "{message}");
    Ok(())
}

/// A damaged archive is refused or gives the same numbers; nothing panics.
#[test]
fn damaged_files_of_torch_are_refused() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("damaged.pt");
    let whole = std::fs::read(saved_by_torch())?;
    for len in (0..whole.len()).step_by(37) {
        std::fs::write(&path, &whole[..len])?;
        assert!(read_weights(&path, &tiny()).is_err(), "{len} bytes");
    }
    for at in (0..whole.len()).step_by(11) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged)?;
        if let Ok(checkpoint) = read_weights(&path, &tiny()) {
            assert_expected(&checkpoint);
        }
    }
    Ok(())
}
