//! Names what the compiler does not tell a crate of its target: `cfg(helium)` for Armv8.1-M with integer vectors, which has
//! neither a target nor a stable feature of its own.

use std::env;

/// What the compiler is told, in `RUSTFLAGS` or a configuration of cargo's.
const HELIUM: [&str; 4] = ["target-cpu=cortex-m52", "target-cpu=cortex-m55", "target-cpu=cortex-m85", "+mve"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(helium)");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let arm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "arm");
    if arm && HELIUM.iter().any(|flag| flags.contains(flag)) {
        println!("cargo:rustc-cfg=helium");
    }
}
