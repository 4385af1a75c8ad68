//! Public files: where they are looked for, and where they come from.

use std::path::{Path, PathBuf};

use crate::DataError;

/// A public file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name, without a folder.
    pub name: String,
    /// Where it lies (`https`), best first.
    pub urls: Vec<String>,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// Data set, file, bytes, SHA-256.
const FILES: [(&str, &str, u64, &str); 9] = [
    (
        "fashion-mnist",
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    ),
    (
        "fashion-mnist",
        "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    ),
    (
        "fashion-mnist",
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    ),
    (
        "fashion-mnist",
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    (
        "mnist",
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    ("mnist", "train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    (
        "mnist",
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    ("mnist", "t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    (
        "cifar-10",
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
];

/// Data set and a folder of the web that has its files.
const FOLDERS: [(&str, &str); 5] = [
    ("fashion-mnist", "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"),
    ("fashion-mnist", "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
    ("mnist", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    ("mnist", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    ("cifar-10", "https://www.cs.toronto.edu/~kriz/"),
];

/// The files of the data set `fashion-mnist`, `mnist` or `cifar-10`; none for another name.
pub fn remotes(set: &str) -> Vec<Remote> {
    let of_set = |name: &str| {
        let folders = FOLDERS.iter().filter(|(of, _)| *of == set);
        folders.map(|(_, folder)| format!("{folder}{name}")).collect()
    };
    let files = FILES.iter().filter(|(of, ..)| *of == set);
    files
        .map(|&(_, name, bytes, sha256)| Remote { name: name.into(), urls: of_set(name), sha256: sha256.into(), bytes })
        .collect()
}

/// Folders that may hold the data set, in the order of looking.
pub(crate) fn places(set: &str, directory: Option<&Path>) -> Vec<PathBuf> {
    if let Some(directory) = directory {
        return vec![directory.into()];
    }
    let variable = std::env::var_os("DRIFTLET_DATA").map(PathBuf::from);
    let roots = variable.into_iter().chain(["/usr/share/datasets".into(), "data-cache".into()]);
    // MNIST's files have the names of Fashion-MNIST's, which may lie outside a folder of their own.
    let plain = set != "mnist";
    roots.flat_map(|root| [Some(root.join(set)), plain.then_some(root)]).flatten().collect()
}

/// Paths of `files`, packed (`.gz`) or not, in the first of `places` that has them all.
pub(crate) fn together<const N: usize>(places: &[PathBuf], files: &[String; N]) -> Option<[PathBuf; N]> {
    let find = |place: &Path, file: &String| {
        [place.join(file), place.join(format!("{file}.gz"))].into_iter().find(|path| path.is_file())
    };
    places.iter().find_map(|place| {
        let paths: Option<Vec<PathBuf>> = files.iter().map(|file| find(place, file)).collect();
        paths?.try_into().ok()
    })
}

/// Paths of a data set's files.
pub(crate) fn obtain<const N: usize>(
    set: &str,
    directory: Option<&Path>,
    files: [String; N],
) -> Result<[PathBuf; N], DataError> {
    let places = places(set, directory);
    if let Some(paths) = together(&places, &files) {
        return Ok(paths);
    }
    let wanted: Vec<Remote> =
        remotes(set).into_iter().filter(|r| files.iter().any(|file| r.name.trim_end_matches(".gz") == file)).collect();
    let folder = directory.map_or_else(|| Path::new("data-cache").join(set), PathBuf::from);
    #[cfg(feature = "download")]
    if directory.is_none() {
        for remote in &wanted {
            crate::fetch(remote, &folder, &|_, _| ())?;
        }
        if let Some(paths) = together(std::slice::from_ref(&folder), &files) {
            return Ok(paths);
        }
    }
    let urls: Vec<&str> = wanted.iter().filter_map(|r| r.urls.first()).map(String::as_str).collect();
    let package = if set == "fashion-mnist" {
        "Install the package dataset-fashion-mnist (apt), or download"
    } else {
        "Download"
    };
    Err(DataError::NotFound {
        name: format!("{set} ({})", files.join(", ")),
        looked_in: places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "),
        remedy: format!(
            "{package} {} into {}; a folder elsewhere can be named in the variable DRIFTLET_DATA",
            urls.join(" and "),
            folder.display()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_file_can_be_verified() {
        for (set, files) in [("fashion-mnist", 4), ("mnist", 4), ("cifar-10", 1), ("unknown", 0)] {
            let remotes = remotes(set);
            assert_eq!(remotes.len(), files, "{set}");
            for remote in remotes {
                assert!(remote.sha256.len() == 64 && remote.sha256.bytes().all(|b| b.is_ascii_hexdigit()));
                assert!(remote.bytes > 0 && !remote.urls.is_empty());
                assert!(remote.urls.iter().all(|url| url.starts_with("https://") && url.ends_with(&remote.name)));
            }
        }
    }

    #[test]
    fn mnist_is_only_looked_for_in_its_own_folders() {
        assert!(places("mnist", None).iter().all(|place| place.ends_with("mnist")));
        let all = places("fashion-mnist", None);
        assert!(all.ends_with(&["data-cache/fashion-mnist".into(), "data-cache".into()]), "{all:?}");
        assert!(all.contains(&"/usr/share/datasets/fashion-mnist".into()), "{all:?}");
        assert_eq!(places("mnist", Some(Path::new("x"))), [PathBuf::from("x")]);
    }

    #[test]
    fn what_is_nowhere_can_be_fetched_by_hand() {
        let files = ["train-images-idx3-ubyte".into()];
        let error = obtain("mnist", Some(Path::new("/nonexistent")), files).err();
        let text = error.map(|e| e.to_string()).unwrap_or_default();
        let wanted = "mnist/train-images-idx3-ubyte.gz into /nonexistent;";
        assert!(text.contains(wanted) && !text.contains("labels"), "{text}");
    }
}
