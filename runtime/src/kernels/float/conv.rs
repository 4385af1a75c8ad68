//! Convolutions and linear layers.

use super::Weight;
use crate::kernels::Geometry;

/// Output positions and channels computed together: 4 x 8 sums fit the registers of every SIMD instruction set.
const POSITIONS: usize = 4;
const CHANNELS: usize = 8;
type Tile = [[f32; CHANNELS]; POSITIONS];

/// Weights `[kernel height, kernel width, in, out]` and bias `[out]`.
pub struct Weights<'a, W> {
    pub weight: &'a [W],
    pub bias: &'a [f32],
}

/// What a kernel adds to a sum before the relu.
#[derive(Clone, Copy, Debug)]
pub enum Residual<'a> {
    None,
    Given(&'a [f32]),
    /// The numbers lie in the output.
    InPlace,
}

/// Convolution or linear layer.
pub fn conv<W: Weight>(g: &Geometry, x: &[f32], w: &Weights<W>, residual: Residual, relu: bool, out: &mut [f32]) {
    for oy in 0..g.out_height {
        for ox in (0..g.out_width).step_by(POSITIONS) {
            let positions = POSITIONS.min(g.out_width - ox);
            for oc in (0..g.out_channels).step_by(CHANNELS) {
                let channels = CHANNELS.min(g.out_channels - oc);
                let tile = tile(g, x, w, oy, ox..ox + positions, oc..oc + channels);
                for (p, sums) in tile.iter().take(positions).enumerate() {
                    let at = (oy * g.out_width + ox + p) * g.out_channels + oc;
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

fn tile<W: Weight>(
    g: &Geometry,
    x: &[f32],
    w: &Weights<W>,
    oy: usize,
    ox: core::ops::Range<usize>,
    oc: core::ops::Range<usize>,
) -> Tile {
    let mut tile = [[0.0; CHANNELS]; POSITIONS];
    for sums in &mut tile {
        sums[..oc.len()].copy_from_slice(&w.bias[oc.clone()]);
    }
    let full = ox.len() == POSITIONS && oc.len() == CHANNELS;
    let mut taps = w.weight.chunks_exact(g.in_channels * g.out_channels);
    for ky in 0..g.kernel_height {
        let row = g.input_row(oy, ky).map(|iy| &x[iy * g.in_width * g.in_channels..][..g.in_width * g.in_channels]);
        for kx in 0..g.kernel_width {
            let (Some(tap), Some(row)) = (taps.next(), row) else { continue };
            let mut inputs = [None; POSITIONS];
            for (input, ox) in inputs.iter_mut().zip(ox.clone()) {
                *input = g.input_column(ox, kx).map(|ix| &row[ix * g.in_channels..][..g.in_channels]);
            }
            match inputs {
                [Some(a), Some(b), Some(c), Some(d)] if full => {
                    accumulate_tile(&mut tile, [a, b, c, d], tap, g, oc.start)
                }
                _ => {
                    for (sums, input) in tile.iter_mut().zip(inputs) {
                        if let Some(input) = input {
                            accumulate_position(&mut sums[..oc.len()], input, tap, g, oc.start);
                        }
                    }
                }
            }
        }
    }
    tile
}

fn accumulate_tile<W: Weight>(tile: &mut Tile, inputs: [&[f32]; POSITIONS], tap: &[W], g: &Geometry, oc: usize) {
    let [a, b, c, d] = inputs;
    for (((weights, &a), &b), (&c, &d)) in tap.chunks_exact(g.out_channels).zip(a).zip(b).zip(c.iter().zip(d)) {
        for (i, weight) in weights[oc..oc + CHANNELS].iter().enumerate() {
            let weight = weight.to_f32();
            tile[0][i] += a * weight;
            tile[1][i] += b * weight;
            tile[2][i] += c * weight;
            tile[3][i] += d * weight;
        }
    }
}

fn accumulate_position<W: Weight>(sums: &mut [f32], input: &[f32], tap: &[W], g: &Geometry, oc: usize) {
    for (weights, &x) in tap.chunks_exact(g.out_channels).zip(input) {
        for (sum, weight) in sums.iter_mut().zip(&weights[oc..]) {
            *sum += x * weight.to_f32();
        }
    }
}
