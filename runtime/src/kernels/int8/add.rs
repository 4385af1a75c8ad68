//! Sums of two values: plain, and with one of them times a gate.

use super::fixed::Scales;
use super::operand::{BLOCK, Last};
use super::share::shared;
use super::{Operand, Output};
use crate::kernels::Kernels;
use crate::kernels::vectors::{self, Work};
use crate::workers::Workers;

/// `out = a + b`, rescaled by `first` and `second`. An operand as long as the output may be in place; a shorter one is a
/// single position that is added to every position.
pub fn add(kernels: Kernels, workers: &dyn Workers, a: &Operand, b: &Operand, scales: Scales, out: &mut Output) {
    let channels = a.len(out).min(b.len(out));
    // Sums of values of one shape have no positions to keep together.
    let unit = if channels == out.len() { 1 } else { channels };
    shared(workers, [a, b], unit, out, &|[a, b], out| vectors::run(kernels, Add { a, b, scales, out }));
}

struct Add<'a, 'o> {
    a: Operand<'a>,
    b: Operand<'a>,
    scales: Scales,
    out: &'a mut Output<'o>,
}

impl Work for Add<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let shift = self.scales.shift;
        match self.out.short(shift, self.scales.bound(1 << 15, 1 << 15)) {
            Some(short) => self.run_with(short),
            None => {
                let long = self.out.long(shift);
                self.run_with(long);
            }
        }
    }
}

impl Add<'_, '_> {
    #[inline(always)]
    fn run_with(self, last: impl Last) {
        let Self { a, b, scales, out } = self;
        let len = out.len();
        let (a_len, b_len) = (a.len(out), b.len(out));
        let channels = a_len.min(b_len).max(1);
        let (mut x, mut y) = ([0; BLOCK], [0; BLOCK]);
        for start in (0..len).step_by(channels) {
            let (a_start, b_start) = (if a_len == len { start } else { 0 }, if b_len == len { start } else { 0 });
            for c in (0..channels).step_by(BLOCK) {
                let count = BLOCK.min(channels - c);
                let (x, y) = (&mut x[..count], &mut y[..count]);
                a.read(a_start + c, out, x);
                b.read(b_start + c, out, y);
                for (x, &y) in x.iter_mut().zip(&*y) {
                    *x = last.apply(scales.exact((*x).into(), y.into()));
                }
                out.write(start + c, x);
            }
        }
    }
}

/// `out = x * g + r` with a gate for each channel: `first` rescales the product, `second` the residual. `x` or `r` may be
/// in place. The product is at most `2^30` in magnitude.
pub fn gate(kernels: Kernels, workers: &dyn Workers, [x, g, r]: [&Operand; 3], scales: Scales, out: &mut Output) {
    let channels = g.len(out);
    shared(workers, [x, r], channels, out, &|[x, r], out| vectors::run(kernels, Gate { x, g, r, scales, out }));
}

struct Gate<'a, 'o> {
    x: Operand<'a>,
    g: &'a Operand<'a>,
    r: Operand<'a>,
    scales: Scales,
    out: &'a mut Output<'o>,
}

impl Work for Gate<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let shift = self.scales.shift;
        match self.out.short(shift, self.scales.bound(1 << 30, 1 << 15)) {
            Some(short) => self.run_with(short),
            None => {
                let long = self.out.long(shift);
                self.run_with(long);
            }
        }
    }
}

impl Gate<'_, '_> {
    #[inline(always)]
    fn run_with(self, last: impl Last) {
        let Self { x, g, r, scales, out } = self;
        let channels = g.len(out).max(1);
        let (mut numbers, mut gates, mut residual) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        for start in (0..out.len()).step_by(channels) {
            for c in (0..channels).step_by(BLOCK) {
                let count = BLOCK.min(channels - c);
                let (numbers, gates, residual) = (&mut numbers[..count], &mut gates[..count], &mut residual[..count]);
                x.read(start + c, out, numbers);
                g.read(c, out, gates);
                r.read(start + c, out, residual);
                for ((x, &g), &r) in numbers.iter_mut().zip(&*gates).zip(&*residual) {
                    *x = last.apply(scales.exact(i32::from(*x) * i32::from(g), r.into()));
                }
                out.write(start + c, numbers);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, Value, by_all, fixed_point};
    use super::*;

    /// Random scales, and the factors that they stand for.
    fn scales(random: &mut Random, low: f64, high: f64) -> (Scales, [f64; 2]) {
        let factors = [random.scale(low, high), random.scale(1e-3, 30.0)];
        let (m, shift) = fixed_point(&factors, 31);
        (Scales { first: m[0], second: m[1], shift }, factors)
    }

    /// Half a step, and half of the multipliers' last bit.
    fn bound(a: f64, b: f64, scales: Scales) -> f64 {
        0.5 + (a.abs() + b.abs()) * 0.5 / 2f64.powi(scales.shift as i32) + 1e-9
    }

    #[test]
    fn sums_agree_with_doubles() {
        let mut random = Random(6);
        for round in 0..300 {
            let (positions, channels) = (random.size(1, 20), random.size(1, 20));
            let len = positions * channels;
            let (a_len, b_len) = [(len, len), (len, channels), (channels, len)][round % 3];
            let (a, b) = (Value::random(&mut random, a_len), Value::random(&mut random, b_len));
            let (scales, [fa, fb]) = scales(&mut random, 1e-3, 30.0);
            let mut out = Value::room(&mut random, len);
            by_all(&mut out, |kernels, workers, out| add(kernels, workers, &a.operand(), &b.operand(), scales, out));
            let (a, b) = (a.numbers(), b.numbers());
            let pairs: Vec<_> = (0..len).map(|i| (a[i % a_len], b[i % b_len])).collect();
            let expected: Vec<_> = pairs.iter().map(|(a, b)| a * fa + b * fb).collect();
            out.assert_near(&expected, |i| bound(pairs[i].0, pairs[i].1, scales));
        }
    }

    #[test]
    fn gates_agree_with_doubles() {
        let mut random = Random(7);
        for _ in 0..300 {
            let (positions, channels) = (random.size(1, 20), random.size(1, 20));
            let len = positions * channels;
            let [x, r] = [(); 2].map(|()| Value::random(&mut random, len));
            let g = Value::random(&mut random, channels);
            let (scales, [fx, fr]) = scales(&mut random, 1e-7, 1e-3);
            let mut out = Value::room(&mut random, len);
            by_all(&mut out, |kernels, workers, out| {
                gate(kernels, workers, [&x.operand(), &g.operand(), &r.operand()], scales, out)
            });
            let (x, g, r) = (x.numbers(), g.numbers(), r.numbers());
            let products: Vec<_> = x.iter().enumerate().map(|(i, x)| x * g[i % channels]).collect();
            let expected: Vec<_> = products.iter().zip(&r).map(|(p, r)| p * fx + r * fr).collect();
            out.assert_near(&expected, |i| bound(products[i], r[i], scales));
        }
    }

    #[test]
    fn in_place_equals_separate() {
        let mut random = Random(8);
        for round in 0..200 {
            let (positions, channels) = (random.size(1, 10), random.size(1, 10));
            let len = positions * channels;
            let a = Value::random(&mut random, len);
            let b_len = if round % 2 == 0 { len } else { channels };
            let (b, g) = (Value::random(&mut random, b_len), Value::random(&mut random, channels));
            let r = Value::random(&mut random, len);
            let (scales, _) = scales(&mut random, 1e-6, 1.0);
            let mut room = a.reused(&mut random);
            let mut separate = room.empty();
            by_all(&mut separate, |kernels, workers, out| {
                add(kernels, workers, &a.operand(), &b.operand(), scales, out)
            });
            by_all(&mut room, |kernels, workers, out| add(kernels, workers, &a.in_place(), &b.operand(), scales, out));
            assert_eq!(room, separate);
            let mut room = a.reused(&mut random);
            let mut separate = room.empty();
            by_all(&mut separate, |kernels, workers, out| {
                add(kernels, workers, &b.operand(), &a.operand(), scales, out)
            });
            by_all(&mut room, |kernels, workers, out| add(kernels, workers, &b.operand(), &a.in_place(), scales, out));
            assert_eq!(room, separate);
            let mut room = a.reused(&mut random);
            let mut separate = room.empty();
            by_all(&mut separate, |kernels, workers, out| {
                gate(kernels, workers, [&a.operand(), &g.operand(), &r.operand()], scales, out)
            });
            by_all(&mut room, |kernels, workers, out| {
                gate(kernels, workers, [&a.in_place(), &g.operand(), &r.operand()], scales, out)
            });
            assert_eq!(room, separate);
            let mut room = r.reused(&mut random);
            let mut separate = room.empty();
            by_all(&mut separate, |kernels, workers, out| {
                gate(kernels, workers, [&a.operand(), &g.operand(), &r.operand()], scales, out)
            });
            by_all(&mut room, |kernels, workers, out| {
                gate(kernels, workers, [&a.operand(), &g.operand(), &r.in_place()], scales, out)
            });
            assert_eq!(room, separate);
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let wide = |q| Value::new([q], 0, 16);
        let operands = [wide(-32768), wide(32767), Value::new([-128], 127, 8), Value::new([127], -128, 8)];
        for shift in [1, 30, 62] {
            let scales = Scales { first: i32::MAX, second: i32::MAX, shift };
            let factor = f64::from(i32::MAX) / 2f64.powi(shift as i32);
            for (a, b) in operands.iter().flat_map(|a| operands.iter().map(move |b| (a, b))) {
                let (x, y) = (a.numbers()[0], b.numbers()[0]);
                for mut out in [wide(0), Value::new([0], -128, 8)] {
                    by_all(&mut out, |kernels, workers, out| {
                        add(kernels, workers, &a.operand(), &b.operand(), scales, out)
                    });
                    out.assert_near(&[(x + y) * factor], |_| 0.5);
                    by_all(&mut out, |kernels, workers, out| {
                        gate(kernels, workers, [&a.operand(), &b.operand(), &a.operand()], scales, out)
                    });
                    out.assert_near(&[(x * y + x) * factor], |_| 0.5);
                }
            }
        }
    }
}
