//! Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017; MIT licence).

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{DataError, Images, read_idx_images, read_idx_labels};

/// Names of the classes, by label.
pub const FASHION_MNIST_CLASSES: [&str; 10] =
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// For training: 60,000 pictures.
    Train,
    /// For measuring: 10,000 pictures.
    Test,
}

/// Reads a split of Fashion-MNIST: 28 x 28 x 1 pictures of ten classes. Looks in `directory` if given, else in
/// `$DRIFTLET_DATA`, the Debian package's folder and `data-cache`.
///
/// # Errors
/// [`DataError`] says where it looked or what is damaged.
pub fn fashion_mnist(directory: Option<&Path>, split: Split) -> Result<Images, DataError> {
    let places: Vec<PathBuf> = match directory {
        Some(directory) => vec![directory.into()],
        None => std::env::var_os("DRIFTLET_DATA")
            .map(PathBuf::from)
            .into_iter()
            .chain(["/usr/share/datasets/fashion-mnist".into(), "data-cache".into()])
            .collect(),
    };
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let (images_name, images) = read(&places, &format!("{prefix}-images-idx3-ubyte"))?;
    let (labels_name, labels) = read(&places, &format!("{prefix}-labels-idx1-ubyte"))?;
    let (height, width, pixels) = read_idx_images(&images, &images_name)?;
    let labels = read_idx_labels(&labels, &labels_name)?;
    let damaged = |file: &str, problem: String| DataError::Damaged { file: file.into(), problem };
    if (height, width) != (28, 28) {
        return Err(damaged(&images_name, format!("pictures of {height} x {width} pixels instead of 28 x 28")));
    }
    if labels.len() * height * width != pixels.len() {
        let pictures = pixels.len() / (height * width);
        return Err(damaged(&labels_name, format!("{} labels for {pictures} pictures", labels.len())));
    }
    if let Some(at) = labels.iter().position(|&l| l >= 10) {
        return Err(damaged(&labels_name, format!("label {} at {at}; labels are 0 to 9", labels[at])));
    }
    Ok(Images { height, width, channels: 1, pixels, labels })
}

/// Finds a file, packed or not, and unpacks it: its path and content.
fn read(places: &[PathBuf], name: &str) -> Result<(String, Vec<u8>), DataError> {
    let candidates = places.iter().flat_map(|place| [place.join(name), place.join(format!("{name}.gz"))]);
    for path in candidates {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(DataError::Io { path, source }),
        };
        let file = path.display().to_string();
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok((file, bytes));
        }
        let mut unpacked = Vec::new();
        // No file of the family is larger; a bomb ends here.
        let mut decoder = flate2::read::GzDecoder::new(&bytes[..]).take(1 << 30);
        return match decoder.read_to_end(&mut unpacked) {
            Ok(_) => Ok((file, unpacked)),
            Err(e) => Err(DataError::Damaged { file, problem: format!("cannot be unpacked ({e}); download it again") }),
        };
    }
    let looked_in = places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    Err(DataError::NotFound { name: name.into(), looked_in })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_data_set_says_what_to_do() {
        let error = fashion_mnist(Some(Path::new("/nonexistent")), Split::Test).expect_err("there is none");
        let text = error.to_string();
        assert!(text.contains("/nonexistent") && text.contains("dataset-fashion-mnist"), "{text}");
    }
}
