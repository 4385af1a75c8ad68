//! Where data comes from.

use std::path::PathBuf;

use driftlet_data::Toy;
use serde::{Deserialize, Serialize};

/// Public data sets by name.
const NAMES: [&str; 3] = ["fashion-mnist", "mnist", "cifar-10"];

/// A data set. Relative paths start at the configuration's folder. Data without `test` is judged by every tenth sample.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Data {
    /// A public one, or a distribution in the plane.
    Named(String),
    /// Pictures in one folder per class.
    Folder(Folder),
    /// Latents of an autoencoder.
    Latents(Latents),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    pub folder: PathBuf,
    /// Side in pixels that pictures are cropped and scaled to.
    pub size: usize,
    pub test: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Latents {
    /// A safetensors file, or .npy files; see `driftlet_data::latents`.
    pub latents: PathBuf,
    pub layout: Option<Order>,
    pub test: Option<PathBuf>,
}

/// Order of a latent's dimensions.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    Nhwc,
    Nchw,
}

impl Data {
    /// A short name for checkpoints.
    pub fn name(&self) -> String {
        let last = |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        match self {
            Self::Named(name) => name.clone(),
            Self::Folder(folder) => last(&folder.folder),
            Self::Latents(latents) => last(&latents.latents),
        }
    }

    /// The distribution in the plane, if it is one.
    pub fn toy(&self) -> Option<Toy> {
        match self {
            Self::Named(name) => Toy::named(name),
            _ => None,
        }
    }

    /// The name, if it is unknown, with those that are known.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Named(name) if self.toy().is_none() && !NAMES.contains(&name.as_str()) => {
                let known = NAMES.into_iter().chain(Toy::NAMES.map(|(name, _)| name)).collect::<Vec<_>>().join(", ");
                let tables = "{ folder = \"..\", size = 64 } and { latents = \"..\" }";
                Err(format!("data: `{name}` is not known; there are {known}, {tables}"))
            }
            Self::Folder(folder) if !(1..=4096).contains(&folder.size) => {
                Err(format!("data.size is {}; it must be 1 to 4096", folder.size))
            }
            _ => Ok(()),
        }
    }

    /// Every path.
    pub fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Named(_) => Vec::new(),
            Self::Folder(Folder { folder, test, .. }) => std::iter::once(folder).chain(test).collect(),
            Self::Latents(Latents { latents, test, .. }) => std::iter::once(latents).chain(test).collect(),
        }
    }
}
