//! Embassy's clock, from SysTick: microseconds of virtual time, of which one has 1,000 instructions.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use firmware_demo::board::{TICKS_IN_MILLISECOND, instructions_in};
use portable_atomic::{AtomicU32, Ordering};

/// Wakers are looked at twenty times a millisecond.
const PERIOD: u32 = TICKS_IN_MILLISECOND / 20;

struct Clock {
    periods: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    periods: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts the clock.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(PERIOD - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
}

/// Instructions since the start.
pub fn instructions() -> u64 {
    instructions_in(CLOCK.ticks())
}

impl Clock {
    fn ticks(&self) -> u64 {
        critical_section::with(|_| {
            let (mut periods, mut left) = (self.periods.load(Ordering::Relaxed), SYST::get_current());
            if SCB::is_pendst_pending() {
                // A period has ended that the interrupt has not counted.
                periods += 1;
                left = SYST::get_current();
            }
            u64::from(periods) * u64::from(PERIOD) + u64::from((PERIOD - 1).saturating_sub(left))
        })
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        self.ticks() * 1000 / u64::from(TICKS_IN_MILLISECOND)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The interrupt comes often enough: no alarm to set.
        critical_section::with(|section| self.queue.borrow_ref_mut(section).schedule_wake(at, waker));
    }
}

#[exception]
fn SysTick() {
    CLOCK.periods.add(1, Ordering::Relaxed);
    let now = CLOCK.now();
    critical_section::with(|section| CLOCK.queue.borrow_ref_mut(section).next_expiration(now));
}
