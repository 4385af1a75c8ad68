//! Armv8.1-M with Helium: `vmladava` multiplies all bytes or words of two registers and adds the products to a general one.
//!
//! Inputs are copied as they are, position after position. Sixteen weights of an output lie in four groups: a load that gathers
//! takes them together. Loops are predicated, so that the last turn may have less to do.

use core::arch::naked_asm;

use super::{Block, Tiles};
use crate::panels::PANEL;

/// Blocks of three positions by two outputs.
pub struct Helium;

// SAFETY: the functions reach over the outputs of the panel and the groups of the block, and copy so many groups. The processor
// has the instructions, as the module is compiled for it.
unsafe impl Tiles for Helium {
    const WIDE: usize = 3;
    const PANELS: usize = 6;
    const IN_TURN: bool = false;
    const BYTES: bool = true;

    unsafe fn start(bias: &[i32], positions: usize, sums: *mut i32) {
        // SAFETY: promised by the caller.
        unsafe {
            match positions {
                1 => copy(bias.as_ptr().cast(), sums.cast(), size_of_val(bias)),
                _ => start(bias.as_ptr(), bias.len(), sums),
            }
        }
    }

    unsafe fn wide(block: &Block, sums: *mut i32) {
        // SAFETY: promised by the caller.
        unsafe { if block.bytes { wide_bytes(block, sums) } else { wide_words(block, sums) } }
    }

    unsafe fn single(block: &Block, sums: *mut i32) {
        // SAFETY: promised by the caller.
        unsafe {
            if block.bytes && block.width == PANEL {
                return single_bytes_of_panels(block, sums);
            }
            let tile = if block.bytes { single_bytes } else { single_words };
            tile(block, sums);
            for panel in 1..block.panels {
                let weight = block.weight.add(panel * block.step);
                tile(&Block { weight, ..*block }, sums.add(panel * PANEL));
            }
        }
    }

    unsafe fn copy_bytes(from: *const i8, quads: usize, to: *mut u8, _step: usize) {
        // SAFETY: promised by the caller; groups lie side by side.
        unsafe { copy(from.cast(), to, quads * 4) }
    }

    unsafe fn copy_words(from: *const i16, quads: usize, to: *mut u8, _step: usize) {
        // SAFETY: as above.
        unsafe { copy(from.cast(), to, quads * 8) }
    }
}

/// Copies so many bytes, at least one.
#[unsafe(naked)]
unsafe extern "C" fn copy(_from: *const u8, _to: *mut u8, _len: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "dlstp.8 lr, r2",
        "2:",
        "vldrb.u8 q0, [r0], #16",
        "vstrb.8 q0, [r1], #16",
        "letp lr, 2b",
        "pop {{r7, pc}}",
    )
}

/// See [`Finish`]; `$store` stores four numbers of `q2` through a register and goes on, once for each position.
///
/// The upper halves of the products, shifted by all but one of the bits that are dropped; the rest as in `finish.rs`.
macro_rules! finish {
    ($store:literal, $forward:literal, $step:literal, [$($position:literal $out:literal),*]) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r8, lr}}",
            "vpush {{d8-d15}}",
            "ldm r0, {{r1-r8}}",
            "vdup.32 q6, r6",
            "vdup.32 q7, r7",
            // Addresses of multipliers and of sums, four outputs apart in the end.
            "movs r0, #0",
            "vidup.u32 q5, r0, #1",
            concat!("movs r6, #", $step),
            "vmul.i32 q4, q5, r6",
            "vadd.i32 q4, q4, r2",
            "lsls r6, r6, #2",
            "vshl.i32 q5, q5, #3",
            "vadd.i32 q5, q5, r1",
            "movs r1, #32",
            "movs r0, #0",
            "vdup.32 q3, r0",
            "movs r2, #33",
            // Where the numbers of the positions go.
            "adds r7, r3, r4",
            "adds r4, r7, r4",
            "dlstp.32 lr, r8",
            "2:",
            "vldrw.u32 q1, [q5, #4]",
            "vldrw.u32 q0, [q5]",
            "vneg.s32 q1, q1",
            "vadd.i32 q5, q5, r1",
            "vadd.i32 q1, q1, r2",
            "vmax.s32 q3, q3, q1",
            $(
                concat!("vldrw.u32 q2, [q4, #", $position, "]"),
                "vmulh.s32 q2, q2, q0",
                "vshl.s32 q2, q2, q1",
                "vadd.i32 q2, q2, r5",
                "vshr.s32 q2, q2, #1",
                "vmax.s32 q2, q2, q6",
                "vmin.s32 q2, q2, q7",
                concat!($store, " q2, [", $out, "], #", $forward),
            )*
            "vadd.i32 q4, q4, r6",
            "letp lr, 2b",
            "vmaxv.s32 r0, q3",
            "vpop {{d8-d15}}",
            "pop {{r4-r8, pc}}",
        )
    };
}

/// Offsets of the weights of an output, `q7`: four groups of bytes, `r6` bytes apart.
macro_rules! byte_offsets {
    () => {
        "
        movs r0, #0
        vidup.u32 q7, r0, #1
        vmul.i32 q7, q7, r6
        "
    };
}

/// The same of the words that two groups become; and of the next three outputs, `q6`, `q5` and `q4`. `q0` and `q1` are lost.
macro_rules! word_offsets {
    () => {
        "
        movs r0, #0
        vidup.u16 q0, r0, #1
        vshr.u16 q1, q0, #2
        vmul.i16 q7, q1, r6
        vshl.i16 q1, q1, #2
        vsub.i16 q0, q0, q1
        vadd.i16 q7, q7, q0
        movs r0, #4
        vadd.i16 q6, q7, r0
        vadd.i16 q5, q6, r0
        vadd.i16 q4, q5, r0
        "
    };
}

/// All outputs of a panel at three positions, two outputs at a time. Parameters: the logarithms of the bytes of a group of
/// inputs, of the elements of a group that the loop counts, and of the groups of a turn; the elements' size; what sets offsets;
/// what begins some outputs whose weights begin at `r12`; what loads weights of two and of one output and goes on by the `r7`
/// bytes of a turn; what loads inputs; what multiplies.
macro_rules! wide {
    ($bytes:literal, $elements:literal, $turn:literal, $size:literal, $offsets:expr, $base:literal, $two:literal,
        $one:literal, $load:literal, $dot:literal) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            // Inputs of three positions, weights, elements.
            "sub sp, #20",
            "ldm r0, {{r2-r5}}",
            "mov r9, r1",
            concat!("add r8, r4, r5, lsl #", $bytes),
            concat!("add r10, r8, r5, lsl #", $bytes),
            "strd r4, r8, [sp]",
            "str r10, [sp, #8]",
            "mov r12, r2",
            concat!("lsl r5, r5, #", $elements),
            "str r5, [sp, #16]",
            "mov r11, r3",
            "lsls r6, r3, #2",
            concat!("lsls r7, r6, #", $turn),
            $offsets,
            "cmp r11, #2",
            "blo 4f",
            "2:",
            "add r0, r12, #8",
            "str r0, [sp, #12]",
            $base,
            "ldrd r1, r3, [sp]",
            "ldr r5, [sp, #8]",
            "ldr lr, [sp, #16]",
            "ldm r9, {{r0, r2, r4, r6, r8, r10}}",
            concat!("dlstp.", $size, " lr, lr"),
            "3:",
            $two,
            concat!($load, " q2, [r1], #16"),
            concat!($load, " q3, [r3], #16"),
            concat!($load, " q4, [r5], #16"),
            concat!($dot, " r0, q0, q2"),
            concat!($dot, " r2, q0, q3"),
            concat!($dot, " r4, q0, q4"),
            concat!($dot, " r6, q1, q2"),
            concat!($dot, " r8, q1, q3"),
            concat!($dot, " r10, q1, q4"),
            "letp lr, 3b",
            "stm r9!, {{r0, r2, r4, r6, r8, r10}}",
            "ldr r12, [sp, #12]",
            "subs r11, #2",
            "cmp r11, #2",
            "bhs 2b",
            "4:",
            "cmp r11, #0",
            "beq 6f",
            $base,
            "ldrd r1, r3, [sp]",
            "ldr r5, [sp, #8]",
            "ldr lr, [sp, #16]",
            "ldm r9, {{r0, r2, r4}}",
            concat!("dlstp.", $size, " lr, lr"),
            "5:",
            $one,
            concat!($load, " q2, [r1], #16"),
            concat!($load, " q3, [r3], #16"),
            concat!($load, " q4, [r5], #16"),
            concat!($dot, " r0, q0, q2"),
            concat!($dot, " r2, q0, q3"),
            concat!($dot, " r4, q0, q4"),
            "letp lr, 5b",
            "stm r9, {{r0, r2, r4}}",
            "6:",
            "add sp, #20",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn wide_bytes(_: &Block, _: *mut i32) {
    wide!(
        "2",
        "0",
        "2",
        "32",
        byte_offsets!(),
        "vadd.i32 q6, q7, r12",
        "vldrw.u32 q0, [q6]\n vldrw.u32 q1, [q6, #4]\n vadd.i32 q6, q6, r7",
        "vldrw.u32 q0, [q6]\n vadd.i32 q6, q6, r7",
        "vldrb.u8",
        "vmladava.s8"
    )
}

#[unsafe(naked)]
unsafe extern "C" fn wide_words(_: &Block, _: *mut i32) {
    wide!(
        "3",
        "2",
        "1",
        "16",
        word_offsets!(),
        "",
        "vldrb.s16 q0, [r12, q7]\n vldrb.s16 q1, [r12, q6]\n add r12, r12, r7",
        "vldrb.s16 q0, [r12, q7]\n add r12, r12, r7",
        "vldrh.u16",
        "vmladava.s16"
    )
}

/// All outputs of a panel at one position, four at a time. Parameters as above; `$four` also multiplies.
macro_rules! single {
    ($elements:literal, $turn:literal, $size:literal, $offsets:expr, $base:literal, $four:literal, $one:literal,
        $load:literal, $dot:literal) => {
        naked_asm!(
            ".cpu cortex-m55",
            "push {{r4-r11, lr}}",
            "vpush {{d8-d15}}",
            "ldm r0, {{r2-r5}}",
            "mov r9, r1",
            "mov r8, r4",
            "mov r12, r2",
            concat!("lsl r5, r5, #", $elements),
            "mov r11, r3",
            "lsls r6, r3, #2",
            concat!("lsls r7, r6, #", $turn),
            $offsets,
            "cmp r11, #4",
            "blo 4f",
            "2:",
            "add r10, r12, #16",
            $base,
            "mov r1, r8",
            "ldm r9, {{r0, r2, r4, r6}}",
            concat!("dlstp.", $size, " lr, r5"),
            "3:",
            concat!($load, " q2, [r1], #16"),
            $four,
            "letp lr, 3b",
            "stm r9!, {{r0, r2, r4, r6}}",
            "mov r12, r10",
            "subs r11, #4",
            "cmp r11, #4",
            "bhs 2b",
            "4:",
            "cmp r11, #0",
            "beq 6f",
            "7:",
            "add r10, r12, #4",
            $base,
            "mov r1, r8",
            "ldr r0, [r9]",
            concat!("dlstp.", $size, " lr, r5"),
            "5:",
            concat!($load, " q2, [r1], #16"),
            $one,
            concat!($dot, " r0, q0, q2"),
            "letp lr, 5b",
            "str r0, [r9], #4",
            "mov r12, r10",
            "subs r11, #1",
            "bne 7b",
            "6:",
            "vpop {{d8-d15}}",
            "pop {{r4-r11, pc}}",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn single_bytes(_: &Block, _: *mut i32) {
    single!(
        "0",
        "2",
        "32",
        byte_offsets!(),
        "vadd.i32 q6, q7, r12",
        "
        vldrw.u32 q0, [q6]
        vldrw.u32 q1, [q6, #4]
        vldrw.u32 q3, [q6, #8]
        vldrw.u32 q4, [q6, #12]
        vadd.i32 q6, q6, r7
        vmladava.s8 r0, q0, q2
        vmladava.s8 r2, q1, q2
        vmladava.s8 r4, q3, q2
        vmladava.s8 r6, q4, q2
        ",
        "vldrw.u32 q0, [q6]\n vadd.i32 q6, q6, r7",
        "vldrb.u8",
        "vmladava.s8"
    )
}

/// The same of full panels, whose groups are 64 bytes apart: 64 products by 10 instructions.
#[unsafe(naked)]
unsafe extern "C" fn single_bytes_of_panels(_: &Block, _: *mut i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r9, r1",
        // Weights, inputs, groups, panels, bytes from one to the next.
        "ldr r12, [r0]",
        "ldrd r8, r5, [r0, #8]",
        "ldrd r10, r7, [r0, #16]",
        "subs r7, #64",
        // Loads go on by four groups first.
        "movs r0, #0",
        "movs r1, #64",
        "vidup.u32 q7, r0, #1",
        "vmul.i32 q7, q7, r1",
        "mvn r1, #255",
        "vadd.i32 q7, q7, r1",
        "2:",
        "mov r11, #4",
        "3:",
        "vadd.i32 q6, q7, r12",
        "add r12, r12, #16",
        "mov r1, r8",
        "ldm r9, {{r0, r2, r4, r6}}",
        "dlstp.32 lr, r5",
        "4:",
        "vldrb.u8 q2, [r1], #16",
        "vldrw.u32 q0, [q6, #256]!",
        "vldrw.u32 q1, [q6, #4]",
        "vldrw.u32 q3, [q6, #8]",
        "vldrw.u32 q4, [q6, #12]",
        "vmladava.s8 r0, q0, q2",
        "vmladava.s8 r2, q1, q2",
        "vmladava.s8 r4, q3, q2",
        "vmladava.s8 r6, q4, q2",
        "letp lr, 4b",
        "stm r9!, {{r0, r2, r4, r6}}",
        "subs r11, #1",
        "bne 3b",
        "add r12, r12, r7",
        "subs r10, #1",
        "bne 2b",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn single_words(_: &Block, _: *mut i32) {
    single!(
        "2",
        "1",
        "16",
        word_offsets!(),
        "",
        "
        vldrb.s16 q0, [r12, q7]
        vldrb.s16 q1, [r12, q6]
        vmladava.s16 r0, q0, q2
        vldrb.s16 q0, [r12, q5]
        vmladava.s16 r2, q1, q2
        vldrb.s16 q1, [r12, q4]
        add r12, r12, r7
        vmladava.s16 r4, q0, q2
        vmladava.s16 r6, q1, q2
        ",
        "vldrb.s16 q0, [r12, q7]\n add r12, r12, r7",
        "vldrh.u16",
        "vmladava.s16"
    )
}

/// Turns the sums of outputs side by side into stored numbers, at one position or at three, without residuals.
#[repr(C)]
pub struct Finish {
    /// Multiplier and shift of the first output.
    pub rescale: *const i32,
    /// Sums `[outputs][positions]`.
    pub sums: *const i32,
    /// Where the first number goes, and bytes to that of the next position.
    pub out: *mut u8,
    pub step: usize,
    /// Added after all but one bit have been dropped.
    pub offset: i32,
    pub least: i32,
    pub most: i32,
    pub outputs: usize,
}

impl Finish {
    /// Writes the numbers. The result is false if a shift was below 33, for which this is no way: the numbers are wrong.
    ///
    /// # Safety
    /// All is there, for one position or for three.
    pub unsafe fn run(&self, bytes: bool, positions: usize) -> bool {
        // SAFETY: promised by the caller.
        let above = unsafe {
            match (bytes, positions) {
                (true, 1) => finish_bytes(self),
                (true, _) => finish_bytes_of_three(self),
                (false, 1) => finish_words(self),
                (false, _) => finish_words_of_three(self),
            }
        };
        above == 0
    }
}

#[unsafe(naked)]
unsafe extern "C" fn finish_bytes(_: &Finish) -> i32 {
    finish!("vstrb.32", "4", "4", ["0" "r3"])
}

#[unsafe(naked)]
unsafe extern "C" fn finish_bytes_of_three(_: &Finish) -> i32 {
    finish!("vstrb.32", "4", "12", ["0" "r3", "4" "r7", "8" "r4"])
}

#[unsafe(naked)]
unsafe extern "C" fn finish_words(_: &Finish) -> i32 {
    finish!("vstrh.32", "8", "4", ["0" "r3"])
}

#[unsafe(naked)]
unsafe extern "C" fn finish_words_of_three(_: &Finish) -> i32 {
    finish!("vstrh.32", "8", "12", ["0" "r3", "4" "r7", "8" "r4"])
}

/// Sums `[outputs][3]` that begin with biases.
#[unsafe(naked)]
unsafe extern "C" fn start(_bias: *const i32, _outputs: usize, _sums: *mut i32) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r7, lr}}",
        "mov r12, #0",
        "vidup.u32 q1, r12, #1",
        "mov r12, #12",
        "vmul.i32 q1, q1, r12",
        "vadd.i32 q1, q1, r2",
        "mov r12, #48",
        "dlstp.32 lr, r1",
        "2:",
        "vldrw.u32 q0, [r0], #16",
        "vstrw.32 q0, [q1]",
        "vstrw.32 q0, [q1, #4]",
        "vstrw.32 q0, [q1, #8]",
        "vadd.i32 q1, q1, r12",
        "letp lr, 2b",
        "pop {{r7, pc}}",
    )
}
