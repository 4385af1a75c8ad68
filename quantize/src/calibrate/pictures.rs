//! The pictures that a model is watched on: all classes in turn, and the whole range of guidance.

use std::ops::ControlFlow;

use aligned_vec::AVec;
use driftlet_runtime::format::ALIGN;
use driftlet_runtime::{Guidance, Model, Sampler, Start, Step};
use rayon::prelude::*;

use crate::runnable::start;

/// Runs the operators of picture `i` until the observer stops it.
pub fn make(
    sampler: &mut Sampler,
    model: &Model,
    first_seed: u64,
    i: u32,
    observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
) {
    let (weakest, strongest) = model.guidance_range();
    let classes = model.classes().max(1);
    let Some(class) = model.class(i % classes) else { return };
    // Five strengths in turn; classes and strengths have no common rhythm to miss a pair for long.
    let span = u32::from(strongest.to_q8() - weakest.to_q8());
    let strength = u32::from(weakest.to_q8()) + span * (i / classes % 5) / 4;
    let seed = Start::Seed(first_seed.wrapping_add(i.into()));
    // Whoever stops knows it, and the start is a seed.
    let _ = sampler.generate_observed(seed, class, Guidance::from_q8(strength as u16), observe);
}

/// Makes pictures in parallel. `merge` has to be associative and commutative, so that the result does not depend on the
/// number of threads.
pub fn observe<T: Send>(
    model: &Model,
    first_seed: u64,
    samples: u32,
    empty: impl Fn() -> T + Sync + Send,
    record: impl Fn(&mut T, Step) + Sync,
    merge: impl Fn(T, T) -> T + Sync + Send,
) -> T {
    let run = |(mut seen, mut memory): (T, AVec<u8>), i: u32| {
        if let Ok(mut sampler) = start(model, &mut memory) {
            make(&mut sampler, model, first_seed, i, &mut |step: Step| {
                record(&mut seen, step);
                ControlFlow::Continue(())
            });
        }
        (seen, memory)
    };
    (0..samples)
        .into_par_iter()
        .with_min_len(if samples < 64 { 1 } else { 16 })
        .fold(|| (empty(), arena(model)), run)
        .map(|(seen, _)| seen)
        .reduce(&empty, merge)
}

/// Memory for one sampler.
pub fn arena(model: &Model) -> AVec<u8> {
    let mut arena = AVec::new(ALIGN as usize);
    arena.resize(model.arena_len(), 0);
    arena
}
