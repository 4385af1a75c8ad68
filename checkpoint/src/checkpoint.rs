//! A network's weights, in memory and on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::lazy::{CONFIG, WEIGHTS};
use crate::view::{TensorView, read_weights};
use crate::{CheckpointError, Config, LazyTensor, map_file, save_lazily};

/// A network with its weights: exactly the tensors of [`crate::Architecture::parameters`].
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What the network is.
    pub config: Config,
    /// Its weights by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// A weight tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Numbers, the last dimension fastest.
    pub data: Vec<f32>,
}

impl Checkpoint {
    /// Reads a checkpoint directory and verifies every name, shape and number.
    ///
    /// # Errors
    /// [`CheckpointError`] names the file and the field or tensor.
    pub fn load(directory: &Path) -> Result<Self, CheckpointError> {
        let path = directory.join(CONFIG);
        let config = fs::read(&path).map_err(|source| CheckpointError::Io { action: "read", path, source })?;
        let weights = map_file(&directory.join(WEIGHTS))?;
        Self::from_bytes(&directory.display().to_string(), &config, &weights)
    }

    /// As [`Checkpoint::load`], from the content of the two files; `name` is for messages.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn from_bytes(name: &str, config: &[u8], weights: &[u8]) -> Result<Self, CheckpointError> {
        let file = format!("{name}/{CONFIG}");
        let config = Config::parse(config).map_err(|problem| CheckpointError::Config { file, problem })?;
        let file = format!("{name}/{WEIGHTS}");
        let views = read_weights(&config, weights).map_err(|problem| CheckpointError::Weights { file, problem })?;
        let own = |(name, tensor): (String, TensorView)| {
            (name, Tensor { shape: tensor.shape, data: tensor.data.into_owned() })
        };
        let tensors = views.into_iter().map(own).collect();
        Ok(Self { config, tensors })
    }

    /// Writes a checkpoint directory; each file is replaced as a whole, the weights first.
    ///
    /// # Errors
    /// [`CheckpointError`] names the file.
    pub fn save(&self, directory: &Path) -> Result<(), CheckpointError> {
        let lazy = self.tensors.iter().map(|(name, tensor)| LazyTensor {
            name: name.clone(),
            shape: tensor.shape.clone(),
            data: Box::new(|| Cow::Borrowed(&tensor.data)),
        });
        let tensors: Vec<LazyTensor> = lazy.collect();
        save_lazily(directory, &self.config, &tensors)
    }

    /// A tensor by name.
    ///
    /// # Panics
    /// If the architecture has no such parameter; loading has verified that all others are there.
    pub fn tensor(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Architecture;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn saved() -> Result<(tempfile::TempDir, Checkpoint), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let checkpoint = Checkpoint::random(Config::new(Architecture::preset("micro").ok_or("preset")?), 3);
        checkpoint.save(directory.path())?;
        Ok((directory, checkpoint))
    }

    #[test]
    fn what_is_saved_is_loaded() -> Outcome {
        let (directory, checkpoint) = saved()?;
        assert_eq!(Checkpoint::load(directory.path())?, checkpoint);
        Ok(())
    }

    #[test]
    fn torn_weights_are_refused_at_every_length() -> Outcome {
        let (directory, _) = saved()?;
        let config = fs::read(directory.path().join(CONFIG))?;
        let weights = fs::read(directory.path().join(WEIGHTS))?;
        for len in (0..weights.len()).step_by(1009) {
            assert!(Checkpoint::from_bytes("x", &config, &weights[..len]).is_err(), "{len} bytes");
        }
        Ok(())
    }

    #[test]
    fn wrong_tensors_are_named() -> Outcome {
        let (directory, mut checkpoint) = saved()?;
        let mut message = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| -> Result<String, CheckpointError> {
            let before = checkpoint.tensors.clone();
            change(&mut checkpoint.tensors);
            checkpoint.save(directory.path())?;
            checkpoint.tensors = before;
            Ok(Checkpoint::load(directory.path()).err().map(|e| e.to_string()).unwrap_or_default())
        };
        let missing = message(&|t| drop(t.remove("out.bias")))?;
        assert!(missing.contains("weights.safetensors") && missing.contains("out.bias is missing"), "{missing}");
        let foreign = message(&|t| drop(t.insert("x".into(), Tensor { shape: vec![1], data: vec![0.0] })))?;
        assert!(foreign.contains("tensor x belongs to no layer"), "{foreign}");
        let infinite = message(&|t| t.values_mut().for_each(|t| t.data[0] = f32::NAN))?;
        assert!(infinite.contains("holds NaN at 0"), "{infinite}");
        Ok(())
    }

    #[test]
    fn damaged_configurations_are_refused() -> Outcome {
        let (directory, _) = saved()?;
        let config = String::from_utf8(fs::read(directory.path().join(CONFIG))?)?;
        let weights = fs::read(directory.path().join(WEIGHTS))?;
        for (from, to, expected) in [
            ("\"format\": 1", "\"format\": 9", "format 9 is not known"),
            ("\"hidden\": 80", "\"hidden\": 79", "tensor noise.weight has shape"),
            ("\"hidden\": 80", "\"hidden\": 4000000000", "hidden"),
            ("\"hidden\": 80", "\"hiden\": 96", "hiden"),
            ("\"height\": 28", "\"height\": 27", "height"),
        ] {
            let damaged = config.replacen(from, to, 1);
            assert_ne!(damaged, config, "{from}");
            let error = Checkpoint::from_bytes("x", damaged.as_bytes(), &weights).err().ok_or("accepted")?.to_string();
            assert!(error.contains(expected), "{error}");
        }
        Ok(())
    }
}
