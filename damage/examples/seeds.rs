//! Writes the files that fuzzing starts from: `cargo run -p driftlet-damage --example seeds -- DIRECTORY`.

#[path = "../tests/files/mod.rs"]
mod files;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("usage: seeds DIRECTORY")?.into();
    std::fs::create_dir_all(&directory)?;
    for (name, file) in files::files()? {
        std::fs::write(directory.join(name), file)?;
    }
    Ok(())
}
