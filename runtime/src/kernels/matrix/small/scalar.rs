//! Any processor: plain products, each input and weight loaded once for several of them.

use super::{Block, Tiles};
use crate::kernels::int8::Int;
use crate::panels::QUAD;

/// Blocks of two positions by four outputs.
pub struct Scalar;

/// Outputs side by side.
const OUTPUTS: usize = 4;

// SAFETY: the loops of `outputs` reach over what the block says, `copy` over so many groups.
unsafe impl Tiles for Scalar {
    const WIDE: usize = 2;

    unsafe fn wide(block: &Block, sums: *mut i32) {
        // SAFETY: promised by the caller.
        unsafe { outputs::<2>(block, sums) }
    }

    unsafe fn single(block: &Block, sums: *mut i32) {
        // SAFETY: promised by the caller.
        unsafe { outputs::<1>(block, sums) }
    }

    unsafe fn copy_bytes(from: *const i8, quads: usize, to: *mut u8, step: usize) {
        // SAFETY: promised by the caller.
        unsafe { copy(from, quads, to, step) }
    }

    unsafe fn copy_words(from: *const i16, quads: usize, to: *mut u8, step: usize) {
        // SAFETY: promised by the caller.
        unsafe { copy(from, quads, to, step) }
    }
}

/// # Safety
/// As [`Tiles::copy_bytes`].
#[inline(always)]
unsafe fn copy<I: Int>(mut from: *const I, quads: usize, mut to: *mut u8, step: usize) {
    for _ in 0..quads {
        // SAFETY: promised by the caller.
        unsafe {
            let quad: [I; QUAD] = core::array::from_fn(|i| from.add(i).read());
            to.cast::<[i16; QUAD]>().write(quad.map(|x| x.into() as i16));
        }
        from = from.wrapping_add(QUAD);
        to = to.wrapping_add(step);
    }
}

/// All outputs of a block with `P` positions.
unsafe fn outputs<const P: usize>(block: &Block, sums: *mut i32) {
    let mut output = 0;
    // SAFETY: these outputs exist.
    unsafe {
        while output + OUTPUTS <= block.width {
            tile::<P, OUTPUTS>(block, output, sums);
            output += OUTPUTS;
        }
        while output < block.width {
            tile::<P, 1>(block, output, sums);
            output += 1;
        }
    }
}

/// # Safety
/// As [`Tiles::wide`], for outputs `output..output + N`.
#[inline(always)]
unsafe fn tile<const P: usize, const N: usize>(block: &Block, output: usize, sums: *mut i32) {
    // SAFETY: sums of so many outputs are there, without gaps.
    let sums = unsafe { &mut *sums.add(output * P).cast::<[[i32; P]; N]>() };
    let mut totals = *sums;
    let mut weights = block.weight.wrapping_add(output * QUAD).cast::<[[i8; QUAD]; N]>();
    let mut inputs = block.inputs.cast::<[[i16; QUAD]; P]>();
    for _ in 0..block.quads {
        // SAFETY: the caller's promise.
        let (w, x) = unsafe { (&*weights, &*inputs) };
        for term in 0..QUAD {
            for (totals, w) in totals.iter_mut().zip(w) {
                for (total, x) in totals.iter_mut().zip(x) {
                    *total = total.wrapping_add(i32::from(w[term]) * i32::from(x[term]));
                }
            }
        }
        weights = weights.wrapping_byte_add(block.width * QUAD);
        inputs = inputs.wrapping_add(1);
    }
    *sums = totals;
}
