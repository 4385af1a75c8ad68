//! Convolutions of 3 x 3 over 8-bit inputs by minimal filtering, Winograd's F(2 x 2, 3 x 3): 16 products for the four outputs of a
//! tile where the plain way has 36 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308).
//!
//! Sums stay exact, so the bytes are those of the plain way. The transform of filters is taken twice as large along each axis,
//! which rids it of halves: its numbers are at most `9 * 128`, those of inputs `4 * 128`, both words; and a tile's results are
//! four times the sums, which 32 bits hold for up to [`MOST_CHANNELS`].
//!
//! It is for instruction sets that multiply words: products of bytes are cheaper than half as many of words.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ops::Range;

use super::pairs::{CHANNELS, LINE, Pairs, Part, Product, TAP, Words};
use super::tile::Rows;
use super::{Finish, Group, Layer, Shared, Stored, chunks, parts};
use crate::kernels::Geometry;
use crate::panels::{PANEL, QUAD};
use crate::workers::Workers;

/// Channels for which four times a sum fits 32 bits: below `2^31 / (4 * 9 * 128 * 128)`.
const MOST_CHANNELS: usize = 2048;

/// Tiles that are worked off at a time.
const TILES: usize = 16;

/// Tiles that are worth the transform of the filters.
const WORTH: usize = if cfg!(test) { 1 } else { 24 };

/// Numbers of a transformed tile or filter.
const PLACES: usize = 16;

/// Channels that are transformed together.
const TOGETHER: usize = 16;

/// From the inputs of a tile to the next.
const NEXT_INPUTS: usize = PLACES * CHANNELS + LINE / 2;

/// From the products of a tile to the next.
const NEXT_PRODUCTS: usize = PLACES * PANEL + LINE / 4;

/// What the steps leave for one another, on the stack.
pub struct Room {
    /// Filters of a panel, those of each place.
    filters: [i32; PLACES * TAP],
    /// Of each tile its places, of each the channels, filled up to a multiple of [`TOGETHER`].
    inputs: [i16; TILES * NEXT_INPUTS],
    /// Of each tile its places, of each the panel's outputs.
    products: Products,
}

pub type Products = [i32; TILES * NEXT_PRODUCTS];

/// The steps of an instruction set.
#[derive(Clone, Copy)]
pub struct Steps {
    /// Transforms the filters of a panel.
    pub filters: unsafe fn(&[i8], Part, *mut Room),
    /// Transforms the inputs of a block. Returns how many tiles there are.
    pub inputs: unsafe fn(&Layer<i8>, &Block, Part, *mut Room) -> usize,
    /// Multiplies places with one another.
    pub pairs: Pairs<i16>,
    /// Sums of the outputs from what the products have become.
    pub outputs: unsafe fn(&Geometry, &Block, usize, &Products, &mut Sums),
}

/// Lines and columns of tiles: either all columns, or a single line.
pub struct Block {
    lines: Range<usize>,
    columns: Range<usize>,
}

/// Sums of the outputs of a block, line by line of the map, and what is too much of the last.
pub type Sums = [i32; 4 * TILES * PANEL + PANEL];

/// Whether a layer is such a convolution, of a size that is worth the transforms.
pub fn is_one(g: &Geometry) -> bool {
    let plain = !g.depthwise && !g.transposed && (g.stride, g.upsample) == (1, 1);
    let tiles = g.out_height.div_ceil(2) * g.out_width.div_ceil(2);
    let large = g.in_channels >= 8 && g.out_channels >= 8 && tiles >= WORTH;
    plain && [g.kernel_height, g.kernel_width] == [3, 3] && large && g.in_channels <= MOST_CHANNELS
}

/// Shares a layer that [`is_one`] among the workers, by lines of tiles.
///
/// # Safety
/// The processor has the instructions of `steps` and `finish`.
pub unsafe fn run<O: Stored>(
    (steps, finish): (Steps, Finish<O>),
    workers: &dyn Workers,
    layer: &Layer<i8>,
    out: &mut [O],
) {
    let g = layer.g;
    let lines = g.out_height.div_ceil(2);
    let parts = parts(workers, layer).min(lines);
    assert!(out.len() >= g.out_height * g.out_width * g.out_channels);
    let place = &Shared(out.as_mut_ptr());
    // SAFETY: promised by the caller; the result is long enough, and parts have lines of their own.
    workers.run(parts, &|i| unsafe {
        compute((steps, finish), layer, lines * i / parts..lines * (i + 1) / parts, place.0);
    });
}

/// Computes the outputs of some lines of tiles.
///
/// # Safety
/// The processor has the instructions; `out` holds all outputs of the layer, and nobody else touches those of the lines.
unsafe fn compute<O>((steps, finish): (Steps, Finish<O>), layer: &Layer<i8>, lines: Range<usize>, out: *mut O) {
    let g = layer.g;
    let panels = g.panels(QUAD);
    let stored = panels.terms / 9;
    let mut room = MaybeUninit::<Room>::uninit();
    let room = room.as_mut_ptr();
    // SAFETY: the room is there. Registers of outputs that a narrow panel does not have are read, too.
    let products = unsafe {
        (*room).products = [0; TILES * NEXT_PRODUCTS];
        &raw const (*room).products
    };
    let mut sums = [0; 4 * TILES * PANEL + PANEL];
    let columns = g.out_width.div_ceil(2);
    for panel in layer.w.panels(&panels) {
        let width = panels.width(panel);
        let weight = layer.w.of(&panels, panel, width);
        let first_output = panel * PANEL;
        let group = Group {
            w: layer.w,
            epilogue: layer.epilogue,
            starts: &layer.w.bias[first_output..][..width],
            first_output,
            channels: g.out_channels,
        };
        let mut ready = None;
        for lines in chunks(lines.clone(), (TILES / columns).max(1)) {
            for columns in chunks(0..columns, TILES) {
                let block = Block { lines: lines.clone(), columns };
                for part in Part::all(stored, width) {
                    // SAFETY: promised by the caller; each step has what the one before it left.
                    unsafe {
                        if ready != Some(part.first) {
                            (steps.filters)(weight, part, room);
                            ready = Some(part.first);
                        }
                        multiply(steps, layer, &block, part, room);
                    }
                }
                // SAFETY: as above: all products are there.
                unsafe { (steps.outputs)(g, &block, width, &*products, &mut sums) };
                let first = block.columns.start * 2;
                let len = g.out_width.min(block.columns.end * 2) - first;
                let rows = block.lines.start * 2..g.out_height.min(block.lines.end * 2);
                // Lines of the map follow one another if they are whole.
                let together = if len == g.out_width { rows.len() } else { 1 };
                let mut sums = &sums[..];
                for rows in chunks(rows, together) {
                    let start = rows.start * g.out_width + first;
                    let positions = start..start + rows.len() * len;
                    let (these, rest) = sums.split_at(positions.len() * width);
                    sums = rest;
                    // SAFETY: promised by the caller: outputs of these lines.
                    unsafe { finish(&group, these, positions, out) };
                }
            }
        }
    }
}

/// Adds the products of all places, for a part of the channels.
///
/// # Safety
/// The processor has the instructions; the filters are in the room.
unsafe fn multiply(steps: Steps, layer: &Layer<i8>, block: &Block, part: Part, room: *mut Room) {
    // SAFETY: promised by the caller; a block fits the room.
    unsafe {
        let count = (steps.inputs)(layer, block, part, room);
        let inputs = (&raw const (*room).inputs).cast::<i16>();
        let filters = (&raw const (*room).filters).cast::<i32>();
        let sums = (&raw mut (*room).products).cast::<i32>();
        for place in 0..PLACES {
            let mut table = [inputs; TILES];
            for (tile, row) in table.iter_mut().enumerate() {
                *row = row.add(tile * NEXT_INPUTS + place * CHANNELS);
            }
            let rows = Rows { table: table.as_ptr(), rows: TILES, runs: 1, len: CHANNELS };
            let (filters, sums) = (filters.add(place * TAP), sums.add(place * PANEL));
            (steps.pairs.products)(&Product { rows, count, first: 0, filters, part, sums, next: NEXT_PRODUCTS });
        }
    }
}

/// The step [`Steps::filters`].
///
/// # Safety
/// The processor has the instructions; `weight` is a panel with the part; the room is there.
#[inline(always)]
pub unsafe fn filters<W: Words>(weight: &[i8], part: Part, room: *mut Room) {
    for quad in 0..part.len / QUAD {
        let mut taps = [[0; QUAD * PANEL]; 9];
        for (tap, group) in taps.iter_mut().enumerate() {
            *group = part.quad(weight, tap, quad);
        }
        for first in (0..PANEL).step_by(TOGETHER / QUAD) {
            // SAFETY: promised by the caller; there is room for as many pairs of each place.
            unsafe {
                let mut rows = [[W::widened(taps[0].as_ptr()); 3]; 4];
                for kx in 0..3 {
                    let tap = |ky: usize| W::widened(taps[3 * ky + kx].as_ptr().add(first * QUAD));
                    let column = filter([tap(0), tap(1), tap(2)]);
                    for (row, numbers) in rows.iter_mut().zip(column) {
                        row[kx] = numbers;
                    }
                }
                let to: *mut i32 = (&raw mut (*room).filters).cast();
                let to = to.add(2 * quad * PANEL + first);
                for (y, row) in rows.into_iter().enumerate() {
                    for (x, numbers) in filter(row).into_iter().enumerate() {
                        let to = to.add((4 * y + x) * TAP);
                        numbers.store_apart(to, to.add(PANEL));
                    }
                }
            }
        }
    }
}

/// Three taps transformed along an axis.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn filter<W: Words>([a, b, c]: [W; 3]) -> [W; 4] {
    // SAFETY: promised by the caller.
    unsafe {
        let sides = a.add(c);
        [a.add(a), sides.add(b), sides.sub(b), c.add(c)]
    }
}

/// The step [`Steps::inputs`].
///
/// # Safety
/// The processor has the instructions; the room is there.
#[inline(always)]
pub unsafe fn inputs<W: Words>(layer: &Layer<i8>, block: &Block, part: Part, room: *mut Room) -> usize {
    let g = layer.g;
    let padding = [layer.in_zero; CHANNELS];
    // What fills groups up has weights of zero.
    let channels = part.first..(part.first + part.len).min(g.in_channels);
    // SAFETY: promised by the caller.
    let to: *mut i16 = unsafe { (&raw mut (*room).inputs).cast() };
    let mut tiles = 0;
    for line in block.lines.clone() {
        // What lies before the first becomes large, and is too far behind the last.
        let top = (2 * line).wrapping_add_signed(-g.top);
        for column in block.columns.clone() {
            let left = (2 * column).wrapping_sub(g.padding);
            let mut pixels = [padding.as_ptr(); PLACES];
            for (y, pixels) in pixels.chunks_exact_mut(4).enumerate() {
                let row = top.wrapping_add(y);
                if row >= g.in_height {
                    continue;
                }
                let row = &layer.x[row * g.in_width * g.in_channels..][..g.in_width * g.in_channels];
                for (x, pixel) in pixels.iter_mut().enumerate() {
                    let at = left.wrapping_add(x);
                    if at < g.in_width {
                        *pixel = row[at * g.in_channels + channels.start..][..channels.len()].as_ptr();
                    }
                }
            }
            // SAFETY: promised by the caller; so many channels of a pixel are readable.
            unsafe {
                let tile = to.add(tiles * NEXT_INPUTS);
                let whole = channels.len() - channels.len() % TOGETHER;
                for first in (0..whole).step_by(TOGETHER) {
                    transform::<W>(&pixels, first, tile.add(first));
                }
                if whole < channels.len() {
                    let mut rest = [[0i8; TOGETHER]; PLACES];
                    for (rest, pixel) in rest.iter_mut().zip(&mut pixels) {
                        core::ptr::copy_nonoverlapping(pixel.add(whole), rest.as_mut_ptr(), channels.len() - whole);
                        *pixel = rest.as_ptr();
                    }
                    transform::<W>(&pixels, 0, tile.add(whole));
                }
            }
            tiles += 1;
        }
    }
    tiles
}

/// Transforms some channels of a tile of 4 x 4 pixels.
///
/// # Safety
/// The processor has the instructions; from the `first` number of each pixel [`TOGETHER`] are readable, and there is room for as
/// many at each place, which lie [`CHANNELS`] apart.
#[inline(always)]
unsafe fn transform<W: Words>(pixels: &[*const i8; PLACES], first: usize, to: *mut i16) {
    // SAFETY: promised by the caller.
    unsafe {
        let at = |i: usize| W::widened(pixels[i].add(first));
        let mut rows = [[at(0); 4]; 4];
        for x in 0..4 {
            let column = input([at(x), at(4 + x), at(8 + x), at(12 + x)]);
            for (row, numbers) in rows.iter_mut().zip(column) {
                row[x] = numbers;
            }
        }
        for (y, row) in rows.into_iter().enumerate() {
            for (x, numbers) in input(row).into_iter().enumerate() {
                numbers.store(to.add((4 * y + x) * CHANNELS));
            }
        }
    }
}

/// Four inputs transformed along an axis.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
unsafe fn input<W: Words>([a, b, c, d]: [W; 4]) -> [W; 4] {
    // SAFETY: promised by the caller.
    unsafe { [a.sub(c), b.add(c), c.sub(b), b.sub(d)] }
}

/// The step [`Steps::outputs`].
///
/// # Safety
/// The processor has the instructions; the products are those of the block.
#[inline(always)]
pub unsafe fn outputs(g: &Geometry, block: &Block, width: usize, products: &Products, sums: &mut Sums) {
    let mut tiles = products.as_chunks::<NEXT_PRODUCTS>().0;
    let first = 2 * block.columns.start;
    let len = g.out_width.min(2 * block.columns.end) - first;
    let mut row = 0;
    for line in block.lines.clone() {
        let (these, rest) = tiles.split_at(block.columns.len());
        tiles = rest;
        for down in 0..2.min(g.out_height - 2 * line) {
            for (tile, column) in these.iter().zip((0..).step_by(2)) {
                let (places, _) = tile.as_chunks::<PANEL>();
                let mut both = [[0i32; PANEL]; 2];
                for i in 0..PANEL {
                    let along = |x: usize| {
                        let [a, b, c, d] = [places[x][i], places[4 + x][i], places[8 + x][i], places[12 + x][i]];
                        if down == 0 { a.wrapping_add(b).wrapping_add(c) } else { b.wrapping_sub(c).wrapping_sub(d) }
                    };
                    let [a, b, c, d] = [along(0), along(1), along(2), along(3)];
                    // Four times the sum.
                    both[0][i] = a.wrapping_add(b).wrapping_add(c) >> 2;
                    both[1][i] = b.wrapping_sub(c).wrapping_sub(d) >> 2;
                }
                for (right, numbers) in both.iter().enumerate().take(len - column) {
                    // A whole panel is faster copied than its width: what is too much is overwritten by the next.
                    if let Some(place) = sums[(row * len + column + right) * width..].first_chunk_mut() {
                        *place = *numbers;
                    }
                }
            }
            row += 1;
        }
    }
}
