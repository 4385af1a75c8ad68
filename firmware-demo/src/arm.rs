//! Cortex-M boards.

pub use cortex_m_rt::entry;

use cortex_m::Peripherals;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::{ExceptionFrame, exception};

/// SysTick has 24 bits.
const RELOAD: u32 = 0x00ff_ffff;

/// Virtual nanoseconds, in hundredths, of a tick of SysTick: the boards' processors run at 25 MHz, the mps3's at 32 MHz.
const TICK: u64 = if cfg!(helium) { 3125 } else { 4000 };

/// Counts instructions between laps, in steps of 31 or 40. QEMU runs with `-icount shift=0`: one instruction takes one virtual
/// nanosecond, and SysTick counts these. They are instructions, not cycles: QEMU knows no pipeline.
pub struct Counter {
    timer: SYST,
    last: u32,
}

impl Counter {
    /// Starts the timer. A lap may take up to 520 million instructions.
    fn new(mut timer: SYST) -> Self {
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
        u64::from(ticks) * TICK / 100
    }
}

/// Starts the counter, once; and switches the FPU off: from here on a float instruction is a fault, so that a run proves that
/// there are none. Not so with Helium, whose integer instructions need the unit too.
pub fn start() -> Option<Counter> {
    let mut peripherals = Peripherals::take()?;
    switch_fpu_off(&mut peripherals.SCB);
    Some(Counter::new(peripherals.SYST))
}

#[cfg(all(target_abi = "eabihf", not(helium)))]
fn switch_fpu_off(scb: &mut SCB) {
    scb.disable_fpu();
}

/// There is none, or Helium needs it.
#[cfg(not(all(target_abi = "eabihf", not(helium))))]
fn switch_fpu_off(_: &mut SCB) {}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    crate::exit(Err("fault"))
}
