//! Prints a hash of what `.drift` files make, on any target: `runner PASSES FILE...` prints `HASH  NAME KERNELS` for each file
//! and all kernels of the processor, or those that `DRIFTLET_KERNEL` names. See `docs/bit-identity.md`.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

mod memory;

#[cfg(target_os = "none")]
mod bare;
#[cfg(not(any(target_os = "none", target_family = "wasm")))]
mod hosted;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(any(target_os = "none", target_family = "wasm")))]
fn main() -> std::process::ExitCode {
    hosted::main()
}
