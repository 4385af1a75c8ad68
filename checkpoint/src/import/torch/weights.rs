//! Weights of PyTorch, as `torch.save` writes them or in safetensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use half::{bf16, f16};
use safetensors::tensor::{SafeTensors, TensorView};

use super::{ImportError, archive, pickle};
use crate::{Architecture, Checkpoint, CheckpointError, Config, Tensor, map_file};

/// Where the weights may stand in a file, as a dictionary in a dictionary or as a prefix of their names.
const KEYS: [&str; 7] =
    ["", "model.", "state_dict.", "model_state_dict.", "module.", "model.module.", "state_dict.module."];

/// Reads weights under the names and shapes of [`Architecture::parameters`], as [`read_parameters`] does.
///
/// # Errors
/// As [`read_parameters`].
pub fn read_weights(path: &Path, architecture: &Architecture) -> Result<Checkpoint, ImportError> {
    let wrong =
        |problem| ImportError::File { path: path.into(), problem: format!("not for this architecture: {problem}") };
    architecture.validate().map_err(wrong)?;
    let tensors = read_parameters(path, architecture.parameters(), |_| false)?;
    let mut config = Config::new(architecture.clone());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    config.training = serde_json::json!({ "imported": name });
    Ok(Checkpoint { config, tensors })
}

/// Reads tensors of these names and shapes from a file of `torch.save` (`.pt`, `.pth`; PyTorch 1.6 or later) or of
/// safetensors. They may stand at the top or under `model`, `state_dict`, `model_state_dict` or `module`; what else the
/// file holds beside such a key is passed over, and so is what `superfluous` says of a name. Numbers in f16, bf16 and f64
/// are converted to f32. No code in the file is run.
///
/// # Errors
/// [`ImportError`] if the file cannot be read or is damaged, and for the first parameter that is missing, superfluous,
/// of another shape, of another type, or not finite.
pub fn read_parameters(
    path: &Path,
    parameters: Vec<(String, Vec<usize>)>,
    superfluous: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Tensor>, ImportError> {
    let file = |problem: String| ImportError::File { path: path.into(), problem };
    let bytes = map_file(path).map_err(|e| match e {
        CheckpointError::Io { source, .. } => ImportError::Read { path: path.into(), source },
        other => file(other.to_string()),
    })?;
    let stored = if bytes.starts_with(b"PK\x03\x04") { saved(&bytes) } else { safe(&bytes) }.map_err(file)?;

    let hits = |key: &&str| parameters.iter().filter(|(name, _)| stored.contains_key(&format!("{key}{name}"))).count();
    // Of equals the first: `max_by_key` takes the last.
    let key = KEYS.into_iter().rev().max_by_key(hits).unwrap_or_default();
    if hits(&key) == 0 {
        let held = stored.keys().next().map_or("no tensors".into(), |name| format!("{name}, for example"));
        return Err(file(format!("holds no parameter of the architecture, but {held}; convert the names first")));
    }

    let mut tensors = BTreeMap::new();
    let mut known = BTreeSet::new();
    for (name, shape) in parameters {
        let full = format!("{key}{name}");
        let wrong = |problem: String| ImportError::Parameter { path: path.into(), name: full.clone(), problem };
        let found = stored.get(&full).ok_or_else(|| wrong("is missing; is it the right architecture?".into()))?;
        if found.shape != shape {
            return Err(wrong(format!("has shape {:?}, but the architecture asks for {shape:?}", found.shape)));
        }
        let data = found.read().map_err(wrong)?;
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            return Err(wrong(format!("holds {} at {at}", data[at])));
        }
        tensors.insert(name, Tensor { shape, data });
        known.insert(full);
    }
    let beside = |name: &String| name.strip_prefix(key).is_some_and(|name| !superfluous(name)) && !known.contains(name);
    match stored.into_keys().find(beside) {
        Some(name) => {
            let problem = "belongs to no layer of the architecture; is it the right one?".into();
            Err(ImportError::Parameter { path: path.into(), name, problem })
        }
        None => Ok(tensors),
    }
}

/// A tensor in a file.
struct Stored<'a> {
    /// PyTorch's storage class, or the type's name in safetensors.
    kind: String,
    data: &'a [u8],
    /// As those of [`pickle::Described`].
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

fn saved(bytes: &[u8]) -> Result<BTreeMap<String, Stored<'_>>, String> {
    let entries = archive::entries(bytes)?;
    let (name, code) = entries
        .iter()
        .find(|(name, _)| name.ends_with("data.pkl"))
        .ok_or("is an archive, but not of torch.save: it has no data.pkl")?;
    let root = name.trim_end_matches("data.pkl");
    if entries.get(&format!("{root}byteorder")).is_some_and(|order| *order == b"big") {
        return Err("was written on a big-endian machine; save it again on another".into());
    }
    let stored = |(name, tensor): (String, Rc<pickle::Described>)| {
        let data = entries.get(&format!("{root}data/{}", tensor.key)).copied().unwrap_or_default();
        let (shape, strides) = (tensor.shape.clone(), tensor.strides.clone());
        (name, Stored { kind: tensor.storage.to_string(), data, offset: tensor.offset, shape, strides })
    };
    Ok(pickle::tensors(code)?.into_iter().map(stored).collect())
}

fn safe<'a>(bytes: &'a [u8]) -> Result<BTreeMap<String, Stored<'a>>, String> {
    if bytes.starts_with(b"\x80") && bytes.get(8) != Some(&b'{') {
        return Err("is in PyTorch's format of before 1.6; load it and torch.save it again".into());
    }
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| format!("is torn, or neither of torch.save nor of safetensors ({e})"))?;
    let stored = |(name, view): (String, TensorView<'a>)| {
        let shape = view.shape().to_vec();
        let strides = (1..=shape.len()).map(|d| shape[d..].iter().product()).collect();
        (name, Stored { kind: format!("{:?}", view.dtype()), data: view.data(), offset: 0, shape, strides })
    };
    Ok(file.tensors().into_iter().map(stored).collect())
}

impl Stored<'_> {
    /// Its numbers, the last dimension fastest.
    fn read(&self) -> Result<Vec<f32>, String> {
        let (size, number) = match self.kind.as_str() {
            "F32" | "FloatStorage" => (4, single as fn(&[u8]) -> Option<f32>),
            "F64" | "DoubleStorage" => (8, double as _),
            "F16" | "HalfStorage" => (2, half as _),
            "BF16" | "BFloat16Storage" => (2, brain as _),
            kind => return Err(format!("has numbers of type {kind}; store it as F32, F16, BF16 or F64")),
        };
        let beyond = || "reaches beyond the end of its data; copy the file again".to_owned();
        // A stride means nothing in a dimension of one.
        let dimensions = || self.shape.iter().zip(&self.strides).filter(|(dim, _)| **dim > 1);
        let last =
            dimensions().try_fold(self.offset, |last, (dim, stride)| (dim - 1).checked_mul(*stride)?.checked_add(last));
        if last.is_none_or(|last| last >= self.data.len() / size) {
            return Err(beyond());
        }
        let dimensions: Vec<(usize, usize)> = dimensions().map(|(&dim, &stride)| (dim, stride)).collect();
        let count = self.shape.iter().product();
        let mut numbers = Vec::with_capacity(count);
        let mut index = vec![0; dimensions.len()];
        let mut at = self.offset;
        for _ in 0..count {
            numbers.push(self.data.get(at * size..).and_then(number).ok_or_else(beyond)?);
            for (i, (dim, stride)) in index.iter_mut().zip(&dimensions).rev() {
                *i += 1;
                at += stride;
                if *i < *dim {
                    break;
                }
                at -= dim * stride;
                *i = 0;
            }
        }
        Ok(numbers)
    }
}

fn single(bytes: &[u8]) -> Option<f32> {
    bytes.first_chunk().map(|&b| f32::from_le_bytes(b))
}

fn double(bytes: &[u8]) -> Option<f32> {
    bytes.first_chunk().map(|&b| f64::from_le_bytes(b) as f32)
}

fn half(bytes: &[u8]) -> Option<f32> {
    bytes.first_chunk().map(|&b| f16::from_le_bytes(b).to_f32())
}

fn brain(bytes: &[u8]) -> Option<f32> {
    bytes.first_chunk().map(|&b| bf16::from_le_bytes(b).to_f32())
}
