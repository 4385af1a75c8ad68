//! What elementwise kernels read and write: 8- or 16-bit integers with a zero point, possibly in the same place.

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

impl Operand<'_> {
    /// The `i`-th number: at most 255 in magnitude with 8 bits, at most 32768 with 16.
    pub fn at(&self, i: usize, out: &Output) -> i32 {
        self.raw(i, out) - self.zero
    }

    /// The `i`-th integer as it is stored, between `-2^(bits-1)` and `2^(bits-1) - 1`.
    pub fn raw(&self, i: usize, out: &Output) -> i32 {
        match self.ints {
            Ints::I8(x) => x[i].into(),
            Ints::I16(x) => x[i].into(),
            Ints::InPlace => out.raw(i),
        }
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
    /// Stores `y`, below `2^63 - 2^8` in magnitude, as the `i`-th number: adds the zero point and clamps to the bits.
    pub fn set(&mut self, i: usize, y: i64) {
        let limit = 1i64 << (self.bits - 1);
        let stored = (y + i64::from(self.zero)).clamp(-limit, limit - 1);
        match &mut self.ints {
            IntsMut::I8(out) => out[i] = stored as i8,
            IntsMut::I16(out) => out[i] = stored as i16,
        }
    }

    /// The `i`-th integer as it is stored.
    pub fn raw(&self, i: usize) -> i32 {
        match &self.ints {
            IntsMut::I8(out) => out[i].into(),
            IntsMut::I16(out) => out[i].into(),
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
            for (i, y) in [1i64 << 62, -(1 << 62), 0, 1 - i64::from(zero)].into_iter().enumerate() {
                out.set(i, y);
            }
            assert_eq!(value.stored(), [high, low, zero, 1]);
        }
    }
}
