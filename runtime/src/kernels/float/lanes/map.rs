//! Functions of every number, shared among workers.

use super::curve::apply;
use super::{Lanes, Task, run};
use crate::format::Function;
use crate::kernels::isa::Kernels;
use crate::workers::Workers;

/// Numbers that are worth another worker.
const WORTH: usize = if cfg!(test) { 10 } else { 4096 };

/// `out = f(x)`; `x` may be in place. For kernels other than the portable ones.
pub fn map(kernels: Kernels, workers: &dyn Workers, x: Option<&[f32]>, f: Function, out: &mut [f32]) {
    share(kernels, workers, x, f, Factor::None, out);
}

/// `out = f(a) * b`; one of the two may be in place. For kernels other than the portable ones.
pub fn mul(
    kernels: Kernels,
    workers: &dyn Workers,
    a: Option<&[f32]>,
    f: Function,
    b: Option<&[f32]>,
    out: &mut [f32],
) {
    share(kernels, workers, a, f, b.map_or(Factor::InPlace, Factor::Given), out);
}

/// What the function's value is multiplied by.
#[derive(Clone, Copy)]
enum Factor<'a> {
    None,
    Given(&'a [f32]),
    InPlace,
}

/// Where the numbers of all parts lie.
struct Places {
    x: *const f32,
    factor: Option<*const f32>,
    out: *mut f32,
}

// SAFETY: every worker reads and writes the numbers of its own part alone.
unsafe impl Sync for Places {}

fn share(kernels: Kernels, workers: &dyn Workers, x: Option<&[f32]>, f: Function, factor: Factor, out: &mut [f32]) {
    let len = out.len();
    let place = out.as_mut_ptr();
    let given = |x: &[f32]| {
        assert!(x.len() >= len);
        x.as_ptr()
    };
    let places = &Places {
        x: x.map_or(place.cast_const(), given),
        factor: match factor {
            Factor::None => None,
            Factor::Given(b) => Some(given(b)),
            Factor::InPlace => Some(place.cast_const()),
        },
        out: place,
    };
    let parts = workers.count().min(len / WORTH).max(1);
    workers.run(parts, &|part| {
        let (from, to) = (len * part / parts, len * (part + 1) / parts);
        // SAFETY: all places hold `len` numbers, and parts are apart.
        unsafe {
            let factor = places.factor.map(|b| b.add(from));
            let part = Part { x: places.x.add(from), f, factor, out: places.out.add(from), len: to - from };
            run(kernels, &part);
        }
    });
}

/// `out = f(x) * factor`. Every pointer has `len` numbers; those read may be those written.
struct Part {
    x: *const f32,
    f: Function,
    factor: Option<*const f32>,
    out: *mut f32,
    len: usize,
}

impl Task for Part {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        // Each function gets a loop of its own: the compiler sees which one it is.
        // SAFETY: promised by the caller.
        unsafe {
            match self.f {
                Function::Identity => self.each::<L>(Function::Identity),
                Function::Relu => self.each::<L>(Function::Relu),
                Function::Silu => self.each::<L>(Function::Silu),
                Function::Gelu => self.each::<L>(Function::Gelu),
                Function::GeluTanh => self.each::<L>(Function::GeluTanh),
                Function::Tanh => self.each::<L>(Function::Tanh),
                Function::Sigmoid => self.each::<L>(Function::Sigmoid),
            }
        }
    }
}

impl Part {
    /// # Safety
    /// As for the task.
    #[inline(always)]
    unsafe fn each<L: Lanes>(&self, f: Function) {
        // SAFETY: promised by the caller.
        unsafe {
            // One loop for whole registers and the last: there is a copy for every function.
            for i in (0..self.len).step_by(L::COUNT) {
                let count = self.len - i;
                let load = |from: *const f32| if count < L::COUNT { L::load_some(from, count) } else { L::load(from) };
                let mut y = apply(f, load(self.x.add(i)));
                if let Some(b) = self.factor {
                    y = y.times(load(b.add(i)));
                }
                if count < L::COUNT { y.store_some(self.out.add(i), count) } else { y.store(self.out.add(i)) }
            }
        }
    }
}
