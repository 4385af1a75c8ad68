//! Files that are checked before they are timed.

use std::ops::ControlFlow;

use aligned_vec::AVec;
use driftlet_runtime::format::Precision;
use driftlet_runtime::{Guidance, Kernels, Model, Sampler, Start, View};

/// A model's file and working memory.
pub struct Subject {
    file: AVec<u8>,
}

impl Subject {
    /// Of the bytes that the quantizer made.
    pub fn new(file: &[u8]) -> Self {
        Self { file: AVec::from_slice(64, file) }
    }

    /// Calls `measure` with a sampler of the fastest kernels (or those of `DRIFTLET_KERNEL`), once these have given what the
    /// portable ones give: the same bytes in integers, nearly the same numbers in floats.
    pub fn checked(&self, measure: impl FnOnce(&Model, &mut Sampler)) {
        let model = Model::parse(&self.file).expect("a valid file");
        let memory = || {
            let mut arena = AVec::<u8>::new(64);
            arena.resize(model.arena_len(), 0);
            arena
        };
        let (mut first, mut second) = (memory(), memory());
        let mut portable = Sampler::new(&model, &mut first).expect("an arena");
        portable.set_kernels(Kernels::PORTABLE);
        let mut fast = Sampler::new(&model, &mut second).expect("an arena");
        for seed in 0..2 {
            let [expected, got] = [&mut portable, &mut fast].map(|sampler| results(sampler, seed));
            let largest = expected.iter().flatten().fold(1e-3f32, |most, x| most.max(x.abs()));
            let tolerance = if model.precision() == Precision::Int8 { 0.0 } else { 1e-4 * largest };
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance;
            for (op, (expected, got)) in expected.iter().zip(&got).enumerate() {
                assert!(
                    expected.iter().zip(got).all(close),
                    "operator {op} of seed {seed} differs from the portable one's"
                );
            }
        }
        measure(&model, &mut fast);
    }
}

/// The numbers that every operator writes.
fn results(sampler: &mut Sampler, seed: u64) -> Vec<Vec<f32>> {
    let mut results = Vec::new();
    pass(sampler, seed, &mut |_, view| {
        results.push(match view {
            View::F32(x) => x.to_vec(),
            View::I8(x) => x.iter().map(|&x| x.into()).collect(),
            View::I16(x) => x.iter().map(|&x| x.into()).collect(),
            View::U8(x) => x.iter().map(|&x| x.into()).collect(),
        });
    });
    results
}

/// Makes a picture and calls `each` with every operator's place and result.
pub fn pass(sampler: &mut Sampler, seed: u64, each: &mut dyn FnMut(u32, View)) {
    let (class, guidance) = (sampler.model().class(0).expect("a class"), Guidance::from_q8(256));
    let done = sampler.generate_observed(Start::Seed(seed), class, guidance, &mut |step| {
        each(step.index, step.output);
        ControlFlow::Continue(())
    });
    assert!(done.is_some());
}
