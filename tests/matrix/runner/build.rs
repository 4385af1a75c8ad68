//! Tells the linker where a board's memory lies.

use std::path::PathBuf;
use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS")? != "none" {
        return Ok(());
    }
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    // The one board of Armv8-M starts elsewhere than where its program lies.
    let board = if env::var("TARGET")?.starts_with("thumbv8m") { "mve" } else { &architecture };
    let memory = format!("memory-{board}.x");
    println!("cargo:rerun-if-changed={memory}");
    // `link.x` of the start-up crates includes `memory.x`, which the linker looks for in the output folder.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy(memory, out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
