//! QEMU's RISC-V board.

pub use riscv_rt::entry;

use riscv::register::mcycle;
use riscv_rt::TrapFrame;

/// Counts instructions between laps. QEMU runs with `-icount shift=0`, and counts an instruction as a cycle; these are
/// instructions, since it knows no pipeline.
pub struct Counter {
    last: u64,
}

impl Counter {
    /// Starts a lap.
    pub fn restart(&mut self) {
        self.last = mcycle::read64();
    }

    /// Instructions since the last lap.
    pub fn lap(&mut self) -> u64 {
        let now = mcycle::read64();
        let count = now - self.last;
        self.last = now;
        count
    }
}

/// Starts the counter. There is no FPU.
pub fn start() -> Option<Counter> {
    Some(Counter { last: mcycle::read64() })
}

// SAFETY: the name and the signature that riscv-rt asks for.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn fault(_: &TrapFrame) -> ! {
    crate::exit(Err("fault"))
}
