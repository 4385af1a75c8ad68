//! Counts instructions. QEMU runs with `-icount shift=0`: one instruction takes one virtual nanosecond, and SysTick counts
//! down at 25 MHz, so a tick is 40 instructions. These are instructions, not cycles: QEMU knows no pipeline.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

const INSTRUCTIONS_PER_TICK: u64 = 40;
/// SysTick has 24 bits: a lap may take up to 670 million instructions.
const RELOAD: u32 = 0x00ff_ffff;

/// Counts instructions between laps, in steps of 40.
pub struct Counter {
    timer: SYST,
    last: u32,
}

impl Counter {
    /// Starts the timer.
    pub fn new(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_counter();
        Self { timer, last: 0 }
    }

    /// Starts a lap.
    pub fn restart(&mut self) {
        // The counter has counted down from its reload value once it has been read after being cleared.
        self.timer.clear_current();
        self.last = RELOAD;
    }

    /// Instructions since the last lap.
    pub fn lap(&mut self) -> u64 {
        let now = SYST::get_current();
        let ticks = self.last.wrapping_sub(now) & RELOAD;
        self.last = now;
        u64::from(ticks) * INSTRUCTIONS_PER_TICK
    }
}
