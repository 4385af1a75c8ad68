//! Weights as integers: of 8 bits a step for each output channel; of 4 bits also a multiplier for each group of terms, such that
//! the product is a weight of 8 bits.

use driftlet_runtime::panels::{PANEL, Panels, QUAD, SHARE};

use super::fixed::positive;
use crate::graph::Filter;

/// Largest bias in integers: half of what the runtime admits, so that folding the input's zero point in cannot exceed it.
const MAX_BIAS: f64 = (1 << 29) as f64;
/// Largest multiplier of a group.
pub const MULTIPLIERS: u8 = 16;
/// Parts of a channel's reach that are tried: weights beyond are cut off, and the others have finer steps.
pub const REACHES: [f64; 6] = [1.0, 0.94, 0.88, 0.82, 0.76, 0.7];

/// Bits of a layer's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBits {
    /// A quarter of an f32 file, and hardly any error.
    Eight,
    /// Half of that.
    Four,
}

impl WeightBits {
    /// The largest weight in units of a channel's scale.
    pub fn reach(self) -> f64 {
        if self == Self::Four { 7.0 * f64::from(MULTIPLIERS) } else { 127.0 }
    }

    /// The nearest integer.
    pub fn clamp(self, number: f64) -> i8 {
        let (low, high) = if self == Self::Four { (-8.0, 7.0) } else { (-127.0, 127.0) };
        number.round().clamp(low, high) as i8
    }
}

/// The weights of a layer in integers.
#[derive(Clone, Debug)]
pub struct Rounded {
    /// `[outputs, kernel, kernel, inputs]`, before multipliers.
    pub integers: Vec<i8>,
    /// Steps and multipliers.
    pub grid: Grid,
    /// The bias that goes with them, `[outputs]`; `None` where the layer's own is to be corrected.
    pub bias: Option<Vec<f64>>,
}

/// What the integers of a layer's weights stand for: `scale[output] * multiplier[output][group] * integer`.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Of each output.
    pub scales: Vec<f64>,
    /// Of each group of [`SHARE`] stored terms of each output, 1 to 16; none where weights have 8 bits.
    pub multipliers: Vec<u8>,
    groups: usize,
}

impl Grid {
    /// The grid of least squared error.
    pub fn new(bits: WeightBits, filter: &Filter, weights: &[f32], bias: &[f32], input_scale: f64) -> Self {
        let rows = || weights.chunks_exact(filter.terms()).zip(bias);
        let reach = |row: &[f32]| row.iter().fold(0.0, |max: f64, &w| max.max(f64::from(w).abs()));
        if bits == WeightBits::Eight {
            let scales = rows().map(|(row, &bias)| Self::scale(reach(row) / 127.0, bias, input_scale)).collect();
            return Self::of(filter, scales, Vec::new());
        }
        let mut grid = Self::of(filter, Vec::new(), Vec::new());
        for (row, &bias) in rows() {
            let largest = f64::from(MULTIPLIERS) * 7.0;
            let tried = REACHES.map(|part| {
                let scale = Self::scale(part * reach(row) / largest, bias, input_scale);
                let (multipliers, error) = multipliers(filter, row, scale);
                (error, scale, multipliers)
            });
            let best = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
            let Some((_, scale, multipliers)) = best else { continue };
            grid.scales.push(scale);
            grid.multipliers.extend(multipliers);
        }
        grid
    }

    /// A grid of given steps; without multipliers of 8 bits.
    pub fn of(filter: &Filter, scales: Vec<f64>, multipliers: Vec<u8>) -> Self {
        Self { scales, multipliers, groups: group_count(filter) }
    }

    /// Whether weights have 4 bits and all channels the same scale.
    pub fn one_scale(&self) -> bool {
        !self.multipliers.is_empty()
            && self.scales.len() > 1
            && self.scales.iter().all(|&scale| scale == self.scales[0])
    }

    /// A step for the weights of a channel: larger than asked for where hardly any weight would turn the bias into a huge integer.
    pub fn scale(scale: f64, bias: f32, input_scale: f64) -> f64 {
        positive(scale.max(f64::from(bias).abs() / (input_scale * MAX_BIAS)))
    }

    /// Weights on the grid, each to the nearest.
    pub fn nearest(&self, filter: &Filter, weights: &[f32]) -> Vec<i8> {
        let step = |i: usize| self.scales[i / filter.terms()] * f64::from(self.multiplier(filter, i));
        let bits = if self.multipliers.is_empty() { WeightBits::Eight } else { WeightBits::Four };
        weights.iter().enumerate().map(|(i, &w)| bits.clamp(f64::from(w) / step(i))).collect()
    }

    /// The multiplier of a weight in the order of the graph, 1 for weights of 8 bits.
    pub fn multiplier(&self, filter: &Filter, weight: usize) -> i8 {
        if self.multipliers.is_empty() {
            return 1;
        }
        let (output, term) = (weight / filter.terms(), weight % filter.terms());
        self.multipliers[output * self.groups + group_of(filter, term)] as i8
    }

    /// Multipliers in the order of the file, each less 1, two a byte.
    pub fn packed(&self) -> Vec<u8> {
        let outputs = self.scales.len();
        let mut packed = vec![0; self.multipliers.len().div_ceil(2)];
        for (i, &multiplier) in self.multipliers.iter().enumerate() {
            let (output, group) = (i / self.groups, i % self.groups);
            let panel = output / PANEL * PANEL;
            let at = panel * self.groups + group * PANEL.min(outputs - panel) + output % PANEL;
            packed[at / 2] |= (multiplier - 1) << (at % 2 * 4);
        }
        packed
    }
}

/// Multipliers of a channel's groups, and the squared error of weights on that grid.
fn multipliers(filter: &Filter, row: &[f32], scale: f64) -> (Vec<u8>, f64) {
    let mut shares: Vec<Vec<f64>> = vec![Vec::new(); group_count(filter)];
    for (term, &w) in row.iter().enumerate() {
        shares[group_of(filter, term)].push(f64::from(w) / scale);
    }
    let (mut chosen, mut total) = (Vec::new(), 0.0);
    for share in shares {
        let reach = share.iter().fold(0.0, |max: f64, w| max.max(w.abs()));
        let largest = (reach / 7.0).ceil().clamp(1.0, MULTIPLIERS.into()) as u8;
        let error = |multiplier: u8| {
            let step = f64::from(multiplier);
            let error = |w: &f64| (f64::from(WeightBits::Four.clamp(w / step)) * step - w).powi(2);
            (share.iter().map(error).sum::<f64>(), multiplier)
        };
        // Smaller ones cut more off than finer steps win.
        let tried = (largest.saturating_sub(4).max(1)..=largest).rev().map(error);
        let (error, multiplier) = tried.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 1));
        chosen.push(multiplier);
        total += error;
    }
    (chosen, total * scale * scale)
}

/// Terms of one output in the file: inputs are filled up to whole groups.
pub fn stored_terms(filter: &Filter) -> usize {
    filter.taps() * filter.inputs.next_multiple_of(QUAD)
}

/// Groups of terms of one output, each with a multiplier.
pub fn group_count(filter: &Filter) -> usize {
    stored_terms(filter).div_ceil(SHARE)
}

/// The group of a term in the order of the graph.
pub fn group_of(filter: &Filter, term: usize) -> usize {
    stored_term(filter, term) / SHARE
}

/// Where a term lies among those of the file.
fn stored_term(filter: &Filter, term: usize) -> usize {
    term / filter.inputs * filter.inputs.next_multiple_of(QUAD) + term % filter.inputs
}

/// Weights `[outputs, kernel, kernel, inputs]` in the order of the file.
pub fn in_panels(filter: &Filter, weights: &[i8]) -> Vec<i8> {
    let panels = Panels { outputs: filter.outputs, terms: stored_terms(filter), group: QUAD };
    let mut stored = vec![0; panels.outputs * panels.terms];
    for (o, row) in weights.chunks_exact(filter.terms()).enumerate() {
        for (term, weights) in (0..).step_by(filter.inputs).zip(row.chunks_exact(filter.inputs)) {
            for (quad, weights) in weights.chunks(QUAD).enumerate() {
                let at = panels.at(o, stored_term(filter, term) + quad * QUAD);
                stored[at..at + weights.len()].copy_from_slice(weights);
            }
        }
    }
    stored
}

/// Integers of 4 bits, two a byte, the first in the lower half.
pub fn nibbles(integers: &[i8]) -> Vec<u8> {
    integers.chunks(2).map(|pair| pair[0] as u8 & 15 | pair.get(1).map_or(0, |&q| (q as u8) << 4)).collect()
}
