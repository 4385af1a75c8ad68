//! Loops that are compiled once for each instruction set, so that the compiler's vectors are those of the processor.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use super::isa::Isa;
use super::isa::Kernels;

/// A loop. Its `run` is marked `#[inline(always)]`, as is everything that it calls in the loop, so that it is compiled with
/// the instructions of whoever calls it.
pub trait Work {
    fn run(self);
}

/// Runs a loop with the instructions of some kernels.
pub fn run(kernels: Kernels, work: impl Work) {
    match kernels.0 {
        // SAFETY: whoever has such kernels has asked the processor.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni => unsafe { avx512(work) },
        // Elsewhere the vectors are those of every loop.
        _ => work.run(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(work: impl Work) {
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn avx512(work: impl Work) {
    work.run();
}
