//! Loops that the compiler makes of plain Rust.

use std::hint::black_box;

use super::{Peak, Products};

/// Sums that are kept at once.
const SUMS: usize = 64;

/// The loop for products of a kind.
pub fn peak(products: Products) -> Peak {
    let (name, run): (_, fn(u64)) = match products {
        Products::Bytes => ("portable i8 products", bytes),
        Products::Words => ("portable i16 products", words),
        Products::Floats => ("portable f32 products", floats),
    };
    Peak { name, macs: SUMS as u64, run }
}

fn bytes(rounds: u64) {
    let mut factors = [[3i8; SUMS], [-5; SUMS]];
    let mut sums = [0i32; SUMS];
    for _ in 0..rounds {
        // Products that do not change would be made once.
        factors = black_box(factors);
        for (sum, (&a, &b)) in sums.iter_mut().zip(factors[0].iter().zip(&factors[1])) {
            *sum = sum.wrapping_add(i32::from(a) * i32::from(b));
        }
    }
    black_box(sums);
}

fn words(rounds: u64) {
    let mut factors = [[3i16; SUMS], [-5; SUMS]];
    let mut sums = [0i32; SUMS];
    for _ in 0..rounds {
        factors = black_box(factors);
        for (sum, (&a, &b)) in sums.iter_mut().zip(factors[0].iter().zip(&factors[1])) {
            *sum = sum.wrapping_add(i32::from(a) * i32::from(b));
        }
    }
    black_box(sums);
}

fn floats(rounds: u64) {
    let mut factors = [[1.5f32; SUMS], [0.5; SUMS]];
    let mut sums = [0f32; SUMS];
    for _ in 0..rounds {
        factors = black_box(factors);
        for (sum, (a, b)) in sums.iter_mut().zip(factors[0].iter().zip(&factors[1])) {
            *sum += a * b;
        }
    }
    black_box(sums);
}
