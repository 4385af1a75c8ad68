//! From sums to stored numbers, in loops that compilers have vectors for.

use core::ops::Range;

use super::{GROUP, Group};
use crate::kernels::int8::{Int, Rescale, Residual};

/// Writes the outputs of some positions.
///
/// # Safety
/// `out` holds the positions' outputs, and nobody else touches those of the group.
#[inline(always)]
pub unsafe fn write<O: Int>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    // SAFETY: promised by the caller.
    unsafe { write_some(group, sums, positions, 0..group.starts.len(), out) }
}

/// Writes some of the group's outputs.
///
/// # Safety
/// As for [`write`].
#[inline(always)]
pub unsafe fn write_some<O: Int>(
    group: &Group,
    sums: &[i32],
    positions: Range<usize>,
    outputs: Range<usize>,
    out: *mut O,
) {
    let (width, len) = (group.starts.len(), outputs.len());
    let (starts, first_output) = (&group.starts[outputs.clone()], group.first_output + outputs.start);
    let mut residual = [0i32; GROUP];
    let residual = &mut residual[..len];
    for (sums, position) in sums.chunks_exact(width).zip(positions) {
        let first = position * group.channels + first_output;
        // SAFETY: promised by the caller.
        let out = unsafe { core::slice::from_raw_parts_mut(out.add(first), len) };
        match group.epilogue.residual {
            Residual::None => {}
            Residual::I8(r, zero) => centre(&r[first..], zero, residual),
            Residual::I16(r) => centre(&r[first..], 0, residual),
            Residual::InPlace(zero) => centre(out, zero, residual),
        }
        let sums =
            sums[outputs.clone()].iter().zip(starts).map(|(&sum, &start)| start.wrapping_add(sum)).zip(&*residual);
        // Rows of multiplier and shift, or of three with a factor of the residual.
        if matches!(group.epilogue.residual, Residual::None) {
            let rows = group.w.rescale[2 * first_output..].as_chunks::<2>().0;
            for (((sum, _), &[multiplier, shift]), out) in sums.zip(rows).zip(out) {
                *out = stored(group, Rescale { multiplier, shift: shift as u32, residual: 0 }.apply(sum, 0));
            }
        } else {
            let rows = group.w.rescale[3 * first_output..].as_chunks::<3>().0;
            for (((sum, &r), &[multiplier, shift, residual]), out) in sums.zip(rows).zip(out) {
                *out = stored(group, Rescale { multiplier, shift: shift as u32, residual }.apply(sum, r));
            }
        }
    }
}

/// Takes the zero point off.
#[inline(always)]
fn centre<T: Int>(x: &[T], zero: i32, numbers: &mut [i32]) {
    for (number, &x) in numbers.iter_mut().zip(x) {
        *number = x.into() - zero;
    }
}

/// What is stored for a result.
#[inline(always)]
fn stored<O: Int>(group: &Group, y: i64) -> O {
    let limit = 1i64 << (group.epilogue.bits - 1);
    let y = if group.epilogue.relu { y.max(0) } else { y };
    O::saturate((y + i64::from(group.epilogue.zero_point)).clamp(-limit, limit - 1))
}
