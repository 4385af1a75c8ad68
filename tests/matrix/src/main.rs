//! Writes the files of the test of bit-identity, for programs on other targets:
//!
//! `driftlet-matrix DIRECTORY` writes `DIRECTORY/SET/NAME.drift` and prints `SET PASSES` for every set.

use std::collections::BTreeMap;
use std::path::Path;

use driftlet_matrix::{Failure, files};

fn main() -> Result<(), Failure> {
    let directory = std::env::args_os().nth(1).ok_or("usage: driftlet-matrix DIRECTORY")?;
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
