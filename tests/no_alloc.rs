//! Generation under a global allocator that panics: the runtime needs no heap.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Barrier;

use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::{Options, Precision, WeightBits, quantize};
use driftlet_runtime::{Guidance, Model, Pool, Sampler, Start, Workers};

thread_local! {
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

struct Guarded;

impl Guarded {
    fn check() {
        if FORBIDDEN.get() {
            // The panic itself allocates.
            FORBIDDEN.set(false);
            panic!("an allocation where none is allowed");
        }
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Guarded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::check();
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::check();
        // SAFETY: the caller keeps the contract of `dealloc`; `pointer` came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Guarded = Guarded;

#[test]
fn the_guard_works() {
    FORBIDDEN.set(true);
    let allocated = std::panic::catch_unwind(|| std::hint::black_box(vec![1u8; 100]).len());
    FORBIDDEN.set(false);
    assert!(allocated.is_err());
}

#[test]
fn parsing_and_generating_need_no_heap() -> Result<(), Box<dyn std::error::Error>> {
    let micro = Architecture::preset("micro").ok_or("no preset")?;
    let checkpoint = Checkpoint::random(Config::new(micro), 1);
    let eight = WeightBits::Eight;
    for (precision, weights) in [
        (Precision::F32, eight),
        (Precision::F16, eight),
        (Precision::Int8, eight),
        (Precision::Int8, WeightBits::Four),
    ] {
        let options = Options { weights, ..Options::new("test", precision) };
        let bytes = aligned_vec::AVec::<u8>::from_slice(64, &quantize(&checkpoint, &options)?);
        let mut arena = aligned_vec::AVec::<u8>::new(64);
        arena.resize(Model::parse(&bytes)?.arena_len(), 0);

        FORBIDDEN.set(true);
        let model = Model::parse(&bytes)?;
        let mut sampler = Sampler::new(&model, &mut arena)?;
        let (mut sum, mut equal) = (0u64, true);
        for seed in 0..3 {
            if let Some(class) = model.class(seed as u32) {
                let pixels = sampler.generate(seed, class, Guidance::from_q8(300));
                let whole = pixels.iter().map(|&p| u64::from(p)).sum::<u64>();
                // The same in pieces.
                let mut pieces = sampler.start(Start::Seed(seed), class, Guidance::from_q8(300), 100_000);
                while pieces.step().is_some() {}
                let pieced = sampler.picture().iter().map(|&p| u64::from(p)).sum::<u64>();
                equal &= pieced == whole;
                sum += whole;
            }
        }
        FORBIDDEN.set(false);
        assert!(sum > 0 && equal);
    }
    Ok(())
}

/// Neither the caller nor a thread of the pool allocates, once both run.
#[test]
fn sharing_work_needs_no_heap() -> Result<(), Box<dyn std::error::Error>> {
    let micro = Architecture::preset("micro").ok_or("no preset")?;
    let checkpoint = Checkpoint::random(Config::new(micro), 1);
    let bytes = quantize(&checkpoint, &Options::new("test", Precision::Int8))?;
    let bytes = aligned_vec::AVec::<u8>::from_slice(64, &bytes);
    let model = Model::parse(&bytes)?;
    let mut arena = aligned_vec::AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    let (pool, both) = (Pool::new(2), Barrier::new(2));
    // Each thread waits in its part for the other, so that either takes one.
    let forbid = |forbidden| {
        pool.run(2, &|_| {
            both.wait();
            FORBIDDEN.set(forbidden);
        });
    };
    let class = model.class(0).ok_or("no class")?;
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let alone = sampler.generate(5, class, Guidance::from_q8(300)).to_vec();
    sampler.set_workers(&pool);
    forbid(true);
    let shared = sampler.generate(5, class, Guidance::from_q8(300));
    let equal = shared == alone;
    forbid(false);
    assert!(equal);
    Ok(())
}
