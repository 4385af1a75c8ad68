//! Convolutions and linear layers.

use super::Weight;
use crate::kernels::Geometry;
use crate::panels::PANEL;

/// Output positions and channels computed together: 4 x 8 sums fit the registers of every SIMD instruction set.
const POSITIONS: usize = 4;
const CHANNELS: usize = 8;
type Tile = [[f32; CHANNELS]; POSITIONS];

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
    // Transposed, columns a stride apart read with the same taps; neighbours do not.
    let step = if g.transposed { g.stride } else { 1 };
    for oy in 0..g.out_height {
        for first in (0..step).flat_map(|phase| (phase..g.out_width).step_by(POSITIONS * step)) {
            let columns = Columns { first, step, count: POSITIONS.min((g.out_width - first).div_ceil(step)) };
            for oc in (0..g.out_channels).step_by(CHANNELS) {
                let channels = CHANNELS.min(g.out_channels - oc);
                let filters = filters(g, w.weight, oc);
                let tile = tile(g, x, w.bias, &filters, oy, columns, oc..oc + channels);
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
fn filters<'a, W>(g: &Geometry, weight: &'a [W], oc: usize) -> Filters<'a, W> {
    if g.depthwise {
        return Filters { weight, width: g.out_channels, lane: oc };
    }
    let panels = g.panels(1);
    let panel = oc / PANEL;
    let width = panels.width(panel);
    Filters { weight: &weight[panels.start(panel)..][..width * panels.terms], width, lane: oc % PANEL }
}

fn tile<W: Weight>(
    g: &Geometry,
    x: &[f32],
    bias: &[f32],
    w: &Filters<W>,
    oy: usize,
    columns: Columns,
    oc: core::ops::Range<usize>,
) -> Tile {
    let mut tile = [[0.0; CHANNELS]; POSITIONS];
    for sums in &mut tile {
        sums[..oc.len()].copy_from_slice(&bias[oc.clone()]);
    }
    let full = columns.count == POSITIONS && oc.len() == CHANNELS && !g.depthwise;
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

fn accumulate_tile<W: Weight>(tile: &mut Tile, inputs: [&[f32]; POSITIONS], tap: &[W], w: &Filters<W>) {
    let [a, b, c, d] = inputs;
    for (((weights, &a), &b), (&c, &d)) in tap.chunks_exact(w.width).zip(a).zip(b).zip(c.iter().zip(d)) {
        for (i, weight) in weights[w.lane..w.lane + CHANNELS].iter().enumerate() {
            let weight = weight.to_f32();
            tile[0][i] += a * weight;
            tile[1][i] += b * weight;
            tile[2][i] += c * weight;
            tile[3][i] += d * weight;
        }
    }
}

fn accumulate_position<W: Weight>(sums: &mut [f32], input: &[f32], tap: &[W], w: &Filters<W>) {
    for (weights, &x) in tap.chunks_exact(w.width).zip(input) {
        for (sum, weight) in sums.iter_mut().zip(&weights[w.lane..]) {
            *sum += x * weight.to_f32();
        }
    }
}

fn accumulate_channels<W: Weight>(sums: &mut [f32], input: &[f32], tap: &[W]) {
    for (sum, (&x, weight)) in sums.iter_mut().zip(input.iter().zip(tap)) {
        *sum += x * weight.to_f32();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, numbers};

    fn geometry(kind: &str, [height, width]: [usize; 2], [ins, outs]: [usize; 2], stride: usize) -> Geometry {
        let transposed = kind == "transposed";
        let upsample = if kind == "upsampled" { 2 } else { 1 };
        let (kernel, padding) = (3, 1);
        let out = |len: usize| {
            if transposed {
                // With an output padding that doubles the size exactly.
                (len - 1) * stride + kernel - 2 * padding + (stride - 1)
            } else {
                (len * upsample + 2 * padding - kernel) / stride + 1
            }
        };
        Geometry {
            in_height: height,
            in_width: width,
            in_channels: ins,
            out_height: out(height),
            out_width: out(width),
            out_channels: outs,
            kernel_height: kernel,
            kernel_width: kernel,
            stride,
            padding,
            upsample,
            depthwise: kind == "depthwise",
            transposed,
        }
    }

    /// Where a file holds the weight of an output and a term.
    fn stored_at(g: &Geometry, output: usize, term: usize) -> usize {
        if g.depthwise { term * g.out_channels + output } else { g.panels(1).at(output, term) }
    }

    /// In double precision, and transposed by scattering what the kernel gathers.
    fn model(g: &Geometry, x: &[f32], w: &Weights<f32>) -> Vec<f64> {
        let mut out: Vec<f64> =
            (0..g.out_height * g.out_width).flat_map(|_| w.bias.iter().map(|&b| f64::from(b))).collect();
        let depth = g.filter_depth();
        let taps = (0..g.kernel_height).flat_map(|ky| (0..g.kernel_width).map(move |kx| (ky, kx)));
        for (t, (ky, kx)) in taps.enumerate() {
            let places = if g.transposed { [g.in_height, g.in_width] } else { [g.out_height, g.out_width] };
            for (a, b) in (0..places[0]).flat_map(|a| (0..places[1]).map(move |b| (a, b))) {
                let (y, x_) = (
                    (a * g.stride + ky) as isize - g.padding as isize,
                    (b * g.stride + kx) as isize - g.padding as isize,
                );
                let (of, to) = if g.transposed {
                    ((a as isize, b as isize), (y, x_))
                } else {
                    ((y, x_), (a as isize, b as isize))
                };
                let of = (of.0.div_euclid(g.upsample as isize), of.1.div_euclid(g.upsample as isize));
                let inside = |(y, x): (isize, isize), [h, w]: [usize; 2]| {
                    (0..h as isize).contains(&y) && (0..w as isize).contains(&x)
                };
                if !inside(of, [g.in_height, g.in_width]) || !inside(to, [g.out_height, g.out_width]) {
                    continue;
                }
                let of = (of.0 as usize * g.in_width + of.1 as usize) * g.in_channels;
                let to = (to.0 as usize * g.out_width + to.1 as usize) * g.out_channels;
                for o in 0..g.out_channels {
                    for i in 0..depth {
                        let x = x[of + if g.depthwise { o } else { i }];
                        out[to + o] += f64::from(x) * f64::from(w.weight[stored_at(g, o, t * depth + i)]);
                    }
                }
            }
        }
        out
    }

    #[test]
    fn every_kind_of_convolution_follows_its_definition() {
        let mut residuals = 0;
        for kind in ["plain", "upsampled", "depthwise", "transposed"] {
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
        assert_eq!(residuals, 18);
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
