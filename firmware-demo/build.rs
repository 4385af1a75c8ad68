//! Puts the model and the length of its arena where the program includes them, after proving the model.

use std::path::PathBuf;
use std::{env, error::Error, fs};

use driftlet_runtime::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-env-changed=DRIFTLET_MODEL");
    let path = env::var("DRIFTLET_MODEL").map_err(|_| "name an int8 .drift file in DRIFTLET_MODEL, or use ./run")?;
    println!("cargo:rerun-if-changed={path}");
    let file = fs::read(&path).map_err(|e| format!("{path}: {e}"))?;
    let model = Model::parse(&file).map_err(|e| format!("{path}: {e}"))?;
    fs::write(out.join("model.drift"), &file)?;
    fs::write(out.join("arena_len.rs"), model.arena_len().to_string())?;

    // `link.x` comes with cortex-m-rt and includes `memory.x`, which the linker looks for in the output folder.
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
