//! Dense layers of float models as products of matrices: rows of inputs times panels of weights. The order of the work is
//! here; sums in registers are in [`tile`], written once over the registers of an instruction set.
//!
//! A sum starts at the bias, and the residual if there is one, and takes its terms in the order of the portable kernel, each
//! product and addition rounded once; a lone output ends with the sum of 16 partial ones. So it depends neither on the width of registers, nor on which sums are computed
//! together, nor on the number of workers.

mod dots;
mod tile;

use core::mem::MaybeUninit;
use core::ops::Range;

use super::{has_lanes, run as run_task};
use crate::kernels::float::{Residual, Weights};
use crate::kernels::isa::Kernels;
use crate::kernels::{Geometry, padding_along};
use crate::panels::PANEL;
use crate::workers::Workers;
use tile::ROWS;
pub use tile::Stored;
pub use tile::{Block, Order, Start, Sums};

/// Outputs whose weights stay in the nearest caches while all rows pass: four panels.
const GROUP: usize = 64;

/// Terms that are added before the next rows.
const TERMS: usize = 256;

/// Pointers to inputs that are kept at a time, on the stack.
const POINTERS: usize = 3072;

/// Multiply-accumulate operations that are worth another worker.
const WORTH: usize = if cfg!(test) { 1000 } else { 100_000 };

/// What taps in the padding read.
static ZEROS: [f32; TERMS] = [0.0; TERMS];

/// A dense layer.
pub struct Layer<'a, W> {
    pub g: &'a Geometry,
    pub x: &'a [f32],
    pub w: &'a Weights<'a, W>,
    pub residual: Residual<'a>,
    pub relu: bool,
}

/// Positions and panels of one worker.
struct Part {
    positions: Range<usize>,
    panels: Range<usize>,
}

/// Numbers written by several workers, each its own.
struct Shared(*mut f32);

// SAFETY: workers write through it only what belongs to their parts, see `run`.
unsafe impl Sync for Shared {}

/// Whether there are kernels for a layer besides the portable ones.
pub fn takes(kernels: Kernels, g: &Geometry) -> bool {
    has_lanes(kernels) && !g.depthwise && !g.transposed
}

/// Computes a layer, shared among the workers: by outputs, so that each reads its own weights, or where there are few by
/// positions. Call it only if [`takes`] says so.
pub fn conv<W: Stored>(kernels: Kernels, workers: &dyn Workers, layer: &Layer<W>, out: &mut [f32]) {
    let g = layer.g;
    let (positions, panels) = (g.out_height * g.out_width, g.panels(1));
    let groups = g.out_channels.div_ceil(GROUP);
    let work = positions * g.out_channels * panels.terms;
    let parts = workers.count().min(work / WORTH).max(1);
    let by_outputs = groups >= 4 * parts || positions < parts * ROWS;
    let share = |i: usize, len: usize| len * i / parts..len * (i + 1) / parts;
    let part = |i: usize| match by_outputs {
        true => {
            let groups = share(i, groups);
            Part { positions: 0..positions, panels: groups.start * GROUP / PANEL..groups.end * GROUP / PANEL }
        }
        false => Part { positions: share(i, positions), panels: 0..groups * GROUP / PANEL },
    };
    assert!(out.len() >= positions * g.out_channels && layer.w.bias.len() >= g.out_channels);
    if let Residual::Given(residual) = layer.residual {
        assert!(residual.len() >= positions * g.out_channels);
    }
    assert!(layer.w.weight.len() >= panels.terms * g.out_channels);
    let place = &Shared(out.as_mut_ptr());
    // SAFETY: the layer and the result are as long as the geometry says. Parts share no output: either their positions or
    // their panels are apart.
    workers.run(parts, &|i| unsafe { compute(kernels, layer, part(i), place.0) });
}

/// Computes the outputs of a part.
///
/// # Safety
/// Bias, weights and residual of the layer are as long as its geometry says; `out` holds all its outputs, and nobody else
/// touches those of the part.
unsafe fn compute<W: Stored>(kernels: Kernels, layer: &Layer<W>, part: Part, out: *mut f32) {
    let (g, panels) = (layer.g, layer.g.panels(1));
    let cuts = Cuts::new(g);
    let mut pointers = [const { MaybeUninit::<*const f32>::uninit() }; POINTERS];
    let most_rows = POINTERS / cuts.taps_at_once;
    for positions in chunks(part.positions, most_rows - most_rows % ROWS) {
        let first = positions.start * g.out_channels;
        for block in cuts.blocks() {
            let inputs = inputs(layer, &cuts, &block, positions.clone(), &mut pointers);
            for group in chunks(part.panels.clone(), GROUP / PANEL) {
                let output = group.start * PANEL;
                let offset = first + output;
                // SAFETY: outputs, and what lies as they do, reach as far; so do bias and weights.
                unsafe {
                    let bias = layer.w.bias.as_ptr().add(output);
                    let sums = out.add(offset);
                    let start = match layer.residual {
                        _ if block.terms.start > 0 => Start::Sums,
                        Residual::None => Start::Bias(bias),
                        Residual::Given(residual) => Start::Residual(bias, residual.as_ptr().add(offset)),
                        Residual::InPlace => Start::Residual(bias, sums),
                    };
                    let outputs = g.out_channels.min(group.end * PANEL) - output;
                    let weight = layer.w.weight.as_ptr().add(panels.start(group.start));
                    let block = Block {
                        inputs,
                        count: positions.len(),
                        taps: block.taps.len(),
                        depth: block.inputs.len(),
                        weights: Order::Panels { weight, terms: panels.terms, first_term: block.terms.start },
                        outputs,
                        sums: Sums {
                            first: sums,
                            stride: g.out_channels,
                            start,
                            relu: layer.relu && block.terms.end == panels.terms,
                        },
                    };
                    run_task(kernels, &block);
                }
            }
        }
    }
}

/// How the terms of a layer are cut into blocks.
struct Cuts {
    taps: usize,
    taps_at_once: usize,
    /// Taps side by side in a kernel row.
    taps_in_row: usize,
    /// Inputs of a tap.
    depth: usize,
    depth_at_once: usize,
}

/// Terms that are added before the next rows.
struct Terms {
    terms: Range<usize>,
    taps: Range<usize>,
    /// Of each of the taps.
    inputs: Range<usize>,
}

impl Cuts {
    fn new(g: &Geometry) -> Self {
        // Without padding the taps of a kernel row lie side by side, as one.
        let one = g.padding == 0 && g.upsample == 1;
        let (taps_in_row, depth) =
            if one { (1, g.kernel_width * g.in_channels) } else { (g.kernel_width, g.in_channels) };
        let taps = g.kernel_height * taps_in_row;
        // Blocks of about the same size.
        let depth_at_once = depth.div_ceil(depth.div_ceil(TERMS).max(1)).max(1);
        let most_taps = if depth_at_once < depth { 1 } else { (TERMS / depth_at_once).max(1) };
        let taps_at_once = taps.div_ceil(taps.div_ceil(most_taps).max(1)).max(1);
        Self { taps, taps_at_once, taps_in_row, depth, depth_at_once }
    }

    fn blocks(&self) -> impl Iterator<Item = Terms> {
        let depth = self.depth;
        chunks(0..self.taps, self.taps_at_once).flat_map(move |taps| {
            chunks(0..depth, self.depth_at_once).map(move |inputs| {
                let start = taps.start * depth + inputs.start;
                Terms { terms: start..start + taps.len() * inputs.len(), taps: taps.clone(), inputs }
            })
        })
    }
}

/// Finds the inputs of positions: pointers of all to their first tap, then to the second, and so on.
fn inputs<W>(
    layer: &Layer<W>,
    cuts: &Cuts,
    block: &Terms,
    positions: Range<usize>,
    pointers: &mut [MaybeUninit<*const f32>; POINTERS],
) -> *const *const f32 {
    let g = layer.g;
    let (from, len) = (block.inputs.start, block.inputs.len());
    let nothing = ZEROS[..len].as_ptr();
    let line = g.in_width * g.in_channels;
    let left = padding_along(g.kernel_width, g.padding);
    for (tap, pointers) in block.taps.clone().zip(pointers.chunks_exact_mut(positions.len())) {
        let (ky, kx) = (tap / cuts.taps_in_row, tap % cuts.taps_in_row);
        // Columns whose tap lies in the map.
        let start = left.saturating_sub(kx).div_ceil(g.stride);
        let end = (g.in_width * g.upsample + left).saturating_sub(kx).div_ceil(g.stride);
        // As `Geometry::input_column` for these.
        let column = |x: usize| (x * g.stride + kx - left) >> (g.upsample - 1);
        let mut pointers = &mut *pointers;
        // One output row after the other.
        let mut at = positions.start;
        while at < positions.end {
            let (y, first) = (at / g.out_width, at % g.out_width);
            let last = g.out_width.min(first + positions.end - at);
            let (of_row, rest) = pointers.split_at_mut(last - first);
            (at, pointers) = (at + last - first, rest);
            let (start, end) = (start.clamp(first, last), end.clamp(first, last));
            match g.input_row(y, ky) {
                Some(y) if start < end => {
                    let input = &layer.x[y * line..][..line];
                    let at = |x: usize| column(x) * g.in_channels + from;
                    // The last of them lies in the map, so all do.
                    let inside = input[..at(end - 1) + len].as_ptr();
                    let (before, others) = of_row.split_at_mut(start - first);
                    let (within, after) = others.split_at_mut(end - start);
                    before.iter_mut().chain(after).for_each(|pointer| _ = pointer.write(nothing));
                    for (x, pointer) in (start..end).zip(within) {
                        pointer.write(inside.wrapping_add(at(x)));
                    }
                }
                _ => of_row.iter_mut().for_each(|pointer| _ = pointer.write(nothing)),
            }
        }
    }
    pointers.as_ptr().cast()
}

/// Cuts a range into pieces.
fn chunks(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(len).map(move |start| start..range.end.min(start + len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float;
    use crate::kernels::float::testing::{Several, assert_close, conv_model, geometry, numbers};

    fn one_tap(rows: usize, [ins, outs]: [usize; 2]) -> Geometry {
        Geometry {
            kernel_height: 1,
            kernel_width: 1,
            padding: 0,
            top: 0,
            out_height: 1,
            out_width: rows,
            ..geometry("plain", [1, rows], [ins, outs], 1)
        }
    }

    /// Patches that do not overlap.
    fn patches([ins, outs]: [usize; 2]) -> Geometry {
        let g = geometry("plain", [8, 12], [ins, outs], 1);
        Geometry { kernel_height: 4, kernel_width: 4, stride: 4, padding: 0, top: 0, out_height: 2, out_width: 3, ..g }
    }

    fn geometries() -> Vec<Geometry> {
        let mut all = vec![patches([3, 40]), patches([40, 5])];
        for (rows, channels) in [
            (1, [5, 1]),
            (1, [700, 131]),
            (13, [300, 64]),
            (29, [33, 200]),
            (7, [16, 40]),
            (6, [1, 24]),
            (3, [TERMS, 64]),
            (11, [TERMS + 1, 9]),
        ] {
            all.push(one_tap(rows, channels));
        }
        for (size, channels, stride) in [
            ([1, 1], [3, 3], 1),
            ([5, 7], [8, 72], 2),
            ([9, 20], [37, 33], 1),
            ([4, 4], [300, 17], 1),
            ([6, 11], [19, 1], 1),
            ([3, 8], [90, 65], 1),
        ] {
            all.extend(["plain", "upsampled", "row", "column"].map(|kind| geometry(kind, size, channels, stride)));
        }
        all
    }

    /// The layer of some numbers by every set of kernels and several numbers of workers; all give the same bits.
    fn by_all<W: Stored>(layer: &Layer<W>, before: &[f32]) -> Vec<f32> {
        let mut results = Vec::new();
        for kernels in Kernels::available().filter(|&kernels| takes(kernels, layer.g)) {
            for workers in [1, 2, 3, 8] {
                let mut out = before.to_vec();
                conv(kernels, &Several(workers), layer, &mut out);
                results.push((kernels.name(), workers, out));
            }
        }
        let Some((_, _, first)) = results.first().cloned() else { return Vec::new() };
        for (name, workers, out) in results {
            let same = out.iter().zip(&first).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{name} with {workers} workers, {:?}", layer.g);
        }
        first
    }

    #[test]
    fn all_kernels_follow_the_definition_and_agree_in_every_bit() {
        for g in geometries() {
            let x = numbers(1, g.in_height * g.in_width * g.in_channels);
            let weight = numbers(2, g.panels(1).terms * g.out_channels);
            let bias = numbers(3, g.out_channels);
            let w = Weights { weight: &weight, bias: &bias };
            let (sums, blank) = (conv_model(&g, &x, &w), vec![f32::NAN; g.out_height * g.out_width * g.out_channels]);
            let layer = |residual, relu| Layer { g: &g, x: &x, w: &w, residual, relu };
            let plain = by_all(&layer(Residual::None, false), &blank);
            if plain.is_empty() {
                // A processor that has the portable kernels alone.
                return;
            }
            assert_close(&plain, &sums, 4e-6);
            let mut portable = blank.clone();
            float::conv(&g, &x, &w, Residual::None, false, &mut portable);
            assert_close(&plain, &portable.iter().map(|&x| x.into()).collect::<Vec<_>>(), 4e-6);

            let residual = numbers(4, blank.len());
            let rectified: Vec<f64> = sums.iter().zip(&residual).map(|(y, &r)| (y + f64::from(r)).max(0.0)).collect();
            let given = by_all(&layer(Residual::Given(&residual), true), &blank);
            assert_close(&given, &rectified, 4e-6);
            assert_eq!(by_all(&layer(Residual::InPlace, true), &residual), given);
        }
    }

    #[test]
    fn half_weights_are_widened_weights() {
        for g in geometries() {
            let x = numbers(1, g.in_height * g.in_width * g.in_channels);
            let half: Vec<u16> = numbers(2, g.panels(1).terms * g.out_channels)
                .iter()
                .map(|&w| half::f16::from_f32(w * 0.01).to_bits())
                .collect();
            let mut wide = vec![0.0; half.len()];
            float::widen(&half, &mut wide);
            let bias = numbers(3, g.out_channels);
            let blank = vec![f32::NAN; g.out_height * g.out_width * g.out_channels];
            let layer = Layer {
                g: &g,
                x: &x,
                w: &Weights { weight: &half, bias: &bias },
                residual: Residual::None,
                relu: false,
            };
            let wide = Layer {
                g: &g,
                x: &x,
                w: &Weights { weight: &wide, bias: &bias },
                residual: Residual::None,
                relu: false,
            };
            assert_eq!(by_all(&layer, &blank), by_all(&wide, &blank));
        }
    }
}
