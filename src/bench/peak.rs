//! What the machine could do at most: the rate of the instruction that a kernel is built on, in a loop of nothing else.
//!
//! Independent sums hide the instruction's latency, and all operands stay in registers. The loops are assembly, because a
//! compiler moves and merges what it understands.
#![cfg_attr(
    target_arch = "x86_64",
    allow(unsafe_code, reason = "assembly, and functions for a CPU feature behind the test that the CPU has it")
)]

use std::time::{Duration, Instant};

use driftlet_runtime::format::Precision;

/// A loop over one instruction, or over the few that make a product and a sum.
#[derive(Clone, Copy)]
pub struct Peak {
    /// Extension and instruction.
    pub name: &'static str,
    /// Multiply-accumulate operations of a round.
    macs: u64,
    /// The loop; only a CPU that has the instruction may get here.
    run: fn(rounds: u64),
}

/// Rounds between two looks at the clock.
const ROUNDS: u64 = 1024;

impl Peak {
    /// The fastest loop that this CPU has for a precision.
    pub fn of(precision: Precision) -> Self {
        match precision {
            Precision::Int8 => best_int8(),
            Precision::F32 | Precision::F16 => best_float(),
        }
    }

    /// Multiply-accumulate operations per second of all threads together, once for each piece of time.
    pub fn measure(self, threads: usize, piece: Duration, pieces: usize) -> Vec<f64> {
        let measure = || (0..pieces).map(|_| self.rate(piece)).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(measure)).collect();
            let mut sums = measure();
            for rates in others.into_iter().filter_map(|thread| thread.join().ok()) {
                sums.iter_mut().zip(rates).for_each(|(sum, rate)| *sum += rate);
            }
            sums
        })
    }

    fn rate(self, length: Duration) -> f64 {
        let (start, mut rounds) = (Instant::now(), 0);
        loop {
            (self.run)(ROUNDS);
            rounds += ROUNDS;
            let elapsed = start.elapsed();
            if elapsed >= length {
                return (rounds * self.macs) as f64 / elapsed.as_secs_f64();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
use x86_64::{best_float, best_int8};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::{Peak, portable};

    pub fn best_int8() -> Peak {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the CPU has both features.
            let run = |rounds| unsafe { vpdpbusd_512(rounds) };
            Peak { name: "avx512vnni vpdpbusd", macs: 64 * WIDE, run }
        } else if is_x86_feature_detected!("avxvnni") {
            // SAFETY: the CPU has the feature.
            let run = |rounds| unsafe { vpdpbusd_256(rounds) };
            Peak { name: "avxvnni vpdpbusd", macs: 32 * NARROW, run }
        } else if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the feature.
            let run = |rounds| unsafe { vpmaddwd(rounds) };
            Peak { name: "avx2 vpmaddwd, vpaddd", macs: 16 * NARROW, run }
        } else {
            portable::INT8
        }
    }

    pub fn best_float() -> Peak {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the feature.
            let run = |rounds| unsafe { vfmadd_512(rounds) };
            Peak { name: "avx512f vfmadd231ps", macs: 16 * WIDE, run }
        } else if is_x86_feature_detected!("avx") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features.
            let run = |rounds| unsafe { vfmadd_256(rounds) };
            Peak { name: "fma vfmadd231ps", macs: 8 * NARROW, run }
        } else {
            portable::FLOAT
        }
    }

    /// Sums in the 32 registers of AVX-512.
    const WIDE: u64 = 16;
    /// Sums in the 16 registers of AVX2.
    const NARROW: u64 = 12;

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn vpdpbusd_512(rounds: u64) {
        let (a, b) = (_mm512_set1_epi8(3), _mm512_set1_epi8(-5));
        let mut sums = [_mm512_setzero_si512(); WIDE as usize];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: the instruction reads and writes the registers named, nothing else.
                unsafe {
                    asm!("vpdpbusd {0}, {1}, {2}", inout(zmm_reg) *sum, in(zmm_reg) a, in(zmm_reg) b,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avxvnni")]
    fn vpdpbusd_256(rounds: u64) {
        let (a, b) = (_mm256_set1_epi8(3), _mm256_set1_epi8(-5));
        let mut sums = [_mm256_setzero_si256(); NARROW as usize];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: the instruction reads and writes the registers named, nothing else.
                unsafe {
                    asm!("{{vex}} vpdpbusd {0}, {1}, {2}", inout(ymm_reg) *sum, in(ymm_reg) a, in(ymm_reg) b,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums);
    }

    /// Two products of 16 bits each: the way to exact sums of 8-bit products without VNNI.
    #[target_feature(enable = "avx2")]
    fn vpmaddwd(rounds: u64) {
        let (a, b) = (_mm256_set1_epi16(3), _mm256_set1_epi16(-5));
        let mut sums = [_mm256_setzero_si256(); NARROW as usize];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: the instructions read and write the registers named, nothing else.
                unsafe {
                    asm!("vpmaddwd {3}, {1}, {2}", "vpaddd {0}, {0}, {3}",
                        inout(ymm_reg) *sum, in(ymm_reg) a, in(ymm_reg) b, out(ymm_reg) _,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f")]
    fn vfmadd_512(rounds: u64) {
        let (a, b) = (_mm512_set1_ps(1.5), _mm512_set1_ps(0.5));
        let mut sums = [_mm512_setzero_ps(); WIDE as usize];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: the instruction reads and writes the registers named, nothing else.
                unsafe {
                    asm!("vfmadd231ps {0}, {1}, {2}", inout(zmm_reg) *sum, in(zmm_reg) a, in(zmm_reg) b,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx,fma")]
    fn vfmadd_256(rounds: u64) {
        let (a, b) = (_mm256_set1_ps(1.5), _mm256_set1_ps(0.5));
        let mut sums = [_mm256_setzero_ps(); NARROW as usize];
        for _ in 0..rounds {
            for sum in &mut sums {
                // SAFETY: the instruction reads and writes the registers named, nothing else.
                unsafe {
                    asm!("vfmadd231ps {0}, {1}, {2}", inout(ymm_reg) *sum, in(ymm_reg) a, in(ymm_reg) b,
                        options(pure, nomem, nostack, preserves_flags));
                }
            }
        }
        black_box(sums);
    }
}

#[cfg(not(target_arch = "x86_64"))]
use portable::{best_float, best_int8};

/// Loops that the compiler makes of plain Rust.
mod portable {
    use std::hint::black_box;

    use super::Peak;

    /// Sums that are kept at once.
    const SUMS: usize = 64;

    pub const INT8: Peak = Peak { name: "portable i8 products", macs: SUMS as u64, run: int8 };
    pub const FLOAT: Peak = Peak { name: "portable f32 products", macs: SUMS as u64, run: float };

    #[cfg(not(target_arch = "x86_64"))]
    pub fn best_int8() -> Peak {
        INT8
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn best_float() -> Peak {
        FLOAT
    }

    fn int8(rounds: u64) {
        let (mut a, b) = ([3i8; SUMS], black_box([-5i8; SUMS]));
        let mut sums = [0i32; SUMS];
        for _ in 0..rounds {
            a = black_box(a);
            for ((sum, &a), &b) in sums.iter_mut().zip(&a).zip(&b) {
                *sum = sum.wrapping_add(i32::from(a) * i32::from(b));
            }
        }
        black_box(sums);
    }

    fn float(rounds: u64) {
        let (a, b) = (black_box([1.5f32; SUMS]), black_box([0.5f32; SUMS]));
        let mut sums = [0f32; SUMS];
        for _ in 0..rounds {
            for ((sum, a), b) in sums.iter_mut().zip(&a).zip(&b) {
                *sum += a * b;
            }
        }
        black_box(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_run_on_one_thread_and_two() {
        for peak in [Peak::of(Precision::Int8), Peak::of(Precision::F32), portable::INT8, portable::FLOAT] {
            for threads in [1, 2] {
                let rates = peak.measure(threads, Duration::from_millis(1), 3);
                assert!(
                    rates.len() == 3 && rates.iter().all(|&r| r > 1e6 && r.is_finite()),
                    "{}: {rates:?}",
                    peak.name
                );
            }
        }
    }
}
