//! Elementwise operators shared among workers.
#![allow(unsafe_code)]

use super::{IntsMut, Operand, Output};
use crate::workers::Workers;

/// Numbers that are worth another worker.
const WORTH: usize = if cfg!(test) { 16 } else { 100_000 };

/// Whether there are targets' vectors, beside which several cores are worth it. Elsewhere flash is small, and a core alone.
const SHARES: bool = cfg!(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
));

/// Results of any worker.
#[derive(Clone, Copy)]
enum Place {
    I8(*mut i8),
    I16(*mut i16),
}

// SAFETY: workers write through it only their own parts, see `shared`.
unsafe impl Sync for Place {}

/// Cuts the result, at multiples of `unit`, into parts for the workers. Operands as long as the result are cut with it;
/// shorter ones are whole in every part.
pub fn shared<const N: usize>(
    workers: &dyn Workers,
    operands: [&Operand; N],
    unit: usize,
    out: &mut Output,
    work: &(dyn Fn([Operand; N], &mut Output) + Sync),
) {
    let (len, unit, zero, bits) = (out.len(), unit.max(1), out.zero, out.bits);
    let units = len.div_ceil(unit);
    let parts = workers.count().min(len / WORTH).min(units).max(1);
    if !SHARES || parts == 1 {
        return work(operands.map(|x| *x), out);
    }
    let whole = operands.map(|x| x.len(out) != len);
    let place = &match &mut out.ints {
        IntsMut::I8(out) => Place::I8(out.as_mut_ptr()),
        IntsMut::I16(out) => Place::I16(out.as_mut_ptr()),
    };
    workers.run(parts, &|i| {
        let end = |i: usize| len.min(units * i / parts * unit);
        let (start, end) = (end(i), end(i + 1));
        // SAFETY: parts lie apart, within the result, which is borrowed until all are done.
        let ints = unsafe {
            match *place {
                Place::I8(out) => IntsMut::I8(core::slice::from_raw_parts_mut(out.add(start), end - start)),
                Place::I16(out) => IntsMut::I16(core::slice::from_raw_parts_mut(out.add(start), end - start)),
            }
        };
        let mut index = 0..N;
        let operands = operands.map(|x| match index.next().is_some_and(|i| whole[i]) {
            true => *x,
            false => x.part(start..end),
        });
        work(operands, &mut Output { ints, zero, bits });
    });
}
