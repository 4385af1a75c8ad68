//! Dense layers on processors with a few registers and a few kilobytes of stack: no table of pointers, no sums of a whole
//! group of outputs. They are the portable kernels: [`scalar`] runs everywhere, other tiles where the target has their
//! instructions.
//!
//! The inputs of one or of a few neighbouring output positions are copied side by side, widened to words and ordered as the
//! instructions want them, four of each position in turn. Then each panel of weights is multiplied with them, a few outputs at
//! a time, whose sums stay in registers over all terms. Sums wrap and are exact, so every order gives the same bytes.
//!
//! All is compiled once for inputs and outputs of both sizes: flash is scarce.

#[cfg(all(dsp, not(helium)))]
mod dsp;
mod finish;
mod gather;
#[cfg(helium)]
mod helium;
#[cfg(not(dsp))]
mod scalar;

use core::mem::MaybeUninit;

use super::Layer;
use crate::kernels::Geometry;
use crate::kernels::int8::{Epilogue, Int, Weights};
use crate::panels::{PANEL, QUAD};
use finish::Numbers;
use gather::{Inputs, Piece};

/// The tiles of the target.
#[cfg(not(dsp))]
type Native = scalar::Scalar;
#[cfg(all(dsp, not(helium)))]
type Native = dsp::Dsp;
#[cfg(helium)]
type Native = helium::Helium;

/// Inputs that are copied at a time: three positions of a 3 x 3 filter over 64 channels. Larger filters are worked off in
/// pieces, their inputs copied again for every panel.
const ROOM: usize = 3 * 9 * 64;

/// Positions of the widest block.
const MOST: usize = 3;

/// Panels of the largest block of one position.
const MOST_PANELS: usize = 6;

// Sums of the largest block.
const _: () = assert!(MOST <= MOST_PANELS);

/// How an instruction set multiplies.
///
/// # Safety
/// Functions read and write no more than they say.
unsafe trait Tiles {
    /// Positions that [`wide`](Self::wide) takes together, at most [`MOST`].
    const WIDE: usize;
    /// Panels of all outputs that [`single`](Self::single) takes together, at most [`MOST_PANELS`].
    const PANELS: usize = 1;
    /// Whether groups of several positions lie in turn; if not, positions lie one after the other.
    const IN_TURN: bool = true;
    /// Whether bytes stay bytes.
    const BYTES: bool = false;

    /// Lets sums `[outputs][positions]`, of one position or [`WIDE`](Self::WIDE), begin with biases.
    ///
    /// # Safety
    /// There is room for the sums.
    #[inline(always)]
    unsafe fn start(bias: &[i32], positions: usize, sums: *mut i32) {
        for (output, &bias) in bias.iter().enumerate() {
            for position in 0..positions {
                // SAFETY: promised by the caller.
                unsafe { sums.add(output * positions + position).write(bias) };
            }
        }
    }

    /// Adds to sums `[outputs][WIDE]` the products of a block of so many positions.
    ///
    /// # Safety
    /// So many inputs, weights and sums are there.
    unsafe fn wide(block: &Block, sums: *mut i32);

    /// The same for one position and sums `[outputs]`.
    ///
    /// # Safety
    /// As for [`wide`](Self::wide).
    unsafe fn single(block: &Block, sums: *mut i32);

    /// Copies groups of four bytes that lie side by side as the tiles take them, a group to every `step` bytes from `to` on.
    ///
    /// # Safety
    /// So many inputs are there, and so much room.
    unsafe fn copy_bytes(from: *const i8, quads: usize, to: *mut u8, step: usize);

    /// The same for words.
    ///
    /// # Safety
    /// As for [`copy_bytes`](Self::copy_bytes).
    unsafe fn copy_words(from: *const i16, quads: usize, to: *mut u8, step: usize);
}

/// What a tile multiplies.
#[repr(C)]
struct Block {
    /// Weights of a panel, from the first group that is wanted on.
    weight: *const i8,
    /// Outputs of a panel, `1..=PANEL`.
    width: usize,
    /// Inputs: groups of the positions, see [`Tiles::IN_TURN`].
    inputs: *const u8,
    /// Groups of terms, at least one.
    quads: usize,
    /// Panels, more than one only as [`Tiles::PANELS`] says; and bytes from the weights of one to those of the next.
    panels: usize,
    step: usize,
    /// Whether inputs are bytes, see [`Tiles::BYTES`].
    bytes: bool,
}

/// Computes a layer.
pub fn run<I: Int, O: Int>(layer: &Layer<I>, out: &mut [O]) {
    let Layer { g, x, in_zero, w, epilogue } = *layer;
    let inputs = Inputs::new(x, in_zero);
    match g.depthwise {
        true => depthwise(g, &inputs, w, epilogue, Numbers::of(out)),
        false => blocks::<Native>(g, &inputs, w, epilogue, Numbers::of(out)),
    }
}

/// Filters that read one channel each.
#[inline(never)]
fn depthwise(g: &Geometry, inputs: &Inputs, w: &Weights, epilogue: &Epilogue, out: Numbers) {
    let finish = finish::Layer::new(w, epilogue, out, g.out_height * g.out_width, g.out_channels);
    let filters = || w.weight.chunks_exact(g.kernel_height * g.kernel_width).zip(w.bias).enumerate();
    let mut position = 0;
    for oy in 0..g.out_height {
        for ox in 0..g.out_width {
            for (channel, (filter, &bias)) in filters() {
                let mut sum = bias;
                for (ky, taps) in filter.chunks_exact(g.kernel_width).enumerate() {
                    let row = g.input_row(oy, ky);
                    for (kx, &weight) in taps.iter().enumerate() {
                        let pixel = row.zip(g.input_column(ox, kx)).map(|(iy, ix)| iy * g.in_width + ix);
                        let x = pixel.map_or(inputs.zero(), |pixel| inputs.get(pixel * g.in_channels + channel));
                        sum = sum.wrapping_add(x * i32::from(weight));
                    }
                }
                finish.write(&[sum], position, 1, channel);
            }
            position += 1;
        }
    }
}

#[inline(never)]
fn blocks<M: Tiles>(g: &Geometry, inputs: &Inputs, w: &Weights, epilogue: &Epilogue, out: Numbers) {
    let panels = g.panels(QUAD);
    let (quads, positions) = (panels.terms / QUAD, g.out_height * g.out_width);
    let finish = finish::Layer::new(w, epilogue, out, positions, g.out_channels);
    assert!(inputs.len() >= g.in_height * g.in_width * g.in_channels);
    let chosen = w.panels(&panels);
    let chosen = chosen.start * PANEL..g.out_channels.min(chosen.end * PANEL);
    assert!(w.weight.len() >= panels.terms * chosen.len() && w.bias.len() == g.out_channels);
    // As words of 64 bits: groups are read by instructions that want them aligned.
    let mut room = [MaybeUninit::<u64>::uninit(); ROOM / QUAD];
    let room = room.as_mut_ptr().cast::<u8>();
    let bytes = M::BYTES && inputs.are_bytes();
    let mut sums = [0; PANEL * MOST_PANELS];
    let (mut first, mut at) = (0, [0, 0]);
    while first < positions {
        let count = if positions - first >= M::WIDE { M::WIDE } else { 1 };
        // Groups of each position that there is room for.
        let most = ROOM / QUAD / count;
        let mut first_output = chosen.start;
        while first_output < chosen.end {
            let left = chosen.end - first_output;
            // A single position may take several full panels.
            let panels_at_once = if count == 1 { (left / PANEL).min(M::PANELS) } else { 1 };
            let outputs = left.min(PANEL * panels_at_once.max(1));
            let bias = &w.bias[first_output..][..outputs];
            let width = outputs.min(PANEL);
            // SAFETY: a panel has at most so many outputs as there is room for.
            unsafe { M::start(bias, count, sums.as_mut_ptr()) };
            let mut weight = w.weight[(first_output - chosen.start) * panels.terms..].as_ptr();
            let mut start = 0;
            while start < quads {
                let len = most.min(quads - start);
                if first_output == chosen.start || quads > most {
                    gather::gather::<M>(g, inputs, &Piece { first: at, count, start, len, to: room });
                }
                let (panels, step) = (outputs.div_ceil(PANEL), panels.terms * PANEL);
                let block = Block { weight, width, inputs: room, quads: len, panels, step, bytes };
                // SAFETY: the inputs of so many groups have been copied, the panel has weights for all groups, and there are
                // sums for its outputs.
                unsafe {
                    if count > 1 { M::wide(&block, sums.as_mut_ptr()) } else { M::single(&block, sums.as_mut_ptr()) }
                }
                weight = weight.wrapping_add(len * width * QUAD);
                start += len;
            }
            finish.write(&sums[..outputs * count], first, count, first_output);
            first_output += outputs;
        }
        first += count;
        at[1] += count;
        while at[1] >= g.out_width {
            at = [at[0] + 1, at[1] - g.out_width];
        }
    }
}
