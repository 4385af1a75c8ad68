//! Writes the files of the test of bit-identity, for programs on other targets:
//!
//! `driftlet-matrix DIRECTORY` writes `DIRECTORY/SET/NAME.drift` and prints `SET PASSES` for every set. With
//! `--layers` before the directory it writes the networks that `firmware-demo/layers` measures instead.

use std::collections::BTreeMap;
use std::path::Path;

use driftlet_matrix::{Failure, files, layers};

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let directory = arguments.pop().ok_or("usage: driftlet-matrix [--layers] DIRECTORY")?;
    let files = if arguments.iter().any(|argument| argument == "--layers") { layers } else { files };
    let mut sets = BTreeMap::new();
    for file in files()? {
        let set = Path::new(&directory).join(file.set);
        std::fs::create_dir_all(&set)?;
        std::fs::write(set.join(format!("{}.drift", file.name)), &file.bytes)?;
        sets.insert(file.set, file.passes);
    }
    sets.iter().for_each(|(set, passes)| println!("{set} {passes}"));
    Ok(())
}
