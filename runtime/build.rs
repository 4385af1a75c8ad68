//! Names what the compiler does not tell a crate of its target, as neither has a stable feature of its own: `cfg(dsp)` for
//! Armv7E-M and Armv8-M with the DSP extension, `cfg(helium)` for Armv8.1-M with integer vectors, which has no target either, and
//! `cfg(v8m)` for all of Armv8-M.

use std::env;

/// What the compiler is told, in `RUSTFLAGS` or a configuration of cargo's.
const HELIUM: [&str; 4] = ["target-cpu=cortex-m52", "target-cpu=cortex-m55", "target-cpu=cortex-m85", "+mve"];
/// The same for Armv8-M with the DSP extension alone.
const DSP: [&str; 3] = ["target-cpu=cortex-m33", "target-cpu=cortex-m35p", "+dsp"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(dsp, helium, v8m)");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let target = env::var("TARGET").unwrap_or_default();
    let told = |names: &[&str]| names.iter().any(|flag| flags.contains(flag));
    if target.starts_with("thumbv8m") {
        println!("cargo:rustc-cfg=v8m");
    }
    let helium = target.starts_with("thumb") && told(&HELIUM);
    if helium {
        println!("cargo:rustc-cfg=helium");
    }
    if helium || target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main") && told(&DSP) {
        println!("cargo:rustc-cfg=dsp");
    }
}
