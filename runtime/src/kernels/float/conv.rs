//! Convolutions and linear layers.

use super::Weight;
#[cfg(target_arch = "x86_64")]
use super::wide::Wide;
use crate::kernels::Geometry;
use crate::panels::PANEL;

/// Output positions computed together, of several channels each: 4 x 8 sums fit the registers of every SIMD instruction set.
const POSITIONS: usize = 4;
const CHANNELS: usize = 8;
type Tile<const C: usize> = [[f32; C]; POSITIONS];

/// Weights in [`Panels`](crate::panels::Panels), or `[kernel height, kernel width, 1, out]` of a depthwise convolution, and
/// bias `[out]`.
pub struct Weights<'a, W> {
    pub weight: &'a [W],
    pub bias: &'a [f32],
}

/// What is added to a sum before the relu.
#[derive(Clone, Copy, Debug)]
pub enum Residual<'a> {
    None,
    Given(&'a [f32]),
    /// The numbers lie in the output.
    InPlace,
}

/// Convolution or linear layer.
pub fn conv<W: Weight>(g: &Geometry, x: &[f32], w: &Weights<W>, residual: Residual, relu: bool, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = Wide::here() {
        return wide.conv(g, x, w, residual, relu, out);
    }
    conv_loops::<W, CHANNELS>(g, x, w, residual, relu, out);
}

/// The loops of [`conv`] over `C` channels at a time, which divide a panel, compiled into their caller.
#[inline(always)]
pub(super) fn conv_loops<W: Weight, const C: usize>(
    g: &Geometry,
    x: &[f32],
    w: &Weights<W>,
    residual: Residual,
    relu: bool,
    out: &mut [f32],
) {
    // Transposed, columns a stride apart read with the same taps; neighbours do not.
    let step = if g.transposed { g.stride } else { 1 };
    for oy in 0..g.out_height {
        for first in (0..step).flat_map(|phase| (phase..g.out_width).step_by(POSITIONS * step)) {
            let columns = Columns { first, step, count: POSITIONS.min((g.out_width - first).div_ceil(step)) };
            for oc in (0..g.out_channels).step_by(C) {
                let channels = C.min(g.out_channels - oc);
                let filters = filters(g, w.weight, oc);
                let tile: Tile<C> = tile(g, x, w.bias, &filters, oy, columns, oc..oc + channels);
                for (p, sums) in tile.iter().take(columns.count).enumerate() {
                    let at = (oy * g.out_width + columns.at(p)) * g.out_channels + oc;
                    for (i, &sum) in sums[..channels].iter().enumerate() {
                        let y = match residual {
                            Residual::None => sum,
                            Residual::Given(r) => sum + r[at + i],
                            Residual::InPlace => sum + out[at + i],
                        };
                        out[at + i] = if relu { y.max(0.0) } else { y };
                    }
                }
            }
        }
    }
}

/// Output columns computed together.
#[derive(Clone, Copy)]
struct Columns {
    first: usize,
    step: usize,
    count: usize,
}

impl Columns {
    fn at(self, i: usize) -> usize {
        self.first + i * self.step
    }
}

/// Weights of outputs side by side.
struct Filters<'a, W> {
    /// Rows of as many weights as are stored side by side, one for each term.
    weight: &'a [W],
    width: usize,
    /// Where in each row the outputs' weights begin.
    lane: usize,
}

/// The weights of the outputs from `oc` on. A tile never straddles panels: they are a multiple of its width.
#[inline(always)]
fn filters<'a, W>(g: &Geometry, weight: &'a [W], oc: usize) -> Filters<'a, W> {
    if g.depthwise {
        return Filters { weight, width: g.out_channels, lane: oc };
    }
    let panels = g.panels(1);
    let panel = oc / PANEL;
    let width = panels.width(panel);
    Filters { weight: &weight[panels.start(panel)..][..width * panels.terms], width, lane: oc % PANEL }
}

#[inline(always)]
fn tile<W: Weight, const C: usize>(
    g: &Geometry,
    x: &[f32],
    bias: &[f32],
    w: &Filters<W>,
    oy: usize,
    columns: Columns,
    oc: core::ops::Range<usize>,
) -> Tile<C> {
    let mut tile = [[0.0; C]; POSITIONS];
    for sums in &mut tile {
        sums[..oc.len()].copy_from_slice(&bias[oc.clone()]);
    }
    let full = columns.count == POSITIONS && oc.len() == C && !g.depthwise;
    let mut taps = w.weight.chunks_exact(g.filter_depth() * w.width);
    for ky in 0..g.kernel_height {
        let row = g.input_row(oy, ky).map(|iy| &x[iy * g.in_width * g.in_channels..][..g.in_width * g.in_channels]);
        for kx in 0..g.kernel_width {
            let (Some(tap), Some(row)) = (taps.next(), row) else { continue };
            let mut inputs = [None; POSITIONS];
            for (p, input) in inputs.iter_mut().enumerate().take(columns.count) {
                *input = g.input_column(columns.at(p), kx).map(|ix| &row[ix * g.in_channels..][..g.in_channels]);
            }
            match inputs {
                [Some(a), Some(b), Some(c), Some(d)] if full => accumulate_tile(&mut tile, [a, b, c, d], tap, w),
                _ => {
                    for (sums, input) in tile.iter_mut().zip(inputs) {
                        let (sums, Some(input)) = (&mut sums[..oc.len()], input) else { continue };
                        if g.depthwise {
                            accumulate_channels(sums, &input[oc.clone()], &tap[oc.clone()]);
                        } else {
                            accumulate_position(sums, input, tap, w);
                        }
                    }
                }
            }
        }
    }
    tile
}

#[inline(always)]
fn accumulate_tile<W: Weight, const C: usize>(
    tile: &mut Tile<C>,
    inputs: [&[f32]; POSITIONS],
    tap: &[W],
    w: &Filters<W>,
) {
    let [a, b, c, d] = inputs;
    for (((weights, &a), &b), (&c, &d)) in tap.chunks_exact(w.width).zip(a).zip(b).zip(c.iter().zip(d)) {
        for (i, weight) in weights[w.lane..w.lane + C].iter().enumerate() {
            let weight = weight.to_f32();
            tile[0][i] += a * weight;
            tile[1][i] += b * weight;
            tile[2][i] += c * weight;
            tile[3][i] += d * weight;
        }
    }
}

#[inline(always)]
fn accumulate_position<W: Weight>(sums: &mut [f32], input: &[f32], tap: &[W], w: &Filters<W>) {
    for (weights, &x) in tap.chunks_exact(w.width).zip(input) {
        for (sum, weight) in sums.iter_mut().zip(&weights[w.lane..]) {
            *sum += x * weight.to_f32();
        }
    }
}

#[inline(always)]
fn accumulate_channels<W: Weight>(sums: &mut [f32], input: &[f32], tap: &[W]) {
    for (sum, (&x, weight)) in sums.iter_mut().zip(input.iter().zip(tap)) {
        *sum += x * weight.to_f32();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, conv_model as model, geometry, numbers};

    #[test]
    fn every_kind_of_convolution_follows_its_definition() {
        let mut residuals = 0;
        for kind in ["plain", "upsampled", "depthwise", "transposed", "row", "column"] {
            for (size, channels, stride) in [
                ([1, 1], [3, 3], 1),
                ([5, 7], [8, 8], 2),
                ([4, 9], [11, 11], 1),
                ([6, 10], [4, 37], 2),
                ([3, 3], [16, 9], 3),
            ] {
                if kind == "depthwise" && channels[0] != channels[1] {
                    continue;
                }
                let g = geometry(kind, size, channels, stride);
                let x = numbers(1, g.in_height * g.in_width * g.in_channels);
                let weight = numbers(2, g.kernel_height * g.kernel_width * g.filter_depth() * g.out_channels);
                let bias = numbers(3, g.out_channels);
                let w = Weights { weight: &weight, bias: &bias };
                let expected = model(&g, &x, &w);
                let mut out = vec![0.0; expected.len()];
                conv(&g, &x, &w, Residual::None, false, &mut out);
                assert_close(&out, &expected, 1e-6);

                let residual = numbers(4, out.len());
                let rectified: Vec<f64> =
                    expected.iter().zip(&residual).map(|(y, &r)| (y + f64::from(r)).max(0.0)).collect();
                conv(&g, &x, &w, Residual::Given(&residual), true, &mut out);
                assert_close(&out, &rectified, 1e-6);
                let mut in_place = residual.clone();
                conv(&g, &x, &w, Residual::InPlace, true, &mut in_place);
                assert_eq!(in_place, out, "{kind} {size:?}");
                residuals += 1;
            }
        }
        assert_eq!(residuals, 28);
    }

    #[test]
    fn wide_registers_change_no_bit() {
        for kind in ["plain", "upsampled", "depthwise", "transposed"] {
            for (size, channels, stride) in [([5, 7], [8, 8], 2), ([4, 9], [11, 11], 1), ([6, 10], [37, 37], 2)] {
                let g = geometry(kind, size, channels, stride);
                let x = numbers(1, g.in_height * g.in_width * g.in_channels);
                let terms = g.kernel_height * g.kernel_width * g.filter_depth();
                let weight: Vec<u16> =
                    numbers(2, terms * g.out_channels).iter().map(|&w| half::f16::from_f32(w).to_bits()).collect();
                let bias = numbers(3, g.out_channels);
                let w = Weights { weight: &weight, bias: &bias };
                let residual = numbers(4, g.out_height * g.out_width * g.out_channels);
                let mut outs = [(); 2].map(|()| vec![f32::NAN; residual.len()]);
                conv(&g, &x, &w, Residual::Given(&residual), false, &mut outs[0]);
                conv_loops::<_, CHANNELS>(&g, &x, &w, Residual::Given(&residual), false, &mut outs[1]);
                let [wide, narrow] = outs.map(|out| out.into_iter().map(f32::to_bits).collect::<Vec<_>>());
                assert_eq!(wide, narrow, "{kind} {size:?}");
            }
        }
    }

    #[test]
    fn half_weights_are_widened_weights() {
        let g = geometry("transposed", [3, 5], [6, 9], 2);
        let x = numbers(1, 3 * 5 * 6);
        let half: Vec<u16> = numbers(2, 9 * 6 * 9).iter().map(|&w| half::f16::from_f32(w).to_bits()).collect();
        let wide: Vec<f32> = half.iter().map(|w| w.to_f32()).collect();
        let bias = numbers(3, 9);
        let mut outs = [(); 2].map(|()| vec![0.0; g.out_height * g.out_width * g.out_channels]);
        conv(&g, &x, &Weights { weight: &half, bias: &bias }, Residual::None, false, &mut outs[0]);
        conv(&g, &x, &Weights { weight: &wide, bias: &bias }, Residual::None, false, &mut outs[1]);
        assert_eq!(outs[0], outs[1]);
    }
}
