//! What the programs share: how a board starts, prints, counts instructions and ends.
#![no_std]

pub mod memory;
pub mod text;

#[cfg(target_arch = "arm")]
#[path = "arm.rs"]
pub mod board;
#[cfg(target_arch = "riscv32")]
#[path = "riscv.rs"]
pub mod board;

use core::panic::PanicInfo;

use semihosting::{println, process};

/// Prints what `run` complains about, and ends the emulator.
pub fn exit(result: Result<(), &str>) -> ! {
    if let Err(problem) = result {
        println!("{problem}");
        process::exit(1);
    }
    process::exit(0)
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    // No formatting of the message: it would link more code than the demonstration itself.
    exit(Err("panic"))
}
