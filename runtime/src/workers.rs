//! Who computes: the calling thread alone, or several that share an operator's work.
#![allow(unsafe_code)]

/// Threads, or cores, that share the work of one operator. An application that has a pool of its own lends it by a few lines,
/// so that no second pool fights it for the cores; with the feature `std`, `Pool` is one that is ready.
///
/// Results do not depend on the number of workers.
///
/// # Safety
/// Parts write to one result, each to its own numbers: [`Workers::run`] has to call `work` at most once for each part, for no
/// number that is no part, and has to return when no call runs any more.
///
/// ```
/// struct Rayon;
///
/// // SAFETY: parallel iterators visit every number of a range once, and return afterwards.
/// unsafe impl driftlet_runtime::Workers for Rayon {
///     fn count(&self) -> usize {
///         4 // rayon::current_num_threads()
///     }
///     fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
///         (0..parts).for_each(work); // (0..parts).into_par_iter().for_each(work)
///     }
/// }
/// ```
pub unsafe trait Workers: Sync {
    /// How many parts an operator should be divided into at most.
    fn count(&self) -> usize;

    /// Calls `work` once for each part in `0..parts`, on any threads, in any order, and returns when all calls have.
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync));
}

/// The calling thread alone.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

// SAFETY: each part once, one after the other.
unsafe impl Workers for Alone {
    fn count(&self) -> usize {
        1
    }

    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..parts).for_each(work);
    }
}
