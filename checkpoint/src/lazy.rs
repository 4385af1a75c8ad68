//! Weights that are made one at a time while they are written, for networks larger than memory.

use std::borrow::Cow;
use std::path::Path;

use safetensors::View;
use safetensors::tensor::Dtype;

use crate::{CheckpointError, Config, write_atomic, write_atomic_with};

/// A tensor whose numbers are made when they are needed.
pub struct LazyTensor<'a> {
    /// Name of the parameter.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// The numbers, the last dimension fastest.
    pub data: Box<dyn Fn() -> Cow<'a, [f32]> + 'a>,
}

impl View for &LazyTensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned((self.data)().iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}

/// Names of a checkpoint's files.
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const WEIGHTS: &str = "weights.safetensors";

/// Writes a checkpoint directory from tensors that are made one after another; each file is replaced as a whole, the
/// weights first. The tensors are those of the architecture.
///
/// # Errors
/// [`CheckpointError`] names the file.
pub fn save_lazily(directory: &Path, config: &Config, tensors: &[LazyTensor]) -> Result<(), CheckpointError> {
    let json = serde_json::to_vec_pretty(config).map_err(|e| CheckpointError::Config {
        file: directory.join(CONFIG).display().to_string(),
        problem: e.to_string(),
    })?;
    let io = |path: &Path, source| CheckpointError::Io { action: "write", path: path.into(), source };
    let path = directory.join(WEIGHTS);
    let views = || tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    write_atomic_with(&path, |temporary| {
        safetensors::serialize_to_file(views(), None, temporary).map_err(|error| match error {
            safetensors::SafeTensorError::IoError(error) => error,
            other => std::io::Error::other(other),
        })
    })
    .map_err(|source| io(&path, source))?;
    let path = directory.join(CONFIG);
    write_atomic(&path, &json).map_err(|source| io(&path, source))
}
