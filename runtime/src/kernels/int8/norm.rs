//! Normalization of groups of numbers, with a gain and a shift for each channel.

use core::ops::Range;

use super::operand::{BLOCK, Last};
use super::root::{Length, normalized};
use super::share::shared;
use super::{Normalizer, Operand, Output};
use crate::kernels::Kernels;
use crate::kernels::vectors::{self, Work};
use crate::workers::Workers;

/// Which numbers are normalized together, and whether their mean is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The channels of one position, by their root mean square.
    Rms,
    /// The channels of one position, by mean and standard deviation.
    Layer,
    /// So many groups of neighbouring channels, each over all positions, by mean and standard deviation.
    Group(usize),
}

/// Parameters of a normalization.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    pub kind: Kind,
    /// The real epsilon times `n / scale^2`, for `n` numbers in a group.
    pub epsilon: u64,
    /// One for each channel.
    pub gain: &'a [i16],
    /// One for each channel, if any.
    pub shift: Option<&'a [i16]>,
    /// Factor of the normalized number (in `2^-14`) times the gain, `0..2^17`.
    pub gain_multiplier: i32,
    /// Factor of the shift, `0..2^31`.
    pub shift_multiplier: i32,
    /// Bits dropped, `1..=62`.
    pub right: u32,
}

/// `out = normalized(x) * gain + shift`; `x` may be in place.
pub fn norm(kernels: Kernels, workers: &dyn Workers, x: &Operand, p: &Norm, out: &mut Output) {
    let channels = p.gain.len().max(1);
    match p.kind {
        Kind::Rms | Kind::Layer => shared(workers, [x], channels, out, &|[x], out| {
            vectors::run(kernels, Positions { x, p, out });
        }),
        Kind::Group(_) => vectors::run(kernels, Groups { x, p, out }),
    }
}

impl Norm<'_> {
    /// The result for a normalized number of some channel, before bits are dropped.
    #[inline(always)]
    fn exact(&self, normalized: i32, gain: i16, shift: i16) -> i64 {
        // Below 2^30 * 2^15 * 2^17. Unsigned, so that compilers see the upper half to be 0.
        let product = i64::from(normalized) * i64::from(gain) * i64::from(self.gain_multiplier as u32);
        product + i64::from(shift) * i64::from(self.shift_multiplier)
    }

    /// The most that [`Self::exact`] gives, of groups of so many numbers.
    fn bound(&self, count: usize) -> u64 {
        // At most the root of their count in 2^-14, see `Normalizer`, and rounded.
        let normalized = ((count as u64).isqrt() + 2) << 14;
        ((normalized * u64::from(self.gain_multiplier.unsigned_abs())) << 15)
            + (u64::from(self.shift_multiplier.unsigned_abs()) << 15)
    }

    /// Gains and shifts of some channels from `first` on; without a shift, zeros.
    #[inline(always)]
    fn vectors(&self, first: usize, zeros: &'static [i16]) -> [&[i16]; 2] {
        [&self.gain[first..], self.shift.map_or(zeros, |shift| &shift[first..])]
    }
}

/// Where there is no shift.
static ZEROS: [i16; BLOCK] = [0; BLOCK];

/// Norms of one position each.
struct Positions<'a, 'o> {
    x: Operand<'a>,
    p: &'a Norm<'a>,
    out: &'a mut Output<'o>,
}

impl Work for Positions<'_, '_> {
    #[inline(always)]
    fn run(self) {
        match self.out.short(self.p.right, self.p.bound(self.p.gain.len())) {
            Some(short) => self.run_with(short),
            None => {
                let long = self.out.long(self.p.right);
                self.run_with(long);
            }
        }
    }
}

impl Positions<'_, '_> {
    #[inline(always)]
    fn run_with(self, last: impl Last) {
        let Self { x, p, out } = self;
        let channels = p.gain.len().max(1);
        let length = Length::new(channels as u32);
        let mut numbers = [0; BLOCK];
        for start in (0..out.len()).step_by(channels) {
            let (mut sum, mut squares) = (0i64, 0u64);
            for c in (0..channels).step_by(BLOCK) {
                let numbers = &mut numbers[..BLOCK.min(channels - c)];
                x.read(start + c, out, numbers);
                for &x in &*numbers {
                    sum += i64::from(x);
                    squares += square(x);
                }
            }
            let normalizer = match p.kind {
                Kind::Rms => Normalizer::rms(squares, length, p.epsilon),
                Kind::Layer | Kind::Group(_) => Normalizer::centred(sum, squares, length, p.epsilon),
            };
            for c in (0..channels).step_by(BLOCK) {
                let numbers = &mut numbers[..BLOCK.min(channels - c)];
                x.read(start + c, out, numbers);
                let [gain, shift] = p.vectors(c, &ZEROS);
                for ((x, &gain), &shift) in numbers.iter_mut().zip(gain).zip(shift) {
                    *x = last.apply(p.exact(normalizer.apply((*x).into()), gain, shift));
                }
                out.write(start + c, numbers);
            }
        }
    }
}

/// At most `2^30`.
#[inline(always)]
fn square(x: i16) -> u64 {
    u64::from((i32::from(x) * i32::from(x)).unsigned_abs())
}

/// Norms of neighbouring channels over all positions: as many channels side by side as a block holds.
struct Groups<'a, 'o> {
    x: &'a Operand<'a>,
    p: &'a Norm<'a>,
    out: &'a mut Output<'o>,
}

impl Work for Groups<'_, '_> {
    #[inline(always)]
    fn run(mut self) {
        let channels = self.p.gain.len().max(1);
        let groups = if let Kind::Group(groups) = self.p.kind { groups.max(1) } else { 1 };
        let run = (channels / groups).max(1);
        let n = Length::new((self.out.len() / channels * run) as u32);
        let normalizer = |sum, squares| Normalizer::centred(sum, squares, n, self.p.epsilon);
        // Blocks of whole groups, or several blocks for one.
        let width = if run <= BLOCK { BLOCK / run * run } else { run };
        for first in (0..channels).step_by(width) {
            let end = channels.min(first + width);
            let blocks = || (first..end).step_by(BLOCK).map(|at| at..end.min(at + BLOCK));
            let mut side_by_side = SideBySide::default();
            let (mut sum, mut squares) = (0, 0);
            for block in blocks() {
                let (sums, all_squares) = self.sums(block.clone());
                for at in (0..block.len()).step_by(run) {
                    let group = at..block.len().min(at + run);
                    // What a group of several blocks has so far.
                    if run <= BLOCK {
                        (sum, squares) = (0, 0);
                    }
                    sum += sums[group.clone()].iter().sum::<i64>();
                    squares += all_squares[group.clone()].iter().sum::<u64>();
                    side_by_side.set(group, &normalizer(sum, squares));
                }
            }
            if run > BLOCK {
                side_by_side.set(0..BLOCK, &normalizer(sum, squares));
            }
            for block in blocks() {
                match self.out.short(self.p.right, self.p.bound(self.out.len() / channels * run)) {
                    Some(short) => self.write(short, block, &side_by_side),
                    None => self.write(self.out.long(self.p.right), block, &side_by_side),
                }
            }
        }
    }
}

impl Groups<'_, '_> {
    /// Sums of a block of channels over all positions, and sums of their squares.
    #[inline(always)]
    fn sums(&self, block: Range<usize>) -> ([i64; BLOCK], [u64; BLOCK]) {
        let (mut sums, mut squares, mut numbers) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        let numbers = &mut numbers[..block.len()];
        for start in (0..self.out.len()).step_by(self.p.gain.len().max(1)) {
            self.x.read(start + block.start, self.out, numbers);
            for ((sum, squares), &x) in sums.iter_mut().zip(&mut squares).zip(&*numbers) {
                *sum += i64::from(x);
                *squares += square(x);
            }
        }
        (sums, squares)
    }

    #[inline(always)]
    fn write(&mut self, last: impl Last, block: Range<usize>, normalizers: &SideBySide) {
        let (p, mut numbers) = (self.p, [0; BLOCK]);
        let numbers = &mut numbers[..block.len()];
        let [gain, shift] = p.vectors(block.start, &ZEROS);
        for start in (0..self.out.len()).step_by(p.gain.len().max(1)) {
            self.x.read(start + block.start, self.out, numbers);
            for (i, ((x, &gain), &shift)) in numbers.iter_mut().zip(gain).zip(shift).enumerate() {
                let normalized =
                    normalized((*x).into(), normalizers.mean[i], normalizers.mantissa[i], normalizers.shift[i]);
                *x = last.apply(p.exact(normalized, gain, shift));
            }
            self.out.write(start + block.start, numbers);
        }
    }
}

/// Normalizers of a block of channels, field by field.
struct SideBySide {
    mean: [i32; BLOCK],
    mantissa: [i32; BLOCK],
    shift: [u32; BLOCK],
}

impl Default for SideBySide {
    fn default() -> Self {
        Self { mean: [0; BLOCK], mantissa: [0; BLOCK], shift: [1; BLOCK] }
    }
}

impl SideBySide {
    fn set(&mut self, channels: Range<usize>, normalizer: &Normalizer) {
        self.mean[channels.clone()].fill(normalizer.mean_q14);
        self.mantissa[channels.clone()].fill(normalizer.mantissa);
        self.shift[channels].fill(normalizer.shift);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, Value, by_all, fixed_point};
    use super::*;

    /// Indices of the numbers that are normalized together with the `i`-th.
    fn group_of(i: usize, kind: Kind, len: usize, channels: usize) -> Vec<usize> {
        (0..len)
            .filter(|j| match kind {
                Kind::Rms | Kind::Layer => j / channels == i / channels,
                Kind::Group(groups) => j % channels / (channels / groups) == i % channels / (channels / groups),
            })
            .collect()
    }

    #[test]
    fn every_kind_agrees_with_doubles() {
        let mut random = Random(9);
        for round in 0..300 {
            let groups = random.size(1, 4);
            let (positions, channels) = (random.size(1, 12), groups * random.size(1, 6));
            let kind = [Kind::Rms, Kind::Layer, Kind::Group(groups)][round % 3];
            let len = positions * channels;
            let x = Value::random(&mut random, len);
            let gain: Vec<i16> = (0..channels).map(|_| random.between(-32768, 32767) as i16).collect();
            let shift: Vec<i16> = (0..channels).map(|_| random.between(-32768, 32767) as i16).collect();
            let epsilon = random.scale(1.0, 1e7) as u64;
            let mut out = Value::room(&mut random, len);
            // A normalized 1 with the largest gain becomes between a 60th and all of the range.
            let limit = f64::from(1 << (out.bits - 1));
            let gain_factor = random.scale(0.016, 1.0) * limit / 32768.0;
            let shift_factor = random.scale(1e-3, 1.0) * limit / 32768.0;
            // Bits dropped are those of the narrower multiplier.
            let (m, right) = fixed_point(&[gain_factor / 16384.0, shift_factor * 2f64.powi(-14)], 17);
            let shift_multiplier = (shift_factor * 2f64.powi(right as i32)).round();
            let with_shift = round % 2 == 0 && shift_multiplier < 2f64.powi(31);
            let p = Norm {
                kind,
                epsilon,
                gain: &gain,
                shift: with_shift.then_some(&shift),
                gain_multiplier: m[0],
                shift_multiplier: shift_multiplier as i32,
                right,
            };
            by_all(&mut out, |kernels, workers, out| norm(kernels, workers, &x.operand(), &p, out));
            let numbers = x.numbers();
            let unit = 2f64.powi(-(right as i32));
            let (mut expected, mut bounds) = (vec![], vec![]);
            for (i, &x) in numbers.iter().enumerate() {
                let members: Vec<_> = group_of(i, kind, len, channels).iter().map(|&j| numbers[j]).collect();
                let n = members.len() as f64;
                let mean = if kind == Kind::Rms { 0.0 } else { members.iter().sum::<f64>() / n };
                let spread = members.iter().map(|x| (x - mean).powi(2)).sum::<f64>() + epsilon as f64;
                let factor = (n / spread).sqrt();
                let y = (x - mean) * factor;
                let (gain, shift) = (f64::from(gain[i % channels]), f64::from(shift[i % channels]));
                let shift = if with_shift { shift } else { 0.0 };
                expected.push(y * gain * gain_factor + shift * shift_factor);
                // Of the normalized number: its last bit, the mean's last bit, the rounding of the sum of squares.
                let error = 0.5 / 16384.0 * (1.0 + factor) + y.abs() * (0.5 / spread + 2f64.powi(-29));
                let multipliers = (y.abs() * 16384.0 * gain.abs() + shift.abs()) * 0.5 * unit;
                bounds.push(0.5 + error * gain.abs() * gain_factor + multipliers + 1e-6);
            }
            out.assert_near(&expected, |i| bounds[i]);
        }
    }

    #[test]
    fn in_place_equals_separate() {
        let mut random = Random(10);
        for round in 0..200 {
            let groups = random.size(1, 4);
            let (positions, channels) = (random.size(1, 12), groups * random.size(1, 6));
            let x = Value::random(&mut random, positions * channels);
            let gain: Vec<i16> = (0..channels).map(|_| random.between(-32768, 32767) as i16).collect();
            let p = Norm {
                kind: [Kind::Rms, Kind::Layer, Kind::Group(groups)][round % 3],
                epsilon: 3,
                gain: &gain,
                shift: Some(&gain),
                gain_multiplier: random.between(0, (1 << 17) - 1),
                shift_multiplier: random.between(0, i32::MAX),
                right: random.between(30, 45) as u32,
            };
            let mut room = x.reused(&mut random);
            let mut separate = room.empty();
            by_all(&mut separate, |kernels, workers, out| norm(kernels, workers, &x.operand(), &p, out));
            by_all(&mut room, |kernels, workers, out| norm(kernels, workers, &x.in_place(), &p, out));
            assert_eq!(room, separate);
        }
    }

    /// Values of one number or two, extreme parameters: debug builds check every sum and product.
    #[test]
    fn extremes_do_not_overflow() {
        let wide = |q| Value::new(q, 0, 16);
        let mut alone = vec![0; 4096];
        alone[7] = -32768;
        let values = [
            wide(vec![-32768; 4096]),
            wide(vec![32767]),
            wide([-32768, 32767].repeat(2048)),
            wide(alone.clone()),
            wide(vec![0; 4096]),
            Value::new(vec![127; 4096], -128, 8),
            Value::new([-128, 127].repeat(2048), 127, 8),
        ];
        for x in &values {
            for (kind, channels) in [(Kind::Rms, 1), (Kind::Layer, 1), (Kind::Group(1), 1)]
                .into_iter()
                .chain([Kind::Rms, Kind::Layer, Kind::Group(1)].map(|kind| (kind, x.len())))
            {
                for (epsilon, extreme) in [(0, i16::MIN), (1, i16::MAX), (u64::MAX, i16::MIN)] {
                    let gain = vec![extreme; channels];
                    for right in [1, 31, 62] {
                        let p = Norm {
                            kind,
                            epsilon,
                            gain: &gain,
                            shift: Some(&gain),
                            gain_multiplier: (1 << 17) - 1,
                            shift_multiplier: i32::MAX,
                            right,
                        };
                        let mut out = x.empty();
                        by_all(&mut out, |kernels, workers, out| norm(kernels, workers, &x.operand(), &p, out));
                        if epsilon == u64::MAX {
                            // Only the shift is left: a normalized number is at most 2^15 * 64 / 2^32, 8 in Q14.
                            let shift = f64::from(extreme) * f64::from(i32::MAX) / 2f64.powi(right as i32);
                            out.assert_near(&vec![shift; x.len()], |_| 0.5 + 2f64.powi(3 + 15 + 17 - right as i32));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn equal_numbers_become_the_shift() {
        let p = Norm {
            kind: Kind::Layer,
            epsilon: 0,
            gain: &[1000; 4],
            shift: Some(&[1, -2, 3, -4]),
            gain_multiplier: 5,
            shift_multiplier: 1 << 20,
            right: 20,
        };
        let mut out = Value::new([0; 8], 0, 16);
        by_all(&mut out, |kernels, workers, out| {
            norm(kernels, workers, &Value::new([-32768; 8], 0, 16).operand(), &p, out)
        });
        assert_eq!(out.stored(), [1, -2, 3, -4, 1, -2, 3, -4]);
    }
}
