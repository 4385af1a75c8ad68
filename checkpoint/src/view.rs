//! Weights that are read where they lie: in memory, or in a mapped file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::lazy::{CONFIG, WEIGHTS};
use crate::{Checkpoint, CheckpointError, Config, map_file, release};

/// A network with its weights, which belong to a [`Checkpoint`] or a [`MappedCheckpoint`].
#[derive(Clone, Debug)]
pub struct CheckpointView<'a> {
    /// What the network is.
    pub config: &'a Config,
    tensors: BTreeMap<String, TensorView<'a>>,
    /// The file that the weights lie in.
    mapping: Option<&'a Mmap>,
}

/// A weight tensor, row-major.
#[derive(Clone, Debug)]
pub struct TensorView<'a> {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Numbers, the last dimension fastest.
    pub data: Cow<'a, [f32]>,
}

impl CheckpointView<'_> {
    /// A tensor by name.
    ///
    /// # Panics
    /// If the architecture has no such parameter; making the view has verified that all others are there.
    pub fn tensor(&self, name: &str) -> &TensorView<'_> {
        &self.tensors[name]
    }

    /// Gives back the memory that holds mapped weights, until they are read again: for long work that does without them.
    pub fn release(&self) {
        if let Some(mapping) = self.mapping {
            release(mapping);
        }
    }
}

impl Checkpoint {
    /// The weights as they lie in memory.
    pub fn view(&self) -> CheckpointView<'_> {
        let view = |tensor: &'_ crate::Tensor| tensor.shape.clone();
        let tensors = self.tensors.iter().map(|(name, tensor)| {
            (name.clone(), TensorView { shape: view(tensor), data: Cow::Borrowed(&tensor.data[..]) })
        });
        CheckpointView { config: &self.config, tensors: tensors.collect(), mapping: None }
    }
}

/// A checkpoint directory whose weights stay in the file until they are read: for networks that fill memory.
pub struct MappedCheckpoint {
    config: Config,
    weights: Mmap,
    file: String,
}

impl MappedCheckpoint {
    /// Opens a checkpoint directory.
    ///
    /// # Errors
    /// [`CheckpointError`] names the file and the field.
    pub fn open(directory: &Path) -> Result<Self, CheckpointError> {
        let path = directory.join(CONFIG);
        let config =
            fs::read(&path).map_err(|source| CheckpointError::Io { action: "read", path: path.clone(), source })?;
        let config = Config::parse(&config)
            .map_err(|problem| CheckpointError::Config { file: path.display().to_string(), problem })?;
        let path = directory.join(WEIGHTS);
        Ok(Self { config, weights: map_file(&path)?, file: path.display().to_string() })
    }

    /// What the network is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The weights, verified as [`Checkpoint::load`] verifies them.
    ///
    /// # Errors
    /// [`CheckpointError::Weights`] names the file and the tensor.
    pub fn view(&self) -> Result<CheckpointView<'_>, CheckpointError> {
        let tensors = read_weights(&self.config, &self.weights)
            .map_err(|problem| CheckpointError::Weights { file: self.file.clone(), problem })?;
        Ok(CheckpointView { config: &self.config, tensors, mapping: Some(&self.weights) })
    }
}

/// The tensors of an architecture in the bytes of a safetensors file, borrowed where they are aligned.
pub(crate) fn read_weights<'a>(config: &Config, bytes: &'a [u8]) -> Result<BTreeMap<String, TensorView<'a>>, String> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|e| format!("torn, or not a safetensors file ({e}); copy it again"))?;
    let mut tensors = BTreeMap::new();
    for (name, shape) in config.architecture.parameters() {
        let view = file
            .tensor(&name)
            .map_err(|_| format!("tensor {name} is missing; the weights belong to another architecture"))?;
        if view.dtype() != Dtype::F32 {
            return Err(format!("tensor {name} has type {:?}; store it as F32", view.dtype()));
        }
        if view.shape() != shape {
            return Err(format!("tensor {name} has shape {:?}, but config.json asks for {shape:?}", view.shape()));
        }
        let data = numbers(view.data());
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            return Err(format!("tensor {name} holds {} at {at}; take an earlier checkpoint", data[at]));
        }
        tensors.insert(name, TensorView { shape, data });
    }
    match file.names().into_iter().find(|name| !tensors.contains_key(*name)) {
        Some(name) => Err(format!("tensor {name} belongs to no layer of config.json's architecture")),
        None => Ok(tensors),
    }
}

/// Little-endian numbers, in place where the machine reads them so.
fn numbers(bytes: &[u8]) -> Cow<'_, [f32]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(numbers) if cfg!(target_endian = "little") => Cow::Borrowed(numbers),
        _ => Cow::Owned(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    #[test]
    fn weights_are_the_same_after_their_memory_was_given_back() -> Result<(), Box<dyn std::error::Error>> {
        let checkpoint = Checkpoint::random(Config::new(Architecture::preset("micro").ok_or("no preset")?), 1);
        let directory = tempfile::tempdir()?;
        checkpoint.save(directory.path())?;
        let mapped = MappedCheckpoint::open(directory.path())?;
        let view = mapped.view()?;
        let borrowed = &view.tensor("base.weight").data;
        view.release();
        assert_eq!(borrowed[..], checkpoint.tensor("base.weight").data);
        for (name, tensor) in &checkpoint.tensors {
            assert_eq!(view.tensor(name).data[..], tensor.data, "{name}");
        }
        Ok(())
    }
}
