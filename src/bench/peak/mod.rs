//! What the machine could do at most: the rate of the instruction that a kernel is built on, in a loop of nothing else.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::time::{Duration, Instant};

use driftlet_runtime::OpInfo;
use driftlet_runtime::format::DType;

/// What is multiplied with weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// 8-bit integers.
    Bytes,
    /// 16-bit integers.
    Words,
    /// Floats.
    Floats,
}

impl Products {
    /// What an operator multiplies.
    pub fn of(op: &OpInfo) -> Self {
        match op.inputs[0].map(|input| input.dtype) {
            Some(DType::I8 | DType::U8) => Self::Bytes,
            Some(DType::I16) => Self::Words,
            _ => Self::Floats,
        }
    }
}

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
    /// The loop of the instruction that kernels of a name use; for portable ones, the fastest that this CPU has.
    pub fn of(products: Products, kernels: &str) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(peak) = x86::peak(products, kernels) {
            return peak;
        }
        let _ = kernels;
        portable::peak(products)
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

#[cfg(test)]
mod tests {
    use super::*;
    use driftlet_runtime::Kernels;

    #[test]
    fn loops_run_on_one_thread_and_two() {
        for products in [Products::Bytes, Products::Words, Products::Floats] {
            let loops = Kernels::available().map(|kernels| Peak::of(products, kernels.name()));
            for peak in loops.chain([portable::peak(products)]) {
                for threads in [1, 2] {
                    let rates = peak.measure(threads, Duration::from_millis(1), 3);
                    let sound = |&rate: &f64| rate > 1e6 && rate.is_finite();
                    assert!(rates.len() == 3 && rates.iter().all(sound), "{}: {rates:?}", peak.name);
                }
            }
        }
    }
}
