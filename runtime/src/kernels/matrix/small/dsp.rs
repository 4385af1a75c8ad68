//! Armv7E-M and Armv8-M with the DSP extension: `smlad` multiplies two words by two others and adds both products.
//!
//! Four weights of an output are one load and two `sxtb16`, as the first with the third and the second with the fourth.
//! Inputs are copied in the same order. Functions are assembly as a whole: compilers leave a register of the fourteen to the
//! frame and another to themselves, and the block of 2 outputs by 3 positions needs all of them.
//!
//! `smlad` sets a flag where its sum overflows; nothing here reads it.

use core::arch::naked_asm;

use super::{Block, Tiles};
use crate::panels::{PANEL, QUAD};

/// A directive for the assembler: of Armv8-M it takes DSP instructions only for a processor that has them.
#[cfg(v8m)]
macro_rules! processor {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(v8m))]
macro_rules! processor {
    () => {
        ""
    };
}

/// Blocks of three positions by two outputs.
pub struct Dsp;

/// Tiles: the first group of weights of the first output, inputs, groups, sums, bytes from a group of weights to the next.
type Tile = unsafe extern "C" fn(*const i8, *const i16, usize, *mut i32, usize);

// SAFETY: tiles reach over the outputs that `outputs` counts.
unsafe impl Tiles for Dsp {
    const WIDE: usize = 3;

    unsafe fn wide(block: &Block, sums: *mut i32) {
        let pairs: Tile = if block.width == PANEL { tile_2x3_of_panel } else { tile_2x3 };
        // SAFETY: promised by the caller.
        unsafe { outputs(block, sums, Self::WIDE, (2, pairs), tile_1x3) }
    }

    unsafe fn single(block: &Block, sums: *mut i32) {
        // SAFETY: promised by the caller.
        unsafe { outputs(block, sums, 1, (4, tile_4x1), tile_1x1) }
    }

    unsafe fn copy_bytes(from: *const i8, quads: usize, to: *mut u8, step: usize) {
        // SAFETY: promised by the caller.
        unsafe { copy_bytes(from, quads, to, step) }
    }

    unsafe fn copy_words(from: *const i16, quads: usize, to: *mut u8, step: usize) {
        // SAFETY: promised by the caller.
        unsafe { copy_words(from, quads, to, step) }
    }
}

/// All outputs of a block: some at a time as long as there are so many, then one by one.
unsafe fn outputs(block: &Block, sums: *mut i32, positions: usize, (many, tile): (usize, Tile), one: Tile) {
    let mut output = 0;
    while output < block.width {
        let (count, tile) = if block.width - output >= many { (many, tile) } else { (1, one) };
        // SAFETY: these outputs exist, and the processor has the instructions, as the module is compiled for it.
        unsafe {
            let (weight, sums) = (block.weight.add(output * QUAD), sums.add(output * positions));
            tile(weight, block.inputs.cast(), block.quads, sums, block.width * QUAD);
        }
        output += count;
    }
}

/// A group of two outputs and three positions: 24 products by 20 instructions. `$load` loads two words of weights and moves
/// on; it may use `lr`.
macro_rules! group_2x3 {
    ($load:literal) => {
        concat!(
            $load,
            "
            sxtb16 r10, r2
            sxtb16 r2, r2, ror #8
            sxtb16 r11, r3
            sxtb16 r3, r3, ror #8
            ldrd r12, lr, [r1], #8
            smlad r4, r12, r10, r4
            smlad r7, r12, r11, r7
            smlad r4, lr, r2, r4
            smlad r7, lr, r3, r7
            ldrd r12, lr, [r1], #8
            smlad r5, r12, r10, r5
            smlad r8, r12, r11, r8
            smlad r5, lr, r2, r5
            smlad r8, lr, r3, r8
            ldrd r12, lr, [r1], #8
            smlad r6, r12, r10, r6
            smlad r9, r12, r11, r9
            smlad r6, lr, r2, r6
            smlad r9, lr, r3, r9
            "
        )
    };
}

/// A tile of two outputs and three positions; two groups a turn, of which the first is left out once if their number is odd.
macro_rules! tile_2x3 {
    ($load:literal) => {
        naked_asm!(
            processor!(),
            "push {{r3-r11, lr}}",
            // The stack: where the inputs end, bytes between groups, where the sums are, what the caller wants back.
            "ldr r12, [sp, #40]",
            "add r11, r2, r2, lsl #1",
            "add r11, r1, r11, lsl #3",
            "push {{r11, r12}}",
            "ldm r3, {{r4-r9}}",
            "lsls r2, r2, #31",
            "bne 3f",
            "2:",
            group_2x3!($load),
            "3:",
            group_2x3!($load),
            "ldr r12, [sp]",
            "cmp r1, r12",
            "bne 2b",
            "ldr r3, [sp, #8]",
            "stm r3, {{r4-r9}}",
            "add sp, #12",
            "pop {{r4-r11, pc}}",
        )
    };
}

/// Of a full panel, whose groups are 64 bytes apart.
#[unsafe(naked)]
unsafe extern "C" fn tile_2x3_of_panel(_: *const i8, _: *const i16, _: usize, _: *mut i32, _: usize) {
    tile_2x3!("ldrd r2, r3, [r0], #64")
}

/// Of a panel of any width.
#[unsafe(naked)]
unsafe extern "C" fn tile_2x3(_: *const i8, _: *const i16, _: usize, _: *mut i32, _: usize) {
    tile_2x3!("ldr lr, [sp, #4]\n ldrd r2, r3, [r0]\n add r0, r0, lr")
}

/// One output and three positions: 12 products by 15 instructions and a half.
#[unsafe(naked)]
unsafe extern "C" fn tile_1x3(_: *const i8, _: *const i16, _: usize, _: *mut i32, _: usize) {
    macro_rules! group {
        () => {
            "
            ldr r7, [r0]
            add r0, r0, r12
            sxtb16 r8, r7
            sxtb16 r7, r7, ror #8
            ldrd r9, r10, [r1], #8
            smlad r4, r9, r8, r4
            smlad r4, r10, r7, r4
            ldrd r9, r10, [r1], #8
            smlad r5, r9, r8, r5
            smlad r5, r10, r7, r5
            ldrd r9, r10, [r1], #8
            smlad r6, r9, r8, r6
            smlad r6, r10, r7, r6
            "
        };
    }
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldm r3, {{r4-r6}}",
        "lsrs r2, r2, #1",
        "bcs 3f",
        "2:",
        group!(),
        "sub r2, r2, #1",
        "3:",
        group!(),
        "cmp r2, #0",
        "bne 2b",
        "stm r3, {{r4-r6}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Four outputs and one position: 16 products by 20 instructions and a half.
#[unsafe(naked)]
unsafe extern "C" fn tile_4x1(_: *const i8, _: *const i16, _: usize, _: *mut i32, _: usize) {
    macro_rules! group {
        () => {
            "
            ldm r0, {{r8-r11}}
            add r0, r0, r12
            ldrd r2, lr, [r1], #8
            sxtb16 r3, r8
            sxtb16 r8, r8, ror #8
            smlad r4, r2, r3, r4
            smlad r4, lr, r8, r4
            sxtb16 r3, r9
            sxtb16 r9, r9, ror #8
            smlad r5, r2, r3, r5
            smlad r5, lr, r9, r5
            sxtb16 r3, r10
            sxtb16 r10, r10, ror #8
            smlad r6, r2, r3, r6
            smlad r6, lr, r10, r6
            sxtb16 r3, r11
            sxtb16 r11, r11, ror #8
            smlad r7, r2, r3, r7
            smlad r7, lr, r11, r7
            "
        };
    }
    naked_asm!(
        processor!(),
        "push {{r3-r11, lr}}",
        "ldr r12, [sp, #40]",
        // Where the inputs end.
        "add r11, r1, r2, lsl #3",
        "push {{r11}}",
        "ldm r3, {{r4-r7}}",
        "lsls r2, r2, #31",
        "bne 3f",
        "2:",
        group!(),
        "3:",
        group!(),
        "ldr r3, [sp]",
        "cmp r1, r3",
        "bne 2b",
        "ldr r3, [sp, #4]",
        "stm r3, {{r4-r7}}",
        "add sp, #8",
        "pop {{r4-r11, pc}}",
    )
}

/// One output and one position.
#[unsafe(naked)]
unsafe extern "C" fn tile_1x1(_: *const i8, _: *const i16, _: usize, _: *mut i32, _: usize) {
    naked_asm!(
        processor!(),
        "push {{r4-r7, lr}}",
        "ldr r12, [sp, #20]",
        "ldr r4, [r3]",
        "2:",
        "ldr r7, [r0]",
        "add r0, r0, r12",
        "sxtb16 r6, r7",
        "sxtb16 r7, r7, ror #8",
        "ldrd r5, lr, [r1], #8",
        "smlad r4, r5, r6, r4",
        "smlad r4, lr, r7, r4",
        "subs r2, #1",
        "bne 2b",
        "str r4, [r3]",
        "pop {{r4-r7, pc}}",
    )
}

/// Copies groups of bytes, widened; `step` bytes from one to the next.
#[unsafe(naked)]
unsafe extern "C" fn copy_bytes(_from: *const i8, _quads: usize, _to: *mut u8, _step: usize) {
    naked_asm!(
        processor!(),
        "push {{r4, r5, r6, lr}}",
        "lsrs r1, r1, #1",
        "bcc 2f",
        "ldr r5, [r0], #4",
        "sxtb16 r4, r5",
        "sxtb16 r5, r5, ror #8",
        "strd r4, r5, [r2]",
        "add r2, r2, r3",
        "cbz r1, 3f",
        "2:",
        "ldr r5, [r0], #4",
        "ldr r6, [r0], #4",
        "sxtb16 r4, r5",
        "sxtb16 r5, r5, ror #8",
        "strd r4, r5, [r2]",
        "add r2, r2, r3",
        "sxtb16 r4, r6",
        "sxtb16 r5, r6, ror #8",
        "strd r4, r5, [r2]",
        "add r2, r2, r3",
        "subs r1, #1",
        "bne 2b",
        "3:",
        "pop {{r4, r5, r6, pc}}",
    )
}

/// The same of words.
#[unsafe(naked)]
unsafe extern "C" fn copy_words(_from: *const i16, _quads: usize, _to: *mut u8, _step: usize) {
    macro_rules! group {
        () => {
            "
            ldr r4, [r0], #4
            ldr r5, [r0], #4
            pkhbt r6, r4, r5, lsl #16
            pkhtb r12, r5, r4, asr #16
            strd r6, r12, [r2]
            add r2, r2, r3
            "
        };
    }
    naked_asm!(
        processor!(),
        "push {{r4, r5, r6, lr}}",
        "lsrs r1, r1, #1",
        "bcc 2f",
        group!(),
        "cbz r1, 3f",
        "2:",
        group!(),
        group!(),
        "subs r1, #1",
        "bne 2b",
        "3:",
        "pop {{r4, r5, r6, pc}}",
    )
}
