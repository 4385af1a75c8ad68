//! Makes pictures on another target, to count the instructions or the time: `pictures KERNELS COUNT FILE`.
#![cfg_attr(target_family = "wasm", no_std, no_main)]

#[cfg(not(target_family = "wasm"))]
mod hosted;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    hosted::main()
}
