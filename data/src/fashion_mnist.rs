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

impl Split {
    /// What the names of its files begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "t10k",
        }
    }

    /// Number of its pictures.
    fn pictures(self) -> usize {
        match self {
            Self::Train => 60_000,
            Self::Test => 10_000,
        }
    }
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
    let prefix = split.prefix();
    let (images_name, images) = read(&places, &format!("{prefix}-images-idx3-ubyte"))?;
    let (labels_name, labels) = read(&places, &format!("{prefix}-labels-idx1-ubyte"))?;
    let (height, width, pixels) = read_idx_images(&images, &images_name)?;
    let labels = read_idx_labels(&labels, &labels_name)?;
    let damaged = |file: &str, problem: String| DataError::Damaged { file: file.into(), problem };
    if (height, width) != (28, 28) {
        return Err(damaged(&images_name, format!("pictures of {height} x {width} pixels instead of 28 x 28")));
    }
    // Figures measured on part of a split, or on another data set of the same shape, would look like any others.
    for (file, count) in [(&images_name, pixels.len() / (height * width)), (&labels_name, labels.len())] {
        if count != split.pictures() {
            let problem = format!("{count} entries instead of {}; download it again", split.pictures());
            return Err(damaged(file, problem));
        }
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
    use std::io::Write;

    use super::*;

    #[test]
    fn a_missing_data_set_says_what_to_do() {
        let error = fashion_mnist(Some(Path::new("/nonexistent")), Split::Test).expect_err("there is none");
        let text = error.to_string();
        assert!(text.contains("/nonexistent") && text.contains("dataset-fashion-mnist"), "{text}");
    }

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// An IDX file of zeros.
    fn idx(dims: &[u32]) -> Vec<u8> {
        let mut file = vec![0, 0, 8, dims.len() as u8];
        file.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
        file.resize(file.len() + dims.iter().product::<u32>() as usize, 0);
        file
    }

    fn packed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes)?;
        encoder.finish()
    }

    #[test]
    fn files_may_be_packed_and_damage_is_named() -> Outcome {
        let directory = tempfile::tempdir()?;
        let images = directory.path().join("t10k-images-idx3-ubyte.gz");
        let labels = directory.path().join("t10k-labels-idx1-ubyte");
        let load = || fashion_mnist(Some(directory.path()), Split::Test);
        let refused = || load().err().map(|e| e.to_string()).unwrap_or_default();

        let whole = packed(&idx(&[10_000, 28, 28]))?;
        fs::write(&images, &whole)?;
        fs::write(&labels, idx(&[10_000]))?;
        assert_eq!(load()?.len(), 10_000);

        let mut wrong = idx(&[10_000]);
        wrong[8] = 10;
        fs::write(&labels, wrong)?;
        assert!(refused().contains("label 10 at 0"), "{}", refused());
        fs::write(&labels, idx(&[9_999]))?;
        assert!(refused().contains("idx1-ubyte: 9999 entries instead of 10000"), "{}", refused());
        fs::write(&images, packed(&idx(&[10_000, 32, 32]))?)?;
        assert!(refused().contains("32 x 32"), "{}", refused());
        fs::write(&images, &whole[..whole.len() / 2])?;
        assert!(refused().contains("cannot be unpacked"), "{}", refused());
        Ok(())
    }
}
