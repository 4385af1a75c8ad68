//! The C interface of Driftlet. `include/driftlet.h`, made of these files by cbindgen, is what users read.
#![cfg_attr(not(feature = "std"), no_std)]

mod generate;
#[cfg(feature = "std")]
mod mapping;
mod model;
mod status;

pub use generate::{LineFunction, Request, driftlet_generate, driftlet_generate_lines};
#[cfg(feature = "std")]
pub use mapping::{Mapping, driftlet_map, driftlet_mapped, driftlet_unmap};
#[cfg(feature = "std")]
pub use model::driftlet_explain;
pub use model::{About, Model, driftlet_about_model, driftlet_metadata, driftlet_open, driftlet_verify_weights};
pub use status::{Status, driftlet_status_text};

/// Version of the interface that this header describes.
pub const DRIFTLET_ABI_VERSION: u32 = 1;

/// Version of the interface that the library has.
#[unsafe(no_mangle)]
pub extern "C" fn driftlet_abi_version() -> u32 {
    DRIFTLET_ABI_VERSION
}

/// Nothing panics after a file is proved; firmware that links no operating system still needs to name what would happen.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
