//! Puts the model and the length of its arena where the program includes them.

use std::path::PathBuf;
use std::{env, error::Error, fs};

use driftlet_runtime::format::{HEADER_LEN, Header};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-env-changed=DRIFTLET_MODEL");
    let path = env::var("DRIFTLET_MODEL").map_err(|_| "name an int8 .drift file in DRIFTLET_MODEL, or use ./run")?;
    println!("cargo:rerun-if-changed={path}");
    let model = fs::read(&path).map_err(|e| format!("{path}: {e}"))?;
    let header = model.first_chunk::<HEADER_LEN>().map(Header::from_bytes).ok_or(format!("{path}: not a .drift file"))?;
    fs::write(out.join("model.drift"), &model)?;
    fs::write(out.join("arena_len.rs"), header.arena_len.to_string())?;
    // The linker looks for memory.x here.
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-search={}", out.display());
    Ok(())
}
