//! Data sets: pictures with labels.
//!
//! Public ones ([`fashion_mnist`], [`mnist`], [`cifar10`]), one's own ([`image_folder`]), and latents of an autoencoder
//! ([`latents`]). With the feature `download`, public files that are nowhere are downloaded and verified.

mod array;
mod augment;
mod cifar10;
#[cfg(feature = "download")]
mod download;
mod folder;
mod grid;
mod idx;
mod latents;
mod mnist;
mod remote;
mod toys;

use std::path::PathBuf;

pub use augment::{Filter, flip, random_resized_crop};
pub use cifar10::{CIFAR10_CLASSES, cifar10};
#[cfg(feature = "download")]
pub use download::fetch;
pub use folder::{FolderOptions, image_folder};
pub use grid::grid_png;
pub use idx::{read_idx_images, read_idx_labels};
pub use latents::{Latents, Layout, latents};
pub use mnist::{FASHION_MNIST_CLASSES, MNIST_CLASSES, fashion_mnist, mnist};
pub use remote::{Remote, remotes};
pub use toys::Toy;

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// For measuring.
    Test,
}

/// Pictures with labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// `[count, height, width, channels]`, row-major.
    pub pixels: Vec<u8>,
    /// One class per picture.
    pub labels: Vec<u8>,
}

impl Images {
    /// Pixels of one picture, all channels.
    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Why a data set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// It is nowhere.
    #[error("{name} is not here; looked in {looked_in}. {remedy}")]
    NotFound {
        /// The data set's file.
        name: String,
        /// Folders, in the order of looking.
        looked_in: String,
        /// What to do.
        remedy: String,
    },
    /// No address sent the right bytes.
    #[error("cannot download {name}: {problem}. Download {url} by hand into {}", into.display())]
    Download {
        /// The file.
        name: String,
        /// What each address did.
        problem: String,
        /// The best address.
        url: String,
        /// The folder that lacks it.
        into: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An argument is out of its range.
    #[error("{name}: {problem}")]
    Option {
        /// The argument.
        name: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The file is not what its name says.
    #[error("{file}: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// The field, and what is wrong with it.
        problem: String,
    },
}
