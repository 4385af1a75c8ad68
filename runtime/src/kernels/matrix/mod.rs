//! Dense layers of integer models as products of matrices: rows of inputs times panels of weights. The order of the work is
//! here; sums in registers are in [`tile`], written once over the operations of an instruction set; those are in thin files.
//!
//! Sums are exact (they wrap, and the parse admits only layers whose sums fit), so every order gives the same bytes.
#![allow(unsafe_code)]
// On targets that only the portable kernels are for, nothing is called.
#![cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon"),
        all(target_arch = "wasm32", target_feature = "simd128")
    )),
    allow(dead_code, unused_variables)
)]

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod aarch64;
mod finish;
mod gather;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod i8mm;
// NEON multiplies four words by one of a register, which needs no pairs.
#[cfg_attr(target_arch = "aarch64", allow(dead_code))]
mod pairs;
pub mod small;
mod tile;
mod upsampled;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

use core::mem::MaybeUninit;
use core::ops::Range;

use super::Geometry;
use super::int8::{Epilogue, Int, Weights};
use super::isa::{Isa, Kernels};
use crate::panels::{PANEL, QUAD};
use crate::workers::Workers;
use gather::{Element, Room, Runs};
use pairs::Pairs;
use tile::{Product, Rows};
use upsampled::Add;

/// Outputs whose sums are computed together: four panels.
const GROUP: usize = 64;

/// Bytes of rows that may be copied at a time, on the stack: enough for 3 x 3 convolutions over 512 channels of 16 bits.
const ROOM: usize = 64 << 10;

/// Rows that are kept at a time at most: sums of a group of each are on the stack too.
const MOST_ROWS: usize = 96;

/// Runs of the rows that are worked off at a time: at least those of a tile of patches of 16 x 16 pixels, one a pixel.
const MOST_RUNS: usize = 2048;

/// Outputs whose sums are started together.
const STARTS: usize = 1024;

/// Multiply-accumulate operations that are worth another worker.
const WORTH: usize = if cfg!(test) { 1000 } else { 200_000 };

/// How an instruction set multiplies inputs prepared as `E`.
struct Method<E> {
    /// Computes sums of a group of outputs.
    product: Product<E>,
    /// Whether it takes inputs for larger than they are, each by the same.
    excess: bool,
    /// How rows of few terms are multiplied with filters that were laid out for it, if that is faster.
    pairs: Option<Pairs<E>>,
}

/// Writes the numbers of a group of outputs of neighbouring positions, whose sums are given position by position.
pub type Finish<O> = unsafe fn(&Group, sums: &[i32], positions: Range<usize>, out: *mut O);

/// Outputs side by side, with what turns their sums into stored numbers.
pub struct Group<'a> {
    w: &'a Weights<'a>,
    epilogue: &'a Epilogue<'a>,
    /// What the sum of each output begins with.
    starts: &'a [i32],
    first_output: usize,
    /// Outputs of the layer.
    channels: usize,
}

/// A dense layer.
pub struct Layer<'a, I> {
    pub g: &'a Geometry,
    pub x: &'a [I],
    pub in_zero: I,
    pub w: &'a Weights<'a>,
    pub epilogue: &'a Epilogue<'a>,
}

/// Positions and panels of one worker.
struct Part {
    positions: Range<usize>,
    panels: Range<usize>,
}

/// Numbers written by several workers, each its own.
struct Shared<O>(*mut O);

// SAFETY: workers write through it only what belongs to their parts, see `run`.
unsafe impl<O: Send> Sync for Shared<O> {}

/// Whether there are kernels for a layer besides the portable ones.
pub fn takes(kernels: Kernels, g: &Geometry) -> bool {
    if kernels.0 == Isa::Portable || g.depthwise || g.transposed {
        return false;
    }
    // The rows of a tile, of two bytes an input, have to fit.
    let runs = Runs::of(g);
    (g.panels(QUAD).terms * tile::ROWS + runs.len) * 2 <= ROOM && runs.count * tile::ROWS <= MOST_RUNS
}

/// Layers of 8-bit inputs. Call it only if [`takes`] says so.
pub fn bytes<O: Stored>(kernels: Kernels, workers: &dyn Workers, layer: &Layer<i8>, out: &mut [O]) {
    match kernels.0 {
        Isa::Portable => {}
        #[cfg(target_arch = "x86_64")]
        isa => {
            let (finish, add) = (O::finish(isa), upsampled::add(isa));
            if let Some(method) = x86::bytes(isa) {
                run((&method, finish, add), workers, layer, out);
            } else if let Some(method) = x86::single(layer.g.out_channels) {
                run((&method, finish, add), workers, layer, out);
            } else if winograd::is_one(layer.g) {
                // SAFETY: the processor has the instructions, since `Kernels` says so.
                unsafe { winograd::run((x86::pairs::winograd(isa), finish), workers, layer, out) }
            } else {
                run((&x86::words(isa), finish, add), workers, layer, out);
            }
        }
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        isa => match aarch64::bytes(isa) {
            Some(method) => run((&method, O::finish(isa), upsampled::add(isa)), workers, layer, out),
            None => run((&aarch64::words(isa), O::finish(isa), upsampled::add(isa)), workers, layer, out),
        },
        // SAFETY: the instructions are there wherever this is compiled.
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        isa if winograd::is_one(layer.g) => unsafe {
            winograd::run((wasm::WINOGRAD, O::finish(isa)), workers, layer, out)
        },
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        isa => run((&wasm::WORDS, O::finish(isa), upsampled::add(isa)), workers, layer, out),
    }
}

/// The same for 16-bit inputs.
pub fn words<O: Stored>(kernels: Kernels, workers: &dyn Workers, layer: &Layer<i16>, out: &mut [O]) {
    match kernels.0 {
        Isa::Portable => {}
        #[cfg(target_arch = "x86_64")]
        isa => run((&x86::words(isa), O::finish(isa), upsampled::add(isa)), workers, layer, out),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        isa => run((&aarch64::words(isa), O::finish(isa), upsampled::add(isa)), workers, layer, out),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        isa => run((&wasm::WORDS, O::finish(isa), upsampled::add(isa)), workers, layer, out),
    }
}

/// Numbers that layers store.
pub trait Stored: Int + Send {
    /// What writes them.
    fn finish(isa: Isa) -> Finish<Self>;
}

impl Stored for i8 {
    fn finish(isa: Isa) -> Finish<Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni => x86::finish::finish_512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni => x86::finish::finish_256,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon | Isa::NeonDot | Isa::NeonI8mm => aarch64::finish,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Simd128 => wasm::finish,
            _ => finish::write,
        }
    }
}

impl Stored for i16 {
    fn finish(isa: Isa) -> Finish<Self> {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni => x86::finish::finish_512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::AvxVnni => x86::finish::finish_256,
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon | Isa::NeonDot | Isa::NeonI8mm => aarch64::finish,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Simd128 => wasm::finish,
            _ => finish::write,
        }
    }
}

/// Into how many parts a layer is worth to be cut.
fn parts<I>(workers: &dyn Workers, layer: &Layer<I>) -> usize {
    let work = (layer.g.out_height * layer.g.out_width).saturating_mul(layer.w.weight.len());
    workers.count().min(work / WORTH).max(1)
}

/// Shares a layer among the workers: by positions, or where there are few by outputs.
fn run<I: Int + Sync, E: Element<I>, O: Send>(
    (method, finish, add): (&Method<E>, Finish<O>, Add),
    workers: &dyn Workers,
    layer: &Layer<I>,
    out: &mut [O],
) {
    let g = layer.g;
    let (positions, panels) = (g.out_height * g.out_width, layer.w.panels(&g.panels(QUAD)));
    let parts = parts(workers, layer);
    let by_positions = positions >= parts * tile::ROWS || positions >= panels.len();
    let part = |i: usize| {
        let share = |len: usize| len * i / parts..len * (i + 1) / parts;
        match by_positions {
            true => Part { positions: share(positions), panels: panels.clone() },
            false => {
                let share = share(panels.len());
                Part { positions: 0..positions, panels: panels.start + share.start..panels.start + share.end }
            }
        }
    };
    assert!(out.len() >= positions * g.out_channels);
    let place = &Shared(out.as_mut_ptr());
    if upsampled::is_one(g) {
        let parts = parts.min(g.in_height);
        let lines = |i: usize| g.in_height * i / parts..g.in_height * (i + 1) / parts;
        // SAFETY: as below; parts have lines of their own.
        workers.run(parts, &|i| unsafe { upsampled::compute((method, finish, add), layer, lines(i), place.0) });
        return;
    }
    // SAFETY: the processor has the instructions, since the method was chosen by `Kernels`. The result is long enough. Parts
    // share no output: either their positions or their panels are apart, and workers ask for each once.
    workers.run(parts, &|i| unsafe { compute(method, finish, layer, part(i), place.0) });
}

/// Computes the outputs of a part.
///
/// # Safety
/// The processor has the instructions of `method` and `finish`; `out` holds all outputs of the layer, and nobody else
/// touches those of the part.
unsafe fn compute<I: Int, E: Element<I>, O>(
    method: &Method<E>,
    finish: Finish<O>,
    layer: &Layer<I>,
    part: Part,
    out: *mut O,
) {
    let g = layer.g;
    let (panels, runs) = (g.panels(QUAD), Runs::of(g));
    let most_rows = (ROOM / size_of::<E>() - runs.len) / panels.terms;
    let most_rows = most_rows.min(MOST_RUNS / runs.count).min(MOST_ROWS);
    let most_rows = most_rows - most_rows % tile::ROWS;
    let padding = [E::prepared(layer.in_zero), E::prepared(I::saturate(0))];
    let mut room = [const { MaybeUninit::<u64>::uninit() }; ROOM / 8];
    // SAFETY: the same bytes, as what needs no alignment beyond that of 64 bits.
    let room: &mut [MaybeUninit<E>] =
        unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), ROOM / size_of::<E>()) };
    let mut table = [const { MaybeUninit::<*const E>::uninit() }; MOST_RUNS];
    let mut sums = [const { MaybeUninit::<i32>::uninit() }; MOST_ROWS * GROUP];
    let mut starts = [0; STARTS];
    for chunk in chunks(part.panels, STARTS / PANEL) {
        let outputs = chunk.start * PANEL..g.out_channels.min(chunk.end * PANEL);
        let starts = &mut starts[..outputs.len()];
        let none = E::prepared(I::saturate(0));
        let zeros = Room::new(g, runs, [none; 2], room).padding_rows(1, runs.count, runs.len, &mut table);
        // SAFETY: the processor has the instructions; the table has a row of zeros.
        unsafe { start(method, layer, zeros, outputs.clone(), starts) };
        for positions in chunks(part.positions.clone(), most_rows) {
            let mut copies = Room::new(g, runs, padding, room);
            let (count, mut at) = (positions.len(), 0);
            for (oy, columns) in lines(positions.clone(), g.out_width) {
                copies.line(g, runs, layer.x, (oy, columns.clone()), (&mut table, at, count));
                at += columns.len();
            }
            let rows = Rows { table: table.as_ptr().cast(), rows: count, runs: runs.count, len: runs.len };
            for group in chunks(chunk.clone(), GROUP / PANEL) {
                let first = group.start * PANEL;
                let width = g.out_channels.min(group.end * PANEL) - first;
                let weight = layer.w.of(&panels, group.start, width);
                // SAFETY: there are `positions.len()` rows, `width` outputs of as many weights, and room for their sums,
                // which the product fills. The input and the room outlive the table.
                let sums = unsafe {
                    (method.product)(rows, positions.len(), weight, panels.terms, sums.as_mut_ptr().cast());
                    core::slice::from_raw_parts(sums.as_ptr().cast::<i32>(), positions.len() * width)
                };
                let group = Group {
                    w: layer.w,
                    epilogue: layer.epilogue,
                    starts: &starts[first - outputs.start..][..width],
                    first_output: first,
                    channels: g.out_channels,
                };
                // SAFETY: these outputs belong to the part.
                unsafe { finish(&group, sums, positions.clone(), out) };
            }
        }
    }
}

/// Cuts a range into pieces.
fn chunks(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(len).map(move |start| start..range.end.min(start + len))
}

/// Cuts a range of positions at the ends of lines: lines with their columns.
fn lines(positions: Range<usize>, width: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let (first, last) = (positions.start / width, positions.end.div_ceil(width));
    (first..last).map(move |line| {
        let start = line * width;
        (line, positions.start.max(start) - start..positions.end.min(start + width) - start)
    })
}

/// What the sums of outputs begin with: the bias, less what the inputs have too much, which is the sum for inputs of zero.
///
/// # Safety
/// The processor has the instructions of `method`; `rows` has a row of zeros.
unsafe fn start<I, E: Copy>(
    method: &Method<E>,
    layer: &Layer<I>,
    zeros: Rows<E>,
    outputs: Range<usize>,
    starts: &mut [i32],
) {
    let panels = layer.g.panels(QUAD);
    starts.copy_from_slice(&layer.w.bias[outputs.clone()]);
    if !method.excess {
        return;
    }
    let mut sums = [0; GROUP];
    for (group, starts) in outputs.step_by(GROUP).zip(starts.chunks_mut(GROUP)) {
        let weight = layer.w.of(&panels, group / PANEL, starts.len());
        // SAFETY: the caller's promise; there is room for the sums of a group.
        unsafe { (method.product)(zeros, 1, weight, panels.terms, sums.as_mut_ptr()) };
        for (start, sum) in starts.iter_mut().zip(sums) {
            *start = start.wrapping_sub(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers of the networks that this is made for do not fall back to the portable kernels unseen.
    #[test]
    fn usual_layers_are_taken() {
        for (kernel, stride, upsample, channels) in
            [(1, 1, 1, 3072), (3, 1, 1, 512), (3, 1, 2, 512), (3, 1, 2, 256), (16, 16, 1, 3), (2, 2, 1, 4)]
        {
            let g = Geometry {
                in_height: 32,
                in_width: 32,
                in_channels: channels,
                out_height: 32 * upsample / stride,
                out_width: 32 * upsample / stride,
                out_channels: 64,
                kernel_height: kernel,
                kernel_width: kernel,
                stride,
                padding: if kernel == 3 { 1 } else { 0 },
                top: if kernel == 3 { 1 } else { 0 },
                upsample,
                depthwise: false,
                transposed: false,
            };
            for kernels in Kernels::available() {
                assert_eq!(takes(kernels, &g), kernels != Kernels::PORTABLE, "{kernels:?} {g:?}");
            }
        }
    }
}
