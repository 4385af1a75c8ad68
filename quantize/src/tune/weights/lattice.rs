//! The integers of a layer's weights with the least error of the layer's sums, given moments of its inputs: a closest point of a
//! lattice, looked for as GPTQ does (Frantar et al., ICLR 2023; here as Babai's nearest plane on a Cholesky factor), then weight
//! by weight.
//!
//! Loops of plain additions and products, so that every machine finds the same.

use std::ops::Range;

use rayon::prelude::*;

use super::moments::Moments;
use crate::graph::Filter;
use crate::integers::rounding::{Grid, MULTIPLIERS, REACHES, Rounded, WeightBits, group_count, group_of};

/// What is added to the diagonal, relative to its mean: directions that were hardly seen keep their weights.
const RIDGE: f64 = 0.01;
/// Times that all weights of a channel are gone through.
const PASSES: usize = 8;

/// What the layer is to approximate.
pub struct Target<'t> {
    pub filter: &'t Filter<'t>,
    /// `[outputs, kernel, kernel, inputs]`.
    pub weights: &'t [f32],
    /// `[outputs]`.
    pub bias: &'t [f32],
    /// Step of the input.
    pub input_scale: f64,
}

/// Integers for one output channel.
struct Channel {
    integers: Vec<i8>,
    scale: f64,
    multipliers: Vec<u8>,
    bias: f64,
    /// Of its sums.
    error: f64,
}

/// Weights and bias of the least mean squared difference between the float layer's sums of the float model's inputs and the
/// integer layer's of the integer model's; `None` where the inputs tell nothing.
pub fn closest(target: &Target, moments: &Moments, bits: WeightBits, one_scale: bool) -> Option<Rounded> {
    let terms = target.filter.terms();
    let metric = Metric::new(target, moments)?;
    let rows = || target.weights.par_chunks_exact(terms).zip(target.bias);
    let all = |scale: Option<f64>| -> Vec<Channel> {
        rows().map(|(row, &bias)| metric.channel(target, moments, (bits, scale), row, bias)).collect()
    };
    let channels = if one_scale {
        let reach = |row: &[f32]| metric.best(row).iter().fold(0.0, |max: f64, w| max.max(w.abs()));
        let own = |(row, &bias): (&[f32], &f32)| Grid::scale(reach(row) / bits.reach(), bias, target.input_scale);
        let largest = rows().map(own).collect::<Vec<f64>>().into_iter().fold(0.0, f64::max);
        let tried = REACHES.map(|part| all(Some(part * largest)));
        let error = |channels: &[Channel]| channels.iter().map(|channel| channel.error).sum::<f64>();
        tried.into_iter().min_by(|a, b| error(a).total_cmp(&error(b)))?
    } else {
        all(None)
    };
    let scales = channels.iter().map(|channel| channel.scale).collect();
    let multipliers = channels.iter().flat_map(|channel| channel.multipliers.iter().copied()).collect();
    Some(Rounded {
        grid: Grid::of(target.filter, scales, multipliers),
        bias: Some(channels.iter().map(|channel| channel.bias).collect()),
        integers: channels.into_iter().flat_map(|channel| channel.integers).collect(),
    })
}

/// The square of a difference of weights, as the inputs see it.
struct Metric {
    terms: usize,
    /// Symmetric, row by row.
    square: Vec<f64>,
    /// `square = factor * transposed factor`; below the diagonal.
    factor: Vec<f64>,
    /// From float weights to those that serve the integer model's inputs best, but for `square`.
    cross: Vec<f64>,
    ridge: f64,
}

impl Metric {
    fn new(target: &Target, moments: &Moments) -> Option<Self> {
        let terms = target.filter.terms();
        let (mut square, mut cross) = (moments.square.clone(), moments.cross.clone());
        for i in 0..terms {
            for j in 0..terms {
                let at = i * terms + j;
                if j > i {
                    square[at] = moments.square[j * terms + i];
                }
                // The bias takes the mean.
                square[at] -= moments.mean[i] * moments.mean[j];
                cross[at] -= moments.float_mean[i] * moments.mean[j];
            }
        }
        let ridge = RIDGE * (0..terms).map(|i| square[i * terms + i]).sum::<f64>() / terms as f64;
        if ridge.is_nan() || ridge <= 0.0 {
            return None;
        }
        (0..terms).for_each(|i| square[i * terms + i] += ridge);
        let factor = cholesky(&square, terms)?;
        Some(Self { terms, square, factor, cross, ridge })
    }

    /// The row of real weights that serves best.
    fn best(&self, row: &[f32]) -> Vec<f64> {
        let terms = self.terms;
        let mut x: Vec<f64> = row.iter().map(|&w| self.ridge * f64::from(w)).collect();
        for (&w, cross) in row.iter().zip(self.cross.chunks_exact(terms)) {
            x.iter_mut().zip(cross).for_each(|(x, c)| *x += f64::from(w) * c);
        }
        for i in 0..terms {
            let (known, rest) = x.split_at_mut(i);
            let sum: f64 = self.factor[i * terms..][..i].iter().zip(known).map(|(l, x)| l * *x).sum();
            rest[0] = (rest[0] - sum) / self.factor[i * terms + i];
        }
        for i in (0..terms).rev() {
            x[i] /= self.factor[i * terms + i];
            let (left, known) = x.split_at_mut(i);
            let factor = &self.factor[i * terms..][..i];
            left.iter_mut().zip(factor).for_each(|(x, l)| *x -= l * known[0]);
        }
        x
    }

    /// Without a scale given, one is looked for.
    fn channel(
        &self,
        target: &Target,
        moments: &Moments,
        (bits, scale): (WeightBits, Option<f64>),
        row: &[f32],
        bias: f32,
    ) -> Channel {
        let real = self.best(row);
        let reach = real.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
        let reaches = if bits == WeightBits::Eight || scale.is_some() { &REACHES[..1] } else { &REACHES[..] };
        let tried = reaches.iter().map(|part| {
            let own = || Grid::scale(part * reach / bits.reach(), bias, target.input_scale);
            self.plane(target.filter, bits, &real, scale.unwrap_or_else(own))
        });
        let (_, mut point) = tried.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_else(|| (0.0, Point::default()));
        let error = self.refine(target.filter, (bits, scale.is_none()), &real, &mut point);
        let dot = |weights: &mut dyn Iterator<Item = f64>, means: &[f64]| -> f64 {
            weights.zip(means).map(|(w, m)| w * m).sum()
        };
        let mut stored = (0..self.terms).map(|t| point.weight(target.filter, t));
        let shift = dot(&mut row.iter().map(|&w| w.into()), &moments.float_mean) - dot(&mut stored, &moments.mean);
        Channel {
            bias: f64::from(bias) + target.input_scale * shift,
            integers: point.integers,
            scale: point.scale,
            multipliers: point.multipliers,
            error,
        }
    }

    /// Goes from the last term to the first, each rounded such that it makes up for the errors behind it, with the multiplier
    /// for each group that leaves the least; with the error.
    fn plane(&self, filter: &Filter, bits: WeightBits, real: &[f64], scale: f64) -> (f64, Point) {
        let terms = self.terms;
        let mut point = Point { scale, integers: vec![0; terms], multipliers: Vec::new() };
        if bits == WeightBits::Four {
            point.multipliers = vec![1; group_count(filter)];
        }
        let (mut total, mut pull) = (0.0, vec![0.0; terms]);
        let mut end = terms;
        while end > 0 {
            let group = group_of(filter, end - 1);
            let start = (0..end).rev().find(|&t| group_of(filter, t) != group).map_or(0, |t| t + 1);
            let range = if bits == WeightBits::Four { start..end } else { end - 1..end };
            let reach = real[range.clone()].iter().fold(0.0, |max: f64, w| max.max(w.abs()));
            let largest = (reach / (7.0 * scale)).ceil().clamp(1.0, MULTIPLIERS.into()) as u8;
            let tried = match bits {
                WeightBits::Four => largest.saturating_sub(4).max(1)..=(largest + 1).min(MULTIPLIERS),
                WeightBits::Eight => 1..=1,
            };
            let mut best = (f64::INFINITY, 1, [(0, 0.0); 16]);
            for multiplier in tried {
                let step = scale * f64::from(multiplier);
                let (error, found) = self.group(bits, real, &pull, range.clone(), step);
                if error < best.0 {
                    best = (error, multiplier, found);
                }
            }
            total += best.0;
            if let Some(multiplier) = point.multipliers.get_mut(group) {
                *multiplier = best.1;
            }
            for (t, (integer, error)) in range.clone().zip(best.2) {
                point.integers[t] = integer;
                let factor = &self.factor[t * terms..][..range.start];
                pull.iter_mut().zip(factor).for_each(|(pull, l)| *pull += error * l);
            }
            end = range.start;
        }
        (total, point)
    }

    /// Integers and errors of the terms of a group at a step, and what of the error is decided by them.
    fn group(
        &self,
        bits: WeightBits,
        real: &[f64],
        pull: &[f64],
        range: Range<usize>,
        step: f64,
    ) -> (f64, [(i8, f64); 16]) {
        let mut found = [(0, 0.0); 16];
        let mut total = 0.0;
        for t in range.clone().rev() {
            let factor = &self.factor[t * self.terms..][..=t];
            let behind = (t + 1..range.end).map(|u| found[u - range.start].1 * self.factor[u * self.terms + t]);
            let pull = pull[t] + behind.sum::<f64>();
            let integer = bits.clamp((real[t] - pull / factor[t]) / step);
            let error = f64::from(integer) * step - real[t];
            found[t - range.start] = (integer, error);
            total += (error * factor[t] + pull).powi(2);
        }
        (total, found)
    }

    /// Changes weights one at a time, then the scale if it may change, as long as that helps; returns the error.
    fn refine(
        &self,
        filter: &Filter,
        (bits, scale_may_change): (WeightBits, bool),
        real: &[f64],
        point: &mut Point,
    ) -> f64 {
        let terms = self.terms;
        let mut left = 0.0;
        for round in 0..2 {
            // Half the slope of the error.
            let mut slope = vec![0.0; terms];
            for (t, real) in real.iter().enumerate() {
                let error = point.weight(filter, t) - real;
                slope.iter_mut().zip(&self.square[t * terms..]).for_each(|(slope, h)| *slope += error * h);
            }
            for _ in 0..PASSES {
                let mut changed = false;
                for t in 0..terms {
                    let step = point.step(filter, t);
                    let row = &self.square[t * terms..][..terms];
                    let now = point.integers[t];
                    let better = bits.clamp(f64::from(now) - slope[t] / (row[t] * step));
                    if better != now {
                        changed = true;
                        point.integers[t] = better;
                        let change = f64::from(i16::from(better) - i16::from(now)) * step;
                        slope.iter_mut().zip(row).for_each(|(slope, h)| *slope += change * h);
                    }
                }
                if !changed {
                    break;
                }
            }
            left = (0..terms).map(|t| slope[t] * (point.weight(filter, t) - real[t])).sum();
            if round == 0 && scale_may_change {
                // The factor by which all steps should grow.
                let (mut onto, mut length) = (0.0, 0.0);
                for t in 0..terms {
                    let row = &self.square[t * terms..][..terms];
                    let weight = point.weight(filter, t);
                    onto += weight * row.iter().zip(real).map(|(h, r)| h * r).sum::<f64>();
                    let stored = (0..terms).map(|u| point.weight(filter, u));
                    length += weight * row.iter().zip(stored).map(|(h, w)| h * w).sum::<f64>();
                }
                let factor = onto / length;
                if factor > 0.8 && factor < 1.25 {
                    point.scale *= factor;
                }
            }
        }
        left
    }
}

/// A channel's weights on their grid.
#[derive(Default)]
struct Point {
    scale: f64,
    integers: Vec<i8>,
    multipliers: Vec<u8>,
}

impl Point {
    fn step(&self, filter: &Filter, term: usize) -> f64 {
        self.scale * self.multipliers.get(group_of(filter, term)).map_or(1.0, |&multiplier| multiplier.into())
    }

    fn weight(&self, filter: &Filter, term: usize) -> f64 {
        self.step(filter, term) * f64::from(self.integers[term])
    }
}

/// The lower factor of a symmetric matrix; `None` if that is not positive.
fn cholesky(square: &[f64], terms: usize) -> Option<Vec<f64>> {
    let mut factor = vec![0.0; terms * terms];
    for i in 0..terms {
        let (above, row) = factor.split_at_mut(i * terms);
        for j in 0..=i {
            let of_j = if j < i { &above[j * terms..][..j] } else { &[] };
            let dot: f64 = if j < i {
                row[..j].iter().zip(of_j).map(|(a, b)| a * b).sum()
            } else {
                row[..i].iter().map(|a| a * a).sum()
            };
            let left = square[i * terms + j] - dot;
            if j < i {
                row[j] = left / above[j * terms + j];
            } else if left > 0.0 {
                row[i] = left.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Layout;

    fn filter(inputs: usize) -> Filter<'static> {
        Filter {
            name: String::new(),
            weight: vec![0.0; 2 * inputs].into(),
            layout: Layout::InputsLast,
            bias: vec![0.0; 2].into(),
            outputs: 2,
            kernel: [1, 1],
            inputs,
            relu: false,
        }
    }

    /// Numbers in `[-1, 1)` without a pattern.
    fn draw(count: usize, seed: u64) -> Vec<f64> {
        let number = |i: usize| ((i as u64 + 7 * seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64;
        (0..count).map(|i| number(i) / f64::from(1 << 23) - 1.0).collect()
    }

    /// Moments of inputs that go together, the integers' being those of the floats, and some noise.
    fn moments(terms: usize, noise: f64) -> Moments {
        let count = 4 * terms;
        let mut sums = Moments {
            square: vec![0.0; terms * terms],
            cross: vec![0.0; terms * terms],
            mean: vec![0.0; terms],
            float_mean: vec![0.0; terms],
        };
        for i in 0..count {
            let common = draw(3, i as u64);
            let y: Vec<f64> =
                (0..terms).map(|t| 1.0 + common[t % 3] + 0.3 * draw(1, (i * terms + t) as u64)[0]).collect();
            let x: Vec<f64> = y.iter().zip(draw(terms, 77 + i as u64)).map(|(y, e)| y + noise * e).collect();
            for a in 0..terms {
                sums.mean[a] += x[a] / count as f64;
                sums.float_mean[a] += y[a] / count as f64;
                for b in 0..terms {
                    sums.square[a * terms + b] += x[a] * x[b] / count as f64;
                    sums.cross[a * terms + b] += y[a] * x[b] / count as f64;
                }
            }
        }
        sums
    }

    /// Mean squared difference of the sums, up to what weights and bias cannot change.
    fn error(moments: &Moments, weights: &[f32], bias: f64, rounded: &[f64], rounded_bias: f64) -> f64 {
        let terms = weights.len();
        let mut error = 0.0;
        let difference = rounded_bias - bias;
        for a in 0..terms {
            error += 2.0 * difference * rounded[a] * moments.mean[a];
            error -= 2.0 * difference * f64::from(weights[a]) * moments.float_mean[a];
            for b in 0..terms {
                error += rounded[a] * rounded[b] * moments.square[a * terms + b];
                error -= 2.0 * f64::from(weights[a]) * rounded[b] * moments.cross[a * terms + b];
            }
        }
        error + difference * difference
    }

    #[test]
    fn errors_are_smaller_than_those_of_the_nearest() {
        for (terms, bits) in [(24, WeightBits::Four), (50, WeightBits::Four), (24, WeightBits::Eight)] {
            let filter = filter(terms);
            let weights: Vec<f32> = draw(2 * terms, 5).into_iter().map(|w| w as f32).collect();
            let bias = [0.5, -0.25];
            let seen = moments(terms, 0.1);
            for moments in [&seen, &seen.of_integers()] {
                let target = Target { filter: &filter, weights: &weights, bias: &bias, input_scale: 1.0 };
                let found = closest(&target, moments, bits, false).expect("moments");
                let grid = Grid::new(bits, &filter, &weights, &bias, 1.0);
                let nearest = grid.nearest(&filter, &weights);
                for o in 0..2 {
                    let real = |grid: &Grid, integers: &[i8]| -> Vec<f64> {
                        (o * terms..(o + 1) * terms)
                            .map(|i| grid.scales[o] * f64::from(grid.multiplier(&filter, i)) * f64::from(integers[i]))
                            .collect()
                    };
                    let (row, b) = (&weights[o * terms..][..terms], f64::from(bias[o]));
                    let found_bias = found.bias.as_ref().map_or(b, |bias| bias[o]);
                    let after = error(moments, row, b, &real(&found.grid, &found.integers), found_bias);
                    let before = error(moments, row, b, &real(&grid, &nearest), b);
                    assert!(after < before, "{terms} terms, {bits:?}: {after} instead of {before}");
                }
            }
        }
    }

    #[test]
    fn a_factor_times_itself_is_the_matrix() {
        let terms = 9;
        let moments = moments(terms, 0.5);
        let factor = cholesky(&moments.square, terms).expect("positive");
        for i in 0..terms {
            for j in 0..=i {
                let product: f64 = (0..=j).map(|k| factor[i * terms + k] * factor[j * terms + k]).sum();
                assert!((product - moments.square[i * terms + j]).abs() < 1e-9);
            }
        }
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
