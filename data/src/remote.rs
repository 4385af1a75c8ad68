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
    let urls: Vec<&str> = wanted.iter().filter_map(|r| r.urls.first()).map(String::as_str).collect();
    let package = if set == "fashion-mnist" {
        "Install the package dataset-fashion-mnist (apt), or download"
    } else {
        "Download"
    };
    let folder = directory.map_or_else(|| Path::new("data-cache").join(set), PathBuf::from);
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
