//! Normalization of groups of numbers, with a gain and a shift for each channel.

#[cfg(target_arch = "x86_64")]
use super::wide::Wide;
use crate::kernels::int8::NormKind;

/// Parameters of a normalization.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    pub kind: NormKind,
    /// Added to the mean of the squares.
    pub epsilon: f32,
    /// One for each channel.
    pub gain: &'a [f32],
    /// One for each channel, if any.
    pub shift: Option<&'a [f32]>,
}

/// `out = normalized(x) * gain + shift`; `x` may be in place.
pub fn norm(x: Option<&[f32]>, p: &Norm, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = Wide::here() {
        return wide.norm(x, p, out);
    }
    norm_loops(x, p, out);
}

/// The loops of [`norm`], compiled into their caller.
#[inline(always)]
pub(super) fn norm_loops(x: Option<&[f32]>, p: &Norm, out: &mut [f32]) {
    if let Some(x) = x {
        out.copy_from_slice(x);
    }
    let channels = p.gain.len().max(1);
    match p.kind {
        NormKind::Rms => {
            for position in out.chunks_exact_mut(channels) {
                let group = Group::rms(core::iter::once(&*position), p.epsilon);
                group.apply(p, 0, position);
            }
        }
        NormKind::Layer => {
            for position in out.chunks_exact_mut(channels) {
                let group = Group::centred(core::iter::once(&*position), p.epsilon);
                group.apply(p, 0, position);
            }
        }
        NormKind::Group(groups) => {
            let width = (channels / groups.max(1)).max(1);
            for first in (0..channels).step_by(width) {
                let runs = out.chunks_exact(channels).map(|position| &position[first..first + width]);
                let group = Group::centred(runs, p.epsilon);
                for position in out.chunks_exact_mut(channels) {
                    group.apply(p, first, &mut position[first..first + width]);
                }
            }
        }
    }
}

/// Numbers that are normalized together: `normalized = (x - mean) * inverse`.
#[derive(Clone, Copy)]
pub(super) struct Group {
    mean: f32,
    inverse: f32,
}

impl Group {
    /// Divides by the root of the mean square.
    #[inline(always)]
    pub fn rms<'x>(runs: impl Iterator<Item = &'x [f32]>, epsilon: f32) -> Self {
        let (squares, n) = sum(runs, |x| x * x);
        Self { mean: 0.0, inverse: inverse_root(squares / n, epsilon) }
    }

    /// Subtracts the mean and divides by the standard deviation.
    #[inline(always)]
    pub fn centred<'x>(runs: impl Iterator<Item = &'x [f32]> + Clone, epsilon: f32) -> Self {
        let (total, n) = sum(runs.clone(), |x| x);
        let mean = total / n;
        let (squares, _) = sum(runs, |x| (x - mean) * (x - mean));
        Self { mean: mean as f32, inverse: inverse_root(squares / n, epsilon) }
    }

    /// The normalized number.
    #[inline(always)]
    pub fn normalized(self, x: f32) -> f32 {
        (x - self.mean) * self.inverse
    }

    /// Normalizes the numbers of neighbouring channels in place.
    #[inline(always)]
    fn apply(self, p: &Norm, first_channel: usize, run: &mut [f32]) {
        let gain = &p.gain[first_channel..][..run.len()];
        for (x, &gain) in run.iter_mut().zip(gain) {
            *x = self.normalized(*x) * gain;
        }
        if let Some(shift) = p.shift {
            for (x, &shift) in run.iter_mut().zip(&shift[first_channel..]) {
                *x += shift;
            }
        }
    }
}

fn inverse_root(mean_square: f64, epsilon: f32) -> f32 {
    (1.0 / libm::sqrt(mean_square + f64::from(epsilon))) as f32
}

/// Sum of `f` over all numbers, and how many there are. In double precision no length of a group is felt: the sum of
/// `2^23` single-precision numbers is off by at most `2^-32` of their magnitude. Number `i` of a run goes to partial sum
/// `i mod 8`.
#[inline(always)]
fn sum<'x>(runs: impl Iterator<Item = &'x [f32]>, f: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut partial = [0f64; 8];
    let mut n = 0.0;
    for run in runs {
        n += run.len() as f64;
        let (whole, rest) = run.as_chunks::<8>();
        for x in whole {
            for (sum, &x) in partial.iter_mut().zip(x) {
                *sum += f(x.into());
            }
        }
        for (sum, &x) in partial.iter_mut().zip(rest) {
            *sum += f(x.into());
        }
    }
    let [a, b, c, d, e, f, g, h] = partial;
    (((a + b) + (c + d)) + ((e + f) + (g + h)), n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, bits, numbers};

    fn model(x: &[f32], kind: NormKind, epsilon: f64, gain: &[f32], shift: &[f32]) -> Vec<f64> {
        let channels = gain.len();
        let group_of = |i: usize| match kind {
            NormKind::Group(groups) => i % channels / (channels / groups),
            _ => i / channels,
        };
        let groups = group_of(x.len() - 1) + 1;
        let mut sums = vec![(0f64, 0f64, 0f64); groups];
        for (i, &x) in x.iter().enumerate() {
            let (n, sum, squares) = &mut sums[group_of(i)];
            (*n, *sum, *squares) = (*n + 1.0, *sum + f64::from(x), *squares + f64::from(x) * f64::from(x));
        }
        x.iter()
            .enumerate()
            .map(|(i, &x)| {
                let (n, sum, squares) = sums[group_of(i)];
                let mean = if kind == NormKind::Rms { 0.0 } else { sum / n };
                let variance = squares / n - mean * mean;
                let y = (f64::from(x) - mean) / (variance + epsilon).sqrt();
                y * f64::from(gain[i % channels]) + f64::from(shift[i % channels])
            })
            .collect()
    }

    #[test]
    fn every_kind_follows_its_definition_also_in_place() {
        for (kind, channels, positions) in [
            (NormKind::Rms, 19, 5),
            (NormKind::Layer, 19, 5),
            (NormKind::Layer, 1, 3),
            (NormKind::Rms, 64, 1),
            (NormKind::Group(1), 6, 35),
            (NormKind::Group(4), 24, 35),
            (NormKind::Group(12), 12, 1),
        ] {
            let x: Vec<f32> = numbers(1, channels * positions).iter().map(|x| 3.0 * x + 0.7).collect();
            let (gain, shift) = (numbers(2, channels), numbers(3, channels));
            let expected = model(&x, kind, 1e-5, &gain, &shift);
            let numbers = &gain;
            let p = Norm { kind, epsilon: 1e-5, gain: numbers, shift: Some(&shift) };
            let mut out = vec![0.0; x.len()];
            norm(Some(&x), &p, &mut out);
            assert_close(&out, &expected, 1e-6);
            let mut in_place = x.clone();
            norm_loops(None, &p, &mut in_place);
            // Nor does the width of registers change a bit.
            assert_eq!(bits(&in_place), bits(&out));

            norm(Some(&x), &Norm { shift: None, ..p }, &mut out);
            assert_close(&out, &model(&x, kind, 1e-5, &gain, &vec![0.0; channels]), 1e-6);
        }
    }

    #[test]
    fn long_groups_lose_nothing() {
        // A mean many deviations away from zero, 2^23 numbers.
        let short = numbers(1, 1 << 13);
        let x: Vec<f32> = (0..1 << 10).flat_map(|_| short.iter().map(|x| 4.0 + 0.5 * x)).collect();
        let gain = [1.0f32; 64];
        let p = Norm { kind: NormKind::Group(1), epsilon: 1e-6, gain: &gain, shift: None };
        let mut out = vec![0.0; x.len()];
        norm(Some(&x), &p, &mut out);
        // Repeated numbers have the statistics of the first of them.
        let expected = model(&x[..1 << 13], NormKind::Group(1), 1e-6, &gain, &[0.0; 64]);
        for out in out.chunks_exact(1 << 13).step_by(129) {
            assert_close(out, &expected, 1e-6);
        }
    }
}
