//! Threads that share the work of operators.
#![allow(unsafe_code)]

use std::hint::spin_loop;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};

use crate::workers::Workers;

/// Rounds that an idle thread looks for work before it sleeps: some tens of microseconds, longer than the pauses between
/// operators.
const PATIENCE: u32 = 20_000;

/// A fixed number of threads, of which the caller's is one. They are started once; sharing work allocates nothing.
///
/// Operators last microseconds, so idle threads wait for the next one awake for a moment before they sleep; a general pool
/// sleeps sooner or allocates for each job. An application that has a pool already lends it through [`Workers`] instead,
/// so that cores are not claimed twice.
///
/// ```
/// use driftlet_runtime::{Pool, Workers};
/// let pool = Pool::new(2);
/// let sum = std::sync::atomic::AtomicUsize::new(0);
/// pool.run(10, &|part| {
///     sum.fetch_add(part, std::sync::atomic::Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 45);
/// ```
#[derive(Debug)]
pub struct Pool {
    shared: Arc<State>,
    threads: Vec<JoinHandle<()>>,
    sleepers: Vec<Thread>,
    /// One caller at a time.
    caller: Mutex<()>,
}

/// What the threads share.
#[derive(Debug, Default)]
struct State {
    /// The job at hand; null between jobs.
    job: AtomicPtr<Job<'static>>,
    /// Jobs so far.
    jobs: AtomicUsize,
    /// Threads that may be looking at the job.
    inside: AtomicUsize,
    ended: AtomicBool,
}

/// Parts of an operator.
struct Job<'w> {
    work: &'w (dyn Fn(usize) + Sync),
    parts: usize,
    /// The next part that nobody has taken.
    next: AtomicUsize,
}

impl Job<'_> {
    /// Works off parts until none is left.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            (self.work)(part);
        }
    }
}

impl Pool {
    /// A pool of so many threads, at least one: the caller's, and others that are started here.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(State::default());
        let start = |_| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("driftlet".into()).spawn(move || shared.serve()).ok()
        };
        // Where the system starts no more threads, those that there are do the work.
        let threads: Vec<_> = (1..threads.max(1)).map_while(start).collect();
        let sleepers = threads.iter().map(|thread| thread.thread().clone()).collect();
        Self { shared, threads, sleepers, caller: Mutex::new(()) }
    }

    /// As many threads as the machine runs at once.
    pub fn of_this_machine() -> Self {
        Self::new(thread::available_parallelism().map_or(1, NonZero::get))
    }
}

// SAFETY: threads take the next number from a counter, and the call waits until all are outside of the job.
unsafe impl Workers for Pool {
    fn count(&self) -> usize {
        self.threads.len() + 1
    }

    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        // Another caller's operator keeps the threads busy: this one does its work itself.
        let Ok(_caller) = self.caller.try_lock() else { return (0..parts).for_each(work) };
        if parts < 2 || self.threads.is_empty() {
            return (0..parts).for_each(work);
        }
        let job = Job { work, parts, next: AtomicUsize::new(0) };
        let published = (&raw const job).cast_mut().cast::<Job<'static>>();
        self.shared.job.store(published, Ordering::SeqCst);
        self.shared.jobs.fetch_add(1, Ordering::Release);
        self.sleepers.iter().for_each(Thread::unpark);
        // Withdrawn, and waited for, also if the work panics here: the threads must not see the job after this call.
        let _withdrawn = Withdrawn(&self.shared);
        job.help();
    }
}

/// Ends a job when dropped.
struct Withdrawn<'s>(&'s State);

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        self.0.job.store(std::ptr::null_mut(), Ordering::SeqCst);
        let mut rounds = 0u32;
        while self.0.inside.load(Ordering::SeqCst) > 0 {
            rounds += 1;
            // The last part may be on a thread that waits for a core.
            if rounds > PATIENCE { thread::yield_now() } else { spin_loop() }
        }
    }
}

impl State {
    /// What a thread does for its life.
    fn serve(&self) {
        let (mut seen, mut rounds) = (0, 0);
        while !self.ended.load(Ordering::Relaxed) {
            let jobs = self.jobs.load(Ordering::Acquire);
            if jobs == seen {
                rounds += 1;
                if rounds > PATIENCE {
                    thread::park();
                    rounds = 0;
                }
                spin_loop();
                continue;
            }
            (seen, rounds) = (jobs, 0);
            self.inside.fetch_add(1, Ordering::SeqCst);
            // SAFETY: a job that is published here lives until its caller has withdrawn it and then seen that nobody is
            // inside. This thread went inside before it looked: either the caller waits for it, or it sees null.
            if let Some(job) = unsafe { self.job.load(Ordering::SeqCst).as_ref() } {
                // Its parts are then missing, and the thread lives on.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.help()));
            }
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.sleepers.iter().for_each(Thread::unpark);
        for thread in self.threads.drain(..) {
            // Its panics were caught.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn every_part_is_done_once() {
        for threads in [0, 1, 2, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.count(), threads.max(1));
            for parts in [0, 1, 2, 3, 17, 100] {
                let counts: Vec<_> = (0..parts).map(|_| AtomicU32::new(0)).collect();
                for _ in 0..50 {
                    pool.run(parts, &|part| {
                        counts[part].fetch_add(1, Ordering::Relaxed);
                    });
                }
                assert!(
                    counts.iter().all(|count| count.load(Ordering::Relaxed) == 50),
                    "{threads} threads, {parts} parts"
                );
            }
        }
    }

    #[test]
    fn callers_may_share_a_pool_and_threads_wake_again() {
        let pool = Pool::new(3);
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        pool.run(4, &|part| {
                            sum.fetch_add(part, Ordering::Relaxed);
                        });
                        thread::sleep(std::time::Duration::from_millis(1));
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 3 * 20 * 6);
    }

    #[test]
    fn the_pool_outlives_a_panic() {
        let pool = Pool::new(2);
        // Of a thread of the pool or of the caller, who then sees it.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.run(2, &|_| panic!("a part"))));
        let done = AtomicUsize::new(0);
        pool.run(8, &|_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 8);
    }
}
