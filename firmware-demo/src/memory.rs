//! What the program takes of flash and RAM, from the linker's symbols and a painted stack.

use core::ptr::{addr_of, read_volatile, write_volatile};

const PAINT: u32 = 0x5afe_57ac;

/// Bytes.
pub struct Report {
    /// Vectors, code, constants and initial values.
    pub flash: u32,
    /// Initialized and zeroed statics.
    pub statics: u32,
    /// Deepest stack so far.
    pub stack: u32,
    /// What there is: statics lie at its beginning, the stack grows down from its end.
    pub ram: u32,
}

// Symbols of the start-up crates' linker scripts; only their addresses mean something.
unsafe extern "C" {
    static __sdata: u32;
    static __edata: u32;
    static __sidata: u32;
    static __sbss: u32;
    static __ebss: u32;
    static __sheap: u32;
    static _stack_start: u32;
}
#[cfg(target_arch = "arm")]
unsafe extern "C" {
    #[link_name = "__vector_table"]
    static FLASH: u32;
}
#[cfg(target_arch = "riscv32")]
unsafe extern "C" {
    #[link_name = "__stext"]
    static FLASH: u32;
}

/// Fills the unused part of the stack.
#[inline(never)]
pub fn paint_stack() {
    let frame = 0u32;
    let here = addr_of!(frame) as u32;
    let mut at = addr_of!(__sheap) as u32;
    // Leaves room for this function's own frame.
    while at < here - 256 {
        // SAFETY: between the end of all statics and the frame of this function there is RAM that nothing uses: there is no
        // heap, and the stack grows down towards it. Addresses are multiples of 4, as the linker script aligns `__sheap`.
        unsafe { write_volatile(at as *mut u32, PAINT) };
        at += 4;
    }
}

/// Reads the figures.
pub fn report() -> Report {
    let [sdata, edata, sidata, sbss, ebss, sheap, top, flash] = [
        addr_of!(__sdata),
        addr_of!(__edata),
        addr_of!(__sidata),
        addr_of!(__sbss),
        addr_of!(__ebss),
        addr_of!(__sheap),
        addr_of!(_stack_start),
        addr_of!(FLASH),
    ]
    .map(|symbol| symbol as u32);
    let mut at = sheap;
    // SAFETY: as in `paint_stack`; reading RAM has no effect.
    while at < top && unsafe { read_volatile(at as *const u32) } == PAINT {
        at += 4;
    }
    // Initial values of statics are the last thing in flash.
    Report {
        flash: sidata + (edata - sdata) - flash,
        statics: (edata - sdata) + (ebss - sbss),
        stack: top - at,
        ram: top - sdata,
    }
}
