//! Puts the model and the length of its arena where the programs include them, after proving the model; and the memory of a
//! board where the linker finds it.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

use driftlet_runtime::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DRIFTLET_MODEL");
    match env::var("DRIFTLET_MODEL") {
        Ok(path) => model(&path, &out)?,
        Err(_) => {
            println!("cargo:warning=programs that hold a model need the path of an int8 .drift file in DRIFTLET_MODEL")
        }
    }
    // The one board of Armv8-M has Helium, see .cargo/config.toml.
    println!("cargo:rustc-check-cfg=cfg(helium)");
    if env::var("TARGET")?.starts_with("thumbv8m") {
        println!("cargo:rustc-cfg=helium");
    }
    println!("cargo:rerun-if-env-changed=DRIFTLET_BOARD");
    let board = env::var("DRIFTLET_BOARD").map_err(|_| "name a board of memory/ in DRIFTLET_BOARD, or use ./run")?;
    let memory = format!("memory/{board}.x");
    println!("cargo:rerun-if-changed={memory}");
    // `link.x` of the start-up crates includes `memory.x`, which the linker looks for in the output folder.
    fs::copy(&memory, out.join("memory.x")).map_err(|e| format!("{memory}: {e}"))?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}

fn model(path: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={path}");
    let file = fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    let model = Model::parse(&file).map_err(|e| format!("{path}: {e}"))?;
    fs::write(out.join("model.drift"), &file)?;
    fs::write(out.join("arena_len.rs"), model.arena_len().to_string())?;
    Ok(())
}
