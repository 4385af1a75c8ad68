//! What elementwise kernels read and write: 8- or 16-bit integers with a zero point, possibly in the same place.
//!
//! They go through blocks of 16-bit numbers, so that the type is looked at once a block and loops over it become vectors.

use core::ops::Range;

use super::Int;
use super::fixed::{SHORT, round_shift, round_shift_short};

/// Numbers of a block: many where vectors are long, few where the stack is small.
pub const BLOCK: usize = if cfg!(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
)) {
    256
} else {
    32
};

/// Integers that are read.
#[derive(Clone, Copy, Debug)]
pub enum Ints<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    /// The numbers lie in the output, which each element is read from before it is written.
    InPlace,
}

/// Integers that are read, with what they mean.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    pub ints: Ints<'a>,
    /// Integer that stands for zero; 0 for 16-bit integers.
    pub zero: i32,
    /// Bits that every number fits: 8 for 8-bit integers, else `9..=16`.
    pub bits: u8,
}

impl<'a> Operand<'a> {
    /// Reads numbers, from the `at`-th on: at most 255 in magnitude with 8 bits, at most 32768 with 16.
    #[inline(always)]
    pub fn read(&self, at: usize, out: &Output, numbers: &mut [i16]) {
        self.read_from(at, out, self.zero, numbers);
    }

    /// Reads integers as they are stored, between `-2^(bits-1)` and `2^(bits-1) - 1`.
    #[inline(always)]
    pub fn read_raw(&self, at: usize, out: &Output, stored: &mut [i16]) {
        self.read_from(at, out, 0, stored);
    }

    // Once where flash is small; into the loops that are compiled for wide registers.
    #[cfg_attr(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")), inline(always))]
    #[cfg_attr(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))), inline(never))]
    fn read_from(&self, at: usize, out: &Output, zero: i32, numbers: &mut [i16]) {
        let range = at..at + numbers.len();
        match (self.ints, &out.ints) {
            (Ints::I8(x), _) => centre(&x[range], zero, numbers),
            (Ints::I16(x), _) => centre(&x[range], zero, numbers),
            (Ints::InPlace, IntsMut::I8(x)) => centre(&x[range], zero, numbers),
            (Ints::InPlace, IntsMut::I16(x)) => centre(&x[range], zero, numbers),
        }
    }

    /// Some of the numbers.
    pub fn part(&self, range: Range<usize>) -> Self {
        let ints = match self.ints {
            Ints::I8(x) => Ints::I8(&x[range]),
            Ints::I16(x) => Ints::I16(&x[range]),
            Ints::InPlace => Ints::InPlace,
        };
        Self { ints, ..*self }
    }

    /// Number of integers.
    pub fn len(&self, out: &Output) -> usize {
        match self.ints {
            Ints::I8(x) => x.len(),
            Ints::I16(x) => x.len(),
            Ints::InPlace => out.len(),
        }
    }
}

/// Takes the zero point off: 16 bits hold the result, since only 8-bit integers have one.
#[inline(always)]
pub fn centre<T: Int>(stored: &[T], zero: i32, numbers: &mut [i16]) {
    for (number, &x) in numbers.iter_mut().zip(stored) {
        *number = (x.into() - zero) as i16;
    }
}

/// Integers that are written.
#[derive(Debug)]
pub enum IntsMut<'a> {
    I8(&'a mut [i8]),
    I16(&'a mut [i16]),
}

/// Integers that are written, with what they mean.
#[derive(Debug)]
pub struct Output<'a> {
    pub ints: IntsMut<'a>,
    /// Integer that stands for zero; 0 for 16-bit integers.
    pub zero: i32,
    /// Bits that every number is clamped to: 8 for 8-bit integers, else `9..=16`.
    pub bits: u8,
}

impl Output<'_> {
    /// How results become stored integers; asked once an operator.
    #[inline(never)]
    pub fn store(&self) -> Store {
        let limit = 1i32 << (self.bits - 1);
        Store { zero: self.zero, low: -limit, high: limit - 1 }
    }

    /// How exact results become stored integers, `shift` bits being dropped.
    #[inline(always)]
    pub fn long(&self, shift: u32) -> Long {
        Long(self.store(), shift)
    }

    /// The same for results of at most `bound` in magnitude, below `2^62 + 2^61`, if it is faster for them and right.
    #[inline(always)]
    pub fn short(&self, shift: u32, bound: u64) -> Option<Short> {
        let short = SHORT && (bound + (1 << (shift - 1))) >> shift < 1 << 30;
        short.then(|| Short(self.store(), shift))
    }

    /// Writes what [`Store::apply`] made of results, from the `at`-th number on.
    #[cfg_attr(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")), inline(always))]
    #[cfg_attr(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))), inline(never))]
    pub fn write(&mut self, at: usize, stored: &[i16]) {
        let range = at..at + stored.len();
        match &mut self.ints {
            IntsMut::I8(out) => {
                for (out, &y) in out[range].iter_mut().zip(stored) {
                    *out = y as i8;
                }
            }
            IntsMut::I16(out) => out[range].copy_from_slice(stored),
        }
    }

    /// Number of integers.
    pub fn len(&self) -> usize {
        match &self.ints {
            IntsMut::I8(out) => out.len(),
            IntsMut::I16(out) => out.len(),
        }
    }
}

/// The last step of every operator: adds the zero point and clamps to the bits.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    zero: i32,
    low: i32,
    high: i32,
}

impl Store {
    /// What is stored for `y`, below `2^63 - 2^8` in magnitude.
    #[inline(always)]
    pub fn apply(self, y: i64) -> i16 {
        (y + i64::from(self.zero)).clamp(self.low.into(), self.high.into()) as i16
    }

    /// What is stored for `y`, below `2^31 - 2^8` in magnitude.
    #[inline(always)]
    pub fn apply_short(self, y: i32) -> i16 {
        (y + self.zero).clamp(self.low, self.high) as i16
    }
}

/// From exact results to what is stored: bits dropped with rounding, then the last step.
pub trait Last: Copy {
    fn apply(self, exact: i64) -> i16;
}

/// Of any result.
#[derive(Clone, Copy, Debug)]
pub struct Long(Store, u32);

impl Last for Long {
    #[inline(always)]
    fn apply(self, exact: i64) -> i16 {
        self.0.apply(round_shift(exact, self.1))
    }
}

/// Of results that have 31 bits without those that are dropped.
#[derive(Clone, Copy, Debug)]
pub struct Short(Store, u32);

impl Last for Short {
    #[inline(always)]
    fn apply(self, exact: i64) -> i16 {
        self.0.apply_short(round_shift_short(exact, self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Value;

    #[test]
    fn results_are_clamped_to_their_bits() {
        for (bits, zero, low, high) in
            [(8, -128, -128, 127), (8, 127, -128, 127), (9, 0, -256, 255), (16, 0, -32768, 32767)]
        {
            let mut value = Value::new([0; 4], zero, bits);
            let mut out = value.output();
            let store = out.store();
            out.write(0, &[1i64 << 62, -(1 << 62), 0, 1 - i64::from(zero)].map(|y| store.apply(y)));
            assert_eq!(value.stored(), [high, low, zero, 1]);
        }
    }
}
