//! 64-bit ARM: NEON, which every such processor has, and its dot products of signed bytes.
//!
//! The standard library's dot products are not stable yet, so they are assembly of one instruction.

use core::arch::aarch64::*;
use core::arch::asm;
use core::ops::Range;

use super::finish::write_some;
use super::i8mm;
use super::tile::{Dot, Rows, product};
use super::{Group, Method};
use crate::kernels::int8::{Int, Residual};
use crate::kernels::isa::Isa;

/// How 8-bit inputs are multiplied as bytes; `None` where they are widened to words.
pub fn bytes(isa: Isa) -> Option<Method<i8>> {
    match isa {
        Isa::NeonDot => Some(Method { product: bytes_dot, excess: false, pairs: None }),
        Isa::NeonI8mm => Some(Method { product: i8mm::product, excess: false, pairs: None }),
        _ => None,
    }
}

/// How words are multiplied.
pub fn words(_: Isa) -> Method<i16> {
    Method { product: words_neon, excess: false, pairs: None }
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn bytes_dot(rows: Rows<i8>, count: usize, weight: &[i8], terms: usize, sums: *mut i32) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { product::<Bytes, 4>(rows, count, weight, terms, sums) }
}

#[target_feature(enable = "neon")]
unsafe fn words_neon(rows: Rows<i16>, count: usize, weight: &[i8], terms: usize, sums: *mut i32) {
    // SAFETY: as above.
    unsafe { product::<Words, 2>(rows, count, weight, terms, sums) }
}

/// Four weights of four outputs, or of fewer.
#[inline(always)]
pub unsafe fn some_bytes(at: *const i8, outputs: usize) -> int8x16_t {
    // SAFETY: only these outputs are read.
    unsafe {
        let quad = |i: usize| at.cast::<i32>().add(i).read_unaligned();
        let mut weights = vsetq_lane_s32::<0>(quad(0), vdupq_n_s32(0));
        if outputs > 1 {
            weights = vsetq_lane_s32::<1>(quad(1), weights);
        }
        if outputs > 2 {
            weights = vsetq_lane_s32::<2>(quad(2), weights);
        }
        if outputs > 3 {
            weights = vsetq_lane_s32::<3>(quad(3), weights);
        }
        vreinterpretq_s8_s32(weights)
    }
}

/// 4 outputs, their four bytes multiplied by one instruction.
struct Bytes;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Dot for Bytes {
    type Input = i8;
    type Inputs = int8x16_t;
    type Weights = int8x16_t;
    type Sums = int32x4_t;
    const OUTPUTS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i8) -> int8x16_t {
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(at.cast::<i32>().read_unaligned())) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> int8x16_t {
        unsafe { vld1q_s8(at) }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> int8x16_t {
        unsafe { some_bytes(at, outputs) }
    }
    #[inline(always)]
    unsafe fn dot(mut sums: int32x4_t, inputs: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // SAFETY: registers only.
        unsafe {
            asm!(
                "sdot {sums:v}.4s, {weights:v}.16b, {inputs:v}.16b",
                sums = inout(vreg) sums,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sums
    }
    #[inline(always)]
    unsafe fn store(sums: int32x4_t, at: *mut i32) {
        unsafe { vst1q_s32(at, sums) }
    }
}

/// 4 outputs: their weights are turned, so that an instruction multiplies one term of each.
struct Words;

/// Where the turned weights lie: the first term of every output, the second and so on.
const TURNED: [u8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

impl Words {
    #[inline(always)]
    unsafe fn turned(weights: int8x16_t) -> int16x8x2_t {
        // SAFETY: 16 numbers.
        unsafe {
            let turned = vqtbl1q_s8(weights, vld1q_u8(TURNED.as_ptr()));
            int16x8x2_t(vmovl_s8(vget_low_s8(turned)), vmovl_high_s8(turned))
        }
    }
}

// SAFETY: as for `Bytes`.
unsafe impl Dot for Words {
    type Input = i16;
    type Inputs = int16x4_t;
    type Weights = int16x8x2_t;
    type Sums = int32x4_t;
    const OUTPUTS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> int32x4_t {
        unsafe { vdupq_n_s32(0) }
    }
    #[inline(always)]
    unsafe fn inputs(at: *const i16) -> int16x4_t {
        unsafe { vld1_s16(at) }
    }
    #[inline(always)]
    unsafe fn weights(at: *const i8) -> int16x8x2_t {
        unsafe { Self::turned(vld1q_s8(at)) }
    }
    #[inline(always)]
    unsafe fn some_weights(at: *const i8, outputs: usize) -> int16x8x2_t {
        unsafe { Self::turned(some_bytes(at, outputs)) }
    }
    #[inline(always)]
    unsafe fn dot(sums: int32x4_t, inputs: int16x4_t, weights: int16x8x2_t) -> int32x4_t {
        unsafe {
            let sums = vmlal_lane_s16::<0>(sums, vget_low_s16(weights.0), inputs);
            let sums = vmlal_high_lane_s16::<1>(sums, weights.0, inputs);
            let sums = vmlal_lane_s16::<2>(sums, vget_low_s16(weights.1), inputs);
            vmlal_high_lane_s16::<3>(sums, weights.1, inputs)
        }
    }
    #[inline(always)]
    unsafe fn store(sums: int32x4_t, at: *mut i32) {
        unsafe { vst1q_s32(at, sums) }
    }
}

/// Four stored numbers at a time.
pub trait Four: Int {
    /// # Safety
    /// Four numbers lie there.
    unsafe fn read(at: *const Self) -> int32x4_t;
    /// # Safety
    /// There is room for four numbers; they are in range.
    unsafe fn write(numbers: int32x4_t, at: *mut Self);
}

impl Four for i8 {
    #[inline(always)]
    unsafe fn read(at: *const i8) -> int32x4_t {
        // SAFETY: promised by the caller.
        unsafe {
            let bytes = vreinterpret_s8_u32(vdup_n_u32(at.cast::<u32>().read_unaligned()));
            vmovl_s16(vget_low_s16(vmovl_s8(bytes)))
        }
    }
    #[inline(always)]
    unsafe fn write(numbers: int32x4_t, at: *mut i8) {
        // SAFETY: promised by the caller.
        unsafe {
            let words = vmovn_s32(numbers);
            let bytes = vmovn_s16(vcombine_s16(words, words));
            at.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_s8(bytes)));
        }
    }
}

impl Four for i16 {
    #[inline(always)]
    unsafe fn read(at: *const i16) -> int32x4_t {
        // SAFETY: promised by the caller.
        unsafe { vmovl_s16(vld1_s16(at)) }
    }
    #[inline(always)]
    unsafe fn write(numbers: int32x4_t, at: *mut i16) {
        // SAFETY: promised by the caller.
        unsafe { vst1_s16(at, vmovn_s32(numbers)) }
    }
}

/// Writes the outputs of some positions, four at a time.
///
/// # Safety
/// `out` holds the positions' outputs, and nobody else touches those of the group.
#[target_feature(enable = "neon")]
pub unsafe fn finish<O: Four>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    let (epilogue, width) = (group.epilogue, group.starts.len());
    let whole = width / 4 * 4;
    let rescale = group.w.rescale.as_ptr();
    // SAFETY: everything is read and written for outputs of the group only. The length of a residual is that of the output.
    unsafe {
        let limit = vdupq_n_s32((1 << (epilogue.bits - 1)) - 1);
        let zero_point = vdupq_n_s32(epilogue.zero_point);
        let least = if epilogue.relu { vdupq_n_s32(0) } else { vdupq_n_s32(i32::MIN) };
        for i in (0..whole).step_by(4) {
            let output = group.first_output + i;
            let start = vld1q_s32(group.starts.as_ptr().add(i));
            // Multipliers, shifts and factors of the residual.
            let factors = match epilogue.residual {
                Residual::None => {
                    let pairs = vld2q_s32(rescale.add(output * 2));
                    int32x4x3_t(pairs.0, pairs.1, vdupq_n_s32(0))
                }
                _ => vld3q_s32(rescale.add(output * 3)),
            };
            // Shifts to the right that add half first.
            let left = vnegq_s32(factors.1);
            let (left_low, left_high) = (vmovl_s32(vget_low_s32(left)), vmovl_high_s32(left));
            for (row, position) in positions.clone().enumerate() {
                let at = position * group.channels + output;
                let place = out.add(at);
                let sum = vaddq_s32(start, vld1q_s32(sums.as_ptr().add(row * width + i)));
                let residual = match epilogue.residual {
                    Residual::None => None,
                    Residual::I8(r, zero) => Some(vsubq_s32(i8::read(r.as_ptr().add(at)), vdupq_n_s32(zero))),
                    Residual::I16(r) => Some(i16::read(r.as_ptr().add(at))),
                    Residual::InPlace(zero) => Some(vsubq_s32(O::read(place), vdupq_n_s32(zero))),
                };
                let mut low = vmull_s32(vget_low_s32(sum), vget_low_s32(factors.0));
                let mut high = vmull_high_s32(sum, factors.0);
                if let Some(residual) = residual {
                    low = vmlal_s32(low, vget_low_s32(residual), vget_low_s32(factors.2));
                    high = vmlal_high_s32(high, residual, factors.2);
                }
                // What saturates here does so below too.
                let low = vqmovn_s64(vrshlq_s64(low, left_low));
                let y = vmaxq_s32(vqmovn_high_s64(low, vrshlq_s64(high, left_high)), least);
                let y = vqaddq_s32(y, zero_point);
                O::write(vminq_s32(vmaxq_s32(y, vmvnq_s32(limit)), limit), place);
            }
        }
        // The last, fewer than four.
        if whole < width {
            write_some(group, sums, positions, whole..width, out);
        }
    }
}
