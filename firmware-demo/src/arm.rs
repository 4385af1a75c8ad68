//! Cortex-M boards.

pub use cortex_m_rt::entry;

use cortex_m::Peripherals;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::{ExceptionFrame, exception};

/// SysTick has 24 bits.
const RELOAD: u32 = 0x00ff_ffff;

/// SysTick counts the boards' clock: 25 MHz, on the mps3 32 MHz.
pub const TICKS_IN_MILLISECOND: u32 = if cfg!(helium) { 32_000 } else { 25_000 };

/// Instructions in so many ticks of SysTick. QEMU runs with `-icount shift=0`: one instruction takes one virtual nanosecond.
pub fn instructions_in(ticks: u64) -> u64 {
    ticks * 1_000_000 / u64::from(TICKS_IN_MILLISECOND)
}

/// Counts instructions between laps, in steps of 40, on the mps3 of 31.25. They are instructions, not cycles: QEMU knows no
/// pipeline.
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
        instructions_in(ticks.into())
    }
}

/// Starts the counter, once, with [`peripherals`].
pub fn start() -> Option<Counter> {
    Some(Counter::new(peripherals()?.SYST))
}

/// What the processor has, once. Switches the FPU off: from here on a float instruction is a fault, so that a run proves that
/// there are none. Not so with Helium, whose integer instructions need the unit too.
pub fn peripherals() -> Option<Peripherals> {
    let mut peripherals = Peripherals::take()?;
    switch_fpu_off(&mut peripherals.SCB);
    Some(peripherals)
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
