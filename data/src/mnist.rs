//! MNIST (LeCun, Cortes, Burges, 1998) and Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017; MIT licence).

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::remote::obtain;
use crate::{DataError, Images, Split, read_idx_images, read_idx_labels};

/// Names of Fashion-MNIST's classes, by label.
pub const FASHION_MNIST_CLASSES: [&str; 10] =
    ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

/// Names of MNIST's classes, by label.
pub const MNIST_CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Reads a split of Fashion-MNIST: 28 x 28 x 1 pictures of ten classes, 60,000 to train with and 10,000 to test with.
///
/// Looks in `directory` and nowhere else if it is given. If not, looks in `$DRIFTLET_DATA`, `/usr/share/datasets` (the
/// Debian package's place) and `data-cache`, and in each in its folder `fashion-mnist` first. With the feature
/// `download`, files that are nowhere are then downloaded into `data-cache/fashion-mnist`.
///
/// # Errors
/// [`DataError`] says where it looked or what is damaged.
pub fn fashion_mnist(directory: Option<&Path>, split: Split) -> Result<Images, DataError> {
    read("fashion-mnist", directory, split)
}

/// Reads a split of MNIST: 28 x 28 x 1 pictures of ten digits, 60,000 to train with and 10,000 to test with.
///
/// Looks where [`fashion_mnist`] does, but without a `directory` only in folders with the name `mnist`, because the
/// files of both have the same names.
///
/// # Errors
/// As [`fashion_mnist`].
pub fn mnist(directory: Option<&Path>, split: Split) -> Result<Images, DataError> {
    read("mnist", directory, split)
}

/// What the labels begin with: the only difference of the two that every file shows.
const BEGINNINGS: [(&str, [[u8; 8]; 2]); 2] = [
    ("fashion-mnist", [[9, 0, 0, 3, 0, 2, 7, 2], [9, 2, 1, 1, 6, 1, 4, 6]]),
    ("mnist", [[5, 0, 4, 1, 9, 2, 1, 3], [7, 2, 1, 0, 4, 1, 4, 9]]),
];

fn read(set: &str, directory: Option<&Path>, split: Split) -> Result<Images, DataError> {
    let (prefix, pictures) = match split {
        Split::Train => ("train", 60_000),
        Split::Test => ("t10k", 10_000),
    };
    let paths = obtain(set, directory, [format!("{prefix}-images-idx3-ubyte"), format!("{prefix}-labels-idx1-ubyte")])?;
    let [images, labels] = paths.each_ref().map(|path| unpacked(path));
    let [images_name, labels_name] = paths.map(|path| path.display().to_string());
    let (height, width, pixels) = read_idx_images(&images?, &images_name)?;
    let labels = read_idx_labels(&labels?, &labels_name)?;
    let damaged = |file: &str, problem: String| DataError::Damaged { file: file.into(), problem };
    if (height, width) != (28, 28) {
        return Err(damaged(&images_name, format!("pictures of {height} x {width} pixels instead of 28 x 28")));
    }
    // Figures measured on part of a split, or on another data set of the same shape, would look like any others.
    for (file, count) in [(&images_name, pixels.len() / (height * width)), (&labels_name, labels.len())] {
        if count != pictures {
            return Err(damaged(file, format!("{count} entries instead of {pictures}; download it again")));
        }
    }
    if let Some(at) = labels.iter().position(|&l| l >= 10) {
        return Err(damaged(&labels_name, format!("label {} at {at}; labels are 0 to 9", labels[at])));
    }
    for (other, [train, test]) in BEGINNINGS {
        let begins = if split == Split::Train { train } else { test };
        if other != set && labels.starts_with(&begins) {
            let problem =
                format!("this is {other}, whose files have the same names; put {set} into a folder of its own");
            return Err(damaged(&labels_name, problem));
        }
    }
    Ok(Images { height, width, channels: 1, pixels, labels })
}

/// The content of a file that may be packed.
fn unpacked(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = fs::read(path).map_err(|source| DataError::Io { path: path.into(), source })?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    // No file of the family is larger; a bomb ends here.
    let mut decoder = flate2::read::GzDecoder::new(&bytes[..]).take(1 << 26);
    decoder.read_to_end(&mut unpacked).map_err(|e| DataError::Damaged {
        file: path.display().to_string(),
        problem: format!("cannot be unpacked ({e}); download it again"),
    })?;
    Ok(unpacked)
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
    fn one_set_is_not_taken_for_the_other() -> Outcome {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("t10k-images-idx3-ubyte"), idx(&[10_000, 28, 28]))?;
        for (name, [_, test]) in BEGINNINGS {
            let mut labels = idx(&[10_000]);
            labels[8..16].copy_from_slice(&test);
            fs::write(directory.path().join("t10k-labels-idx1-ubyte"), labels)?;
            let results = [fashion_mnist, mnist].map(|read| read(Some(directory.path()), Split::Test));
            let [right, wrong] = if name == "mnist" { [1, 0] } else { [0, 1] };
            assert!(results[right].is_ok());
            let message = results[wrong].as_ref().err().map(|e| e.to_string()).unwrap_or_default();
            assert!(message.contains(&format!("this is {name},")), "{message}");
        }
        Ok(())
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
