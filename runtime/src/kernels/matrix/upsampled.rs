//! Convolutions of 3 x 3 over a map that is upsampled by 2: a quarter of the products.
//!
//! Each pixel of the small map stands for four of the large one, and each tap meets it four times. Its product with every tap is
//! computed once; an output is the sum of nine such products, of the pixels that its taps fall on. Sums of integers are
//! exact, so the bytes are those of the plain way.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::gather::{Element, Room, Runs};
use super::pairs::{Part, Product, TAP};
use super::tile::Rows;
use super::{Finish, Geometry, Group, Int, Isa, Layer, Method, ROOM, chunks, start};
use crate::panels::{PANEL, QUAD};

const TAPS: usize = 9;

/// Pixels of the small map that are worked off at a time: several lines, or a part of one with a neighbour on either side.
const PIXELS: usize = 32;

/// Columns that are worked off at a time of lines that are longer than that.
const COLUMNS: usize = PIXELS - 2;

/// From the products of pixels with a tap to those with the next: a panel more than they need, since what lies apart by a power of
/// two takes the same few lines of the cache.
const NEXT_TAP: usize = (PIXELS + 1) * PANEL;

/// Sums of a panel's outputs.
type Panel = [i32; PANEL];

/// Products of a pixel of the padding with every tap.
type Padding = [Panel; TAPS];

/// A line of the small map, seen by the three taps of a row of the kernel: for each, sums of the two outputs that a column becomes.
pub type Line = [[Panel; 2 * PIXELS]; 3];

/// Sums of two lines of outputs, position by position, and what is too much of the last.
pub type Sums = [i32; 4 * PIXELS * PANEL + PANEL];

/// How an instruction set adds.
#[derive(Clone, Copy)]
pub struct Add {
    /// Sums what the taps see of a line.
    pub across: unsafe fn(&Pixels, *mut Line),
    /// Sums outputs: of so many columns, and of a panel of so many.
    pub down: unsafe fn([*const Line; 3], [usize; 2], *mut Sums),
}

/// Pixels of a line, and what they have been multiplied to.
pub struct Pixels<'a> {
    /// Products of the first pixel.
    products: *const i32,
    /// From those of a pixel to those of the next.
    next: usize,
    /// From those with a tap to those with the next.
    next_tap: usize,
    padding: &'a Padding,
    /// Pixels before the first column: none at the map's border, or one.
    before: usize,
    columns: usize,
    /// Pixels behind the last column: none or one.
    behind: usize,
}

/// The fastest way to add.
pub fn add(isa: Isa) -> Add {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni => super::x86::ADD_512,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => super::x86::ADD_256,
        _ => Add { across, down },
    }
}

/// Whether a layer is such a convolution, of a size for which the way is made.
pub fn is_one(g: &Geometry) -> bool {
    // Pixels of two bytes an input, and one of padding.
    let small = g.in_channels.next_multiple_of(QUAD) * 2 * (PIXELS + 1) <= ROOM;
    // A part of a map has other rows.
    let whole = g.top == 1 && g.out_height == 2 * g.in_height;
    [g.kernel_height, g.kernel_width, g.upsample] == [3, 3, 2] && (g.stride, g.padding) == (1, 1) && whole && small
}

/// Computes the outputs of some lines of the small map.
///
/// # Safety
/// The processor has the instructions of `method`, `finish` and `add`; `out` holds all outputs of the layer, and nobody else
/// touches those of the lines.
pub unsafe fn compute<I: Int, E: Element<I>, O>(
    (method, finish, add): (&Method<E>, Finish<O>, Add),
    layer: &Layer<I>,
    lines: Range<usize>,
    out: *mut O,
) {
    let g = layer.g;
    let panels = g.panels(QUAD);
    // A pixel is a row of its own.
    let pixel = Geometry { kernel_height: 1, kernel_width: 1, padding: 0, top: 0, upsample: 1, ..*g };
    let runs = Runs::of(&pixel);
    let fill = [layer.in_zero, I::saturate(0)].map(E::prepared);
    let mut room = [const { MaybeUninit::<u64>::uninit() }; ROOM / 8];
    // SAFETY: the same bytes, as what needs no alignment beyond that of 64 bits.
    let room: &mut [MaybeUninit<E>] =
        unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), ROOM / size_of::<E>()) };
    let mut filters = MaybeUninit::<[i32; TAPS * TAP]>::uninit();
    let mut products = [0; TAPS * NEXT_TAP];
    let products = products.as_mut_ptr();
    // An output needs the lines above and below its own.
    let mut seen = [const { MaybeUninit::<Line>::uninit() }; 3];
    let mut sums = MaybeUninit::<Sums>::uninit();
    for panel in layer.w.panels(&panels) {
        let (first, width) = (panel * PANEL, panels.width(panel));
        let mut factors = Factors {
            method,
            weight: layer.w.of(&panels, panel, width),
            stored: runs.len,
            width,
            filters: filters.as_mut_ptr().cast(),
            ready: None,
        };
        let mut table = [MaybeUninit::uninit(); PIXELS];
        let (mut starts, mut padding) = ([0; PANEL], [[0; PANEL]; TAPS]);
        let zeros = Room::new(&pixel, runs, [fill[1]; 2], room).padding_rows(1, TAPS, runs.len, &mut table);
        // SAFETY: the processor has the instructions; the table has a row of zeros for all taps, then one of the padding.
        unsafe {
            start(method, layer, zeros, first..first + width, &mut starts[..width]);
            let outside = Room::new(&pixel, runs, fill, room).padding_rows(1, 1, runs.len, &mut table);
            factors.multiply(outside, padding.as_flattened_mut().as_mut_ptr(), PANEL);
        }
        let group = Group {
            w: layer.w,
            epilogue: layer.epilogue,
            starts: &starts[..width],
            first_output: first,
            channels: g.out_channels,
        };
        let most = if g.in_width <= PIXELS { PIXELS } else { COLUMNS };
        for columns in chunks(0..g.in_width, most) {
            let span = columns.start.saturating_sub(1)..g.in_width.min(columns.end + 1);
            let shown = Pixels {
                products,
                next: factors.next(),
                next_tap: NEXT_TAP,
                padding: &padding,
                before: columns.start - span.start,
                columns: columns.len(),
                behind: span.end - columns.end,
            };
            // Lines that are needed, of which those in the map are multiplied a few at a time.
            let needed = lines.start.saturating_sub(1)..g.in_height.min(lines.end + 1);
            let mut multiplied = needed.start..needed.start;
            // Lines are counted from the one above the map on.
            let mut ready = lines.start;
            for line in lines.start + 1..lines.end + 1 {
                while ready < line + 2 {
                    // SAFETY: the processor has the instructions; the rows exist.
                    unsafe {
                        let seen = seen[ready % 3].as_mut_ptr();
                        match ready.checked_sub(1).filter(|&line| line < g.in_height) {
                            None => (add.across)(&shown.outside(), seen),
                            Some(line) => {
                                if line >= multiplied.end {
                                    multiplied = line..needed.end.min(line + PIXELS / span.len());
                                    let count = multiplied.len() * span.len();
                                    let mut copies = Room::new(&pixel, runs, fill, room);
                                    for (i, line) in multiplied.clone().enumerate() {
                                        let places = (&mut table[..], i * span.len(), count);
                                        copies.line(&pixel, runs, layer.x, (line, span.clone()), places);
                                    }
                                    let table = table.as_ptr().cast();
                                    let rows = Rows { table, rows: count, runs: 1, len: runs.len };
                                    factors.multiply(rows, products, NEXT_TAP);
                                }
                                let before = (line - multiplied.start) * span.len();
                                let products = products.add(before * shown.next);
                                (add.across)(&Pixels { products, ..shown }, seen);
                            }
                        }
                    }
                    ready += 1;
                }
                let near = [line - 1, line, line + 1].map(|line| seen[line % 3].as_ptr());
                let len = 2 * columns.len();
                // SAFETY: the processor has the instructions; the lines have been written, so the sums of both will be.
                let sums = unsafe {
                    (add.down)(near, [columns.len(), width], sums.as_mut_ptr());
                    core::slice::from_raw_parts(sums.as_ptr().cast::<i32>(), 2 * len * width)
                };
                // Whole lines follow one another.
                let together = if len == g.out_width { 2 * len } else { len };
                for (down, sums) in sums.chunks_exact(together * width).enumerate() {
                    let start = (2 * (line - 1) + down) * g.out_width + 2 * columns.start;
                    // SAFETY: the outputs of these lines.
                    unsafe { finish(&group, sums, start..start + together, out) };
                }
            }
        }
    }
}

/// The filters of a panel.
struct Factors<'a, E> {
    method: &'a Method<E>,
    weight: &'a [i8],
    /// Terms of a tap as they are stored.
    stored: usize,
    width: usize,
    /// Room for filters in pairs.
    filters: *mut i32,
    /// The part that lies there.
    ready: Option<usize>,
}

impl<E: Copy> Factors<'_, E> {
    /// From the products of a pixel to those of the next.
    fn next(&self) -> usize {
        if self.method.pairs.is_some() { PANEL } else { self.width }
    }

    /// Multiplies pixels with every tap.
    ///
    /// # Safety
    /// The processor has the instructions; there are as many rows as it says, of a single run, and room for their products:
    /// those of a tap begin `next_tap` behind those of the one before.
    unsafe fn multiply(&mut self, rows: Rows<E>, products: *mut i32, next_tap: usize) {
        // SAFETY: promised by the caller; the room holds the filters of a part.
        unsafe {
            let Some(pairs) = self.method.pairs else {
                for (tap, weight) in self.weight.chunks_exact(self.stored * self.width).enumerate() {
                    (self.method.product)(rows, rows.rows, weight, self.stored, products.add(tap * next_tap));
                }
                return;
            };
            for part in Part::all(self.stored, self.width) {
                if self.ready != Some(part.first) {
                    (pairs.filters)(self.weight, TAPS, part, self.filters);
                    self.ready = Some(part.first);
                }
                for tap in 0..TAPS {
                    (pairs.products)(&Product {
                        rows,
                        count: rows.rows,
                        first: part.first,
                        filters: self.filters.add(tap * TAP),
                        part,
                        sums: products.add(tap * next_tap),
                        next: PANEL,
                    });
                }
            }
        }
    }
}

impl Pixels<'_> {
    /// As many of the padding.
    fn outside(&self) -> Self {
        let products = self.padding.as_flattened().as_ptr();
        Self { products, next: 0, next_tap: PANEL, before: 0, behind: 0, ..*self }
    }
}

/// See [`Add::across`].
///
/// # Safety
/// The pixels have been multiplied; the line is there.
#[inline(always)]
pub unsafe fn across(p: &Pixels, line: *mut Line) {
    for ky in 0..3 {
        for column in 0..p.columns {
            let pixel = p.before + column;
            // SAFETY: promised by the caller: pixels from the first to the one behind the last exist, or the padding stands for
            // them. What is too much of a narrow panel belongs to the next pixel, or is still 0.
            unsafe {
                let product = |kx: usize, pixel: usize| {
                    p.products.add((3 * ky + kx) * p.next_tap + pixel * p.next).cast::<Panel>()
                };
                let before = if pixel > 0 { product(0, pixel - 1) } else { &raw const p.padding[3 * ky] };
                let inside = column + 1 < p.columns || p.behind > 0;
                let behind = if inside { product(2, pixel + 1) } else { &raw const p.padding[3 * ky + 2] };
                let middle = product(1, pixel).read();
                // The left output sees the pixel before by its first tap, its own by the others; the right one its own by two,
                // and the pixel behind.
                let place = (&raw mut (*line)[ky][2 * column]).cast::<Panel>();
                place.write(sum(before.read(), middle, product(2, pixel).read()));
                place.add(1).write(sum(product(0, pixel).read(), middle, behind.read()));
            }
        }
    }
}

/// See [`Add::down`].
///
/// # Safety
/// So many columns of the lines have been seen; the sums are there.
#[inline(always)]
pub unsafe fn down([above, here, below]: [*const Line; 3], [columns, width]: [usize; 2], sums: *mut Sums) {
    for (down, [top, middle, bottom]) in [[above, here, here], [here, here, below]].into_iter().enumerate() {
        for output in 0..2 * columns {
            // SAFETY: promised by the caller. A whole panel is faster copied than its width: what is too much is overwritten by
            // the next.
            unsafe {
                let sum = sum((*top)[0][output], (*middle)[1][output], (*bottom)[2][output]);
                let position = down * 2 * columns + output;
                sums.cast::<i32>().add(position * width).cast::<Panel>().write(sum);
            }
        }
    }
}

/// Sums of three numbers each.
#[inline(always)]
fn sum(a: Panel, b: Panel, c: Panel) -> Panel {
    let mut sums = [0; PANEL];
    for i in 0..PANEL {
        sums[i] = a[i].wrapping_add(b[i]).wrapping_add(c[i]);
    }
    sums
}
