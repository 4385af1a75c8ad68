//! Names the linker script.

fn main() {
    println!("cargo:rerun-if-changed=smallest.ld");
    println!("cargo:rustc-link-arg-bins=-T{}/smallest.ld", env!("CARGO_MANIFEST_DIR"));
}
