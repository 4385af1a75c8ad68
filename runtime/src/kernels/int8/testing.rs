//! Random values for tests, and the fixed-point scales that a quantizer would give them.

use super::{Ints, IntsMut, Operand, Output};
use crate::kernels::Kernels;
use crate::workers::{Alone, Workers};

/// Three parts in the wrong order.
pub struct Backwards;

// SAFETY: each part once.
#[allow(unsafe_code)]
unsafe impl Workers for Backwards {
    fn count(&self) -> usize {
        3
    }
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().for_each(work);
    }
}

/// A small deterministic generator (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// An integer from `low` to `high`, both included.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + (self.next() % (i64::from(high) - i64::from(low) + 1) as u64) as i32
    }

    pub fn size(&mut self, low: usize, high: usize) -> usize {
        self.between(low as i32, high as i32) as usize
    }

    /// A number between `low` and `high`, evenly spread over the orders of magnitude.
    pub fn scale(&mut self, low: f64, high: f64) -> f64 {
        let t = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        low * (high / low).powf(t)
    }

    /// 8 bits, or 9 to 16.
    pub fn bits(&mut self) -> u8 {
        if self.next().is_multiple_of(2) { 8 } else { self.between(9, 16) as u8 }
    }

    /// A zero point that these bits may have.
    pub fn zero(&mut self, bits: u8) -> i32 {
        if bits == 8 { self.between(-128, 127) } else { 0 }
    }
}

/// Runs an operator by the portable kernels, and asserts that all others give the same, for any number of workers.
pub fn by_all(out: &mut Value, run: impl Fn(Kernels, &dyn Workers, &mut Output)) {
    let before = out.clone();
    run(Kernels::PORTABLE, &Alone, &mut out.output());
    for kernels in Kernels::available() {
        for workers in [&Alone as &dyn Workers, &Backwards] {
            let mut fast = before.clone();
            run(kernels, workers, &mut fast.output());
            assert_eq!(fast, *out, "{kernels:?}");
        }
    }
}

/// Integers of either width.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    narrow: Vec<i8>,
    wide: Vec<i16>,
    pub zero: i32,
    pub bits: u8,
}

impl Value {
    pub fn new(stored: impl IntoIterator<Item = i32>, zero: i32, bits: u8) -> Self {
        let stored = stored.into_iter();
        let (mut narrow, mut wide) = (vec![], vec![]);
        if bits == 8 {
            narrow = stored.map(|q| q.try_into().unwrap()).collect();
        } else {
            wide = stored.map(|q| q.try_into().unwrap()).collect();
        }
        Self { narrow, wide, zero, bits }
    }

    /// Numbers over the whole range of random bits.
    pub fn random(random: &mut Random, len: usize) -> Self {
        let bits = random.bits();
        Self::random_of(random, len, bits)
    }

    pub fn random_of(random: &mut Random, len: usize, bits: u8) -> Self {
        let limit = 1 << (bits - 1);
        // Smaller ranges too, so that results are not always saturated.
        let range = (limit >> random.between(0, 6)).max(1);
        let stored: Vec<_> = (0..len).map(|_| random.between(-range, range - 1)).collect();
        Self::new(stored, random.zero(bits), bits)
    }

    /// Room for results of random bits.
    pub fn room(random: &mut Random, len: usize) -> Self {
        let bits = random.bits();
        Self::new(vec![0; len], random.zero(bits), bits)
    }

    /// The same bytes as room for results of this type.
    pub fn reused(&self, random: &mut Random) -> Self {
        let bits = if self.bits == 8 { 8 } else { random.between(9, 16) as u8 };
        Self { zero: random.zero(bits), bits, ..self.clone() }
    }

    /// Zeros with the meaning of `self`.
    pub fn empty(&self) -> Self {
        Self::new(vec![0; self.len()], self.zero, self.bits)
    }

    pub fn len(&self) -> usize {
        self.narrow.len() + self.wide.len()
    }

    pub fn operand(&self) -> Operand<'_> {
        let ints = if self.bits == 8 { Ints::I8(&self.narrow) } else { Ints::I16(&self.wide) };
        Operand { ints, zero: self.zero, bits: self.bits }
    }

    /// The operand whose bytes are those of the output.
    pub fn in_place(&self) -> Operand<'static> {
        Operand { ints: Ints::InPlace, zero: self.zero, bits: self.bits }
    }

    pub fn output(&mut self) -> Output<'_> {
        let ints = if self.bits == 8 { IntsMut::I8(&mut self.narrow) } else { IntsMut::I16(&mut self.wide) };
        Output { ints, zero: self.zero, bits: self.bits }
    }

    pub fn stored(&self) -> Vec<i32> {
        let narrow = self.narrow.iter().map(|&q| q.into());
        narrow.chain(self.wide.iter().map(|&q| q.into())).collect()
    }

    /// Stored integers minus the zero point.
    pub fn numbers(&self) -> Vec<f64> {
        self.stored().iter().map(|q| f64::from(q - self.zero)).collect()
    }

    /// Asserts that every stored integer is the nearest to `expected` (in steps from the zero point), within `bound`
    /// steps for each.
    pub fn assert_near(&self, expected: &[f64], bound: impl Fn(usize) -> f64) {
        assert_eq!(self.len(), expected.len());
        let limit = f64::from(1 << (self.bits - 1));
        for (i, (&y, &expected)) in self.stored().iter().zip(expected).enumerate() {
            let expected = (expected + f64::from(self.zero)).clamp(-limit, limit - 1.0);
            let (error, bound) = ((f64::from(y) - expected).abs(), bound(i));
            assert!(error <= bound, "number {i}: {y} for {expected}, beyond {bound}");
        }
    }
}

/// Multipliers below `2^width` and the shift, at most 62, that stand for `factors` best.
pub fn fixed_point(factors: &[f64], width: i32) -> (Vec<i32>, u32) {
    let largest = factors.iter().fold(0.0f64, |a, &b| a.max(b));
    let shift = (1..=62).rev().find(|&s| (largest * 2f64.powi(s)).round() < 2f64.powi(width)).unwrap();
    (factors.iter().map(|f| (f * 2f64.powi(shift)).round() as i32).collect(), shift as u32)
}
