//! Functions of one number by table: activations alone, and as one factor of a product.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::fixed::Scale;
use super::operand::{BLOCK, Last};
use super::share::shared;
use super::{Operand, Output};
use crate::kernels::Kernels;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
use crate::kernels::isa::Isa;
use crate::kernels::vectors::{self, Work};
use crate::workers::Workers;

/// A function of the stored integer.
///
/// For 8-bit inputs 256 entries, one for each integer from -128 on; for inputs of 9 to 16 bits 257 entries at equal
/// distances over the whole range of the bits, with linear interpolation. The input's zero point is part of the function.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    pub entries: &'a [i16],
    /// Entries are in `2^-exponent` of the output's unit, `0..=8`.
    pub exponent: u32,
}

impl Table<'_> {
    /// The function of a block of integers of so many bits, in `2^-8` of an entry's unit; at most `2^23` in magnitude.
    #[inline(always)]
    fn read(&self, kernels: Kernels, stored: &[i16], bits: u8, values: &mut [i32]) {
        if bits == 8 {
            for (value, &x) in values.iter_mut().zip(stored) {
                *value = i32::from(self.entries[(i32::from(x) + 128) as usize]) * 256;
            }
            return;
        }
        // Positions of 16 bits from the first entry on: 8 of the segment, 8 within it.
        let position = |x: i16| ((i32::from(x) + (1 << (bits - 1))) << (16 - bits)) as u16;
        self.ends(kernels, stored, position, values);
        for (value, &x) in values.iter_mut().zip(stored) {
            let (low, high) = (i32::from(*value as i16), *value >> 16);
            *value = low * 256 + (high - low) * i32::from(position(x) & 255);
        }
    }

    /// Both ends of the segment that each integer lies in: the lower one in the lower half.
    #[inline(always)]
    fn ends(&self, kernels: Kernels, stored: &[i16], position: impl Fn(i16) -> u16, ends: &mut [i32]) {
        match kernels.0 {
            #[cfg(target_arch = "x86_64")]
            isa if isa != Isa::Portable => {
                let mut segments = [0; BLOCK];
                let segments = &mut segments[..stored.len()];
                for (segment, &x) in segments.iter_mut().zip(stored) {
                    *segment = (position(x) >> 8) as u8;
                }
                x86::ends(isa, self.entries, segments, ends);
            }
            // A table's length that the compiler knows spares both lookups their tests.
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            isa if isa != Isa::Portable => {
                let Some(entries) = self.entries.first_chunk::<257>() else { return };
                let mut segments = [0u8; BLOCK];
                for (segment, &x) in segments.iter_mut().zip(stored) {
                    *segment = (position(x) >> 8) as u8;
                }
                for (ends, &segment) in ends.iter_mut().zip(&segments) {
                    let segment = usize::from(segment);
                    let (low, high) = (entries[segment], entries[segment + 1]);
                    *ends = i32::from(low as u16) | i32::from(high) << 16;
                }
            }
            _ => {
                for (ends, &x) in ends.iter_mut().zip(stored) {
                    let segment = usize::from(position(x) >> 8);
                    let (low, high) = (self.entries[segment], self.entries[segment + 1]);
                    *ends = i32::from(low as u16) | i32::from(high) << 16;
                }
            }
        }
    }
}

/// `out = f(x)`; `x` may be in place.
pub fn lookup(kernels: Kernels, workers: &dyn Workers, x: &Operand, table: &Table, out: &mut Output) {
    shared(workers, [x], 1, out, &|[x], out| vectors::run(kernels, Lookup { kernels, x, table, out }));
}

struct Lookup<'a, 'o> {
    kernels: Kernels,
    x: Operand<'a>,
    table: &'a Table<'a>,
    out: &'a mut Output<'o>,
}

impl Work for Lookup<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { kernels, x, table, out } = self;
        let (len, store) = (out.len(), out.store());
        let (mut numbers, mut values) = ([0; BLOCK], [0; BLOCK]);
        for at in (0..len).step_by(BLOCK) {
            let count = BLOCK.min(len - at);
            let (numbers, values) = (&mut numbers[..count], &mut values[..count]);
            x.read_raw(at, out, numbers);
            table.read(kernels, numbers, x.bits, values);
            for (y, &value) in numbers.iter_mut().zip(&*values) {
                // Below 2^23, and half of the last bit.
                *y = store.apply_short((value + (1 << (7 + table.exponent))) >> (8 + table.exponent));
            }
            out.write(at, numbers);
        }
    }
}

/// `out = f(a) * b` with `f(a)` rounded to an entry's unit (the table's exponent is not read); either may be in place.
/// Both factors are at most `2^15` in magnitude, so their product is at most `2^30`.
pub fn mul(
    kernels: Kernels,
    workers: &dyn Workers,
    [a, b]: [&Operand; 2],
    table: &Table,
    scale: Scale,
    out: &mut Output,
) {
    shared(workers, [a, b], 1, out, &|[a, b], out| vectors::run(kernels, Mul { kernels, a, table, b, scale, out }));
}

struct Mul<'a, 'o> {
    kernels: Kernels,
    a: Operand<'a>,
    table: &'a Table<'a>,
    b: Operand<'a>,
    scale: Scale,
    out: &'a mut Output<'o>,
}

impl Work for Mul<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let shift = self.scale.shift;
        match self.out.short(shift, u64::from(self.scale.multiplier.unsigned_abs()) << 30) {
            Some(short) => self.run_with(short),
            None => {
                let long = self.out.long(shift);
                self.run_with(long);
            }
        }
    }
}

impl Mul<'_, '_> {
    #[inline(always)]
    fn run_with(self, last: impl Last) {
        let Self { kernels, a, table, b, scale, out } = self;
        let len = out.len();
        let (mut numbers, mut values) = ([0; BLOCK], [0; BLOCK]);
        for at in (0..len).step_by(BLOCK) {
            let count = BLOCK.min(len - at);
            let (numbers, values) = (&mut numbers[..count], &mut values[..count]);
            a.read_raw(at, out, numbers);
            table.read(kernels, numbers, a.bits, values);
            b.read(at, out, numbers);
            for (y, &value) in numbers.iter_mut().zip(&*values) {
                let product = ((value + 128) >> 8) * i32::from(*y);
                *y = last.apply(i64::from(product) * i64::from(scale.multiplier));
            }
            out.write(at, numbers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, Value, by_all, fixed_point};
    use super::*;

    fn silu(x: f64) -> f64 {
        x / (1.0 + (-x).exp())
    }

    fn at(entries: &[i16]) -> Table<'_> {
        Table { entries, exponent: 0 }
    }

    /// Entries of `f` over the inputs of `x`, one step of which is `step`, in units of `unit`.
    fn entries(x: &Value, step: f64, unit: f64, f: fn(f64) -> f64) -> Vec<i16> {
        let inputs: Vec<_> = if x.bits == 8 {
            (-128..128).map(|q| f64::from(q - x.zero)).collect()
        } else {
            let spacing = 2f64.powi(i32::from(x.bits) - 8);
            (-128..=128).map(|k| f64::from(k) * spacing).collect()
        };
        inputs.iter().map(|q| (f(q * step) / unit).round() as i16).collect()
    }

    #[test]
    fn functions_agree_with_doubles() {
        let mut random = Random(3);
        for round in 0..400 {
            let len = random.size(1, 300);
            let x = Value::random(&mut random, len);
            // Inputs up to some 10 in magnitude.
            let step = 10.0 / f64::from(1 << (x.bits - 1));
            let mut out = Value::room(&mut random, len);
            let exponent = (random.between(0, 8) as u32).min(16 - u32::from(out.bits));
            // The largest result is some 20 (inputs with a far zero point).
            let scale = 20.0 / f64::from(1 << (out.bits - 1));
            let (f, curvature): (fn(f64) -> f64, f64) = if round % 2 == 0 { (silu, 0.5) } else { (f64::tanh, 0.77) };
            let unit = scale / f64::from(1 << exponent);
            let table = entries(&x, step, unit, f);
            by_all(&mut out, |kernels, workers, out| {
                lookup(kernels, workers, &x.operand(), &Table { entries: &table, exponent }, out)
            });
            let expected: Vec<_> = x.numbers().iter().map(|q| f(q * step) / scale).collect();
            // Half a step, half a step of the entries, and the chord below an arc of the curve.
            let chord = if x.bits == 8 { 0.0 } else { (20.0f64 / 256.0).powi(2) / 8.0 * curvature };
            let bound = 0.5 + 0.5 / f64::from(1 << exponent) + chord / scale + 1e-9;
            out.assert_near(&expected, |_| bound);
        }
    }

    #[test]
    fn tables_reach_their_ends() {
        let entries: Vec<i16> = (0..257).map(|i| if i % 2 == 0 { -32768 } else { 32767 }).collect();
        for bits in 9..=16 {
            let limit = 1 << (bits - 1);
            let x = Value::new([-limit, limit - 1, 0], 0, bits);
            let mut out = Value::new([0; 3], 0, 16);
            for exponent in 0..=8 {
                by_all(&mut out, |kernels, workers, out| {
                    lookup(kernels, workers, &x.operand(), &Table { entries: &entries, exponent }, out)
                });
                // The last input lies at 255 and (2^(bits-8) - 1) / 2^(bits-8), between 32767 and -32768.
                let last = f64::from(32767 << (bits - 8)) - 65535.0 * f64::from((1 << (bits - 8)) - 1);
                let last = (last / f64::from(1 << (bits - 8)) / f64::from(1 << exponent) + 0.5).floor();
                assert_eq!(out.stored(), [-32768 >> exponent, last as i32, -32768 >> exponent], "{bits} {exponent}");
            }
        }
        let table: Vec<i16> = (0..256).map(|i| i * 128 - 16384).collect();
        let x = Value::new([-128, -1, 0, 127], 100, 8);
        let mut out = Value::new([0; 4], 0, 16);
        by_all(&mut out, |kernels, workers, out| lookup(kernels, workers, &x.operand(), &at(&table), out));
        assert_eq!(out.stored(), [-16384, -128, 0, 16256]);
    }

    #[test]
    fn products_agree_with_doubles() {
        let mut random = Random(4);
        for _ in 0..400 {
            let len = random.size(1, 300);
            let (a, b) = (Value::random(&mut random, len), Value::random(&mut random, len));
            let step = 10.0 / f64::from(1 << (a.bits - 1));
            let unit = 20.0 / 32768.0;
            let table = entries(&a, step, unit, silu);
            let mut out = Value::room(&mut random, len);
            // One unit of the factor times one step of b, in steps of the output.
            let ratio = random.scale(1e-6, 1e-2);
            let (multipliers, shift) = fixed_point(&[ratio], 31);
            let scale = Scale { multiplier: multipliers[0], shift };
            by_all(&mut out, |kernels, workers, out| {
                mul(kernels, workers, [&a.operand(), &b.operand()], &at(&table), scale, out);
            });
            let (a, b) = (a.numbers(), b.numbers());
            let expected: Vec<_> = a.iter().zip(&b).map(|(a, b)| silu(a * step) / unit * b * ratio).collect();
            // The factor is within one unit (its entries are rounded, and it is) and the chord.
            let chord = (20.0f64 / 256.0).powi(2) / 8.0 * 0.5 / unit;
            out.assert_near(&expected, |i| 0.5 + (1.0 + chord) * b[i].abs() * ratio + 1e-4);
        }
    }

    #[test]
    fn factors_round_half_up_before_the_product() {
        // Between entries -1, 0 and 1: a quarter, a half and three quarters of the way.
        let mut entries = [0; 257];
        (entries[127], entries[129]) = (-1, 1);
        let a = Value::new([-192, -128, -64, 64, 128, 192], 0, 16);
        let b = Value::new([1000; 6], 0, 16);
        let mut out = Value::new([0; 6], 0, 16);
        by_all(&mut out, |kernels, workers, out| {
            mul(
                kernels,
                workers,
                [&a.operand(), &b.operand()],
                &at(&entries),
                Scale { multiplier: 1 << 30, shift: 30 },
                out,
            )
        });
        assert_eq!(out.stored(), [-1000, 0, 0, 0, 1000, 1000]);
    }

    #[test]
    fn in_place_equals_separate() {
        let mut random = Random(5);
        for _ in 0..100 {
            let len = random.size(1, 50);
            let a = Value::random(&mut random, len);
            let b = Value::random(&mut random, len);
            let table: Vec<i16> = (0..257).map(|_| random.between(-32768, 32767) as i16).collect();
            let scale = Scale { multiplier: random.between(0, i32::MAX), shift: random.between(20, 62) as u32 };
            let mut room = a.reused(&mut random);
            let mut separate = room.empty();
            by_all(&mut separate, |kernels, workers, out| lookup(kernels, workers, &a.operand(), &at(&table), out));
            by_all(&mut room, |kernels, workers, out| lookup(kernels, workers, &a.in_place(), &at(&table), out));
            assert_eq!(room, separate);
            for a_dies in [true, false] {
                let mut room = if a_dies { &a } else { &b }.reused(&mut random);
                let mut separate = room.empty();
                by_all(&mut separate, |kernels, workers, out| {
                    mul(kernels, workers, [&a.operand(), &b.operand()], &at(&table), scale, out)
                });
                let (a, b) = if a_dies { (a.in_place(), b.operand()) } else { (a.operand(), b.in_place()) };
                by_all(&mut room, |kernels, workers, out| mul(kernels, workers, [&a, &b], &at(&table), scale, out));
                assert_eq!(room, separate);
            }
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let table = [-32768; 257];
        let a = Value::new([-32768, 32767], 0, 16);
        for b in [Value::new([-32768; 2], 0, 16), Value::new([-128; 2], 127, 8)] {
            for shift in [1, 31, 62] {
                let mut out = Value::new([0; 2], 0, 16);
                let scale = Scale { multiplier: i32::MAX, shift };
                by_all(&mut out, |kernels, workers, out| {
                    mul(kernels, workers, [&a.operand(), &b.operand()], &at(&table), scale, out)
                });
                let product = -32768 * (b.stored()[0] - b.zero);
                let expected = f64::from(product) * f64::from(i32::MAX) / 2f64.powi(shift as i32);
                out.assert_near(&[expected; 2], |_| 0.5);
            }
        }
    }
}
