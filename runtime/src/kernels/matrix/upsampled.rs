//! Convolutions of 3 x 3 over a map that is upsampled by 2: a quarter of the products.
//!
//! Each pixel of the small map stands for four of the large one, and each tap meets it four times. Its product with every tap is
//! computed once; an output is the sum of nine such products, of the pixels that its taps fall on. Sums of integers are
//! exact, so the bytes are those of the plain way.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::gather::{Element, Room, Runs};
use super::tile::Rows;
use super::{Finish, Geometry, Group, Int, Isa, Layer, Method, ROOM, chunks, start};
use crate::panels::{PANEL, QUAD};

const TAPS: usize = 9;

/// Columns of the small map that are worked off at a time, and with a neighbour on either side.
const COLUMNS: usize = 24;
const SPAN: usize = COLUMNS + 2;

/// Sums of three numbers each, element by element.
pub type Add = unsafe fn(sums: &mut [i32], a: &[i32], b: &[i32], c: &[i32]);

/// The fastest way to add.
pub fn add(isa: Isa) -> Add {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Vnni => super::x86::add_512,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => super::x86::add_256,
        _ => add_portable,
    }
}

/// As [`Add`], for any processor.
#[inline(always)]
pub fn add_portable(sums: &mut [i32], a: &[i32], b: &[i32], c: &[i32]) {
    for (((sum, a), b), c) in sums.iter_mut().zip(a).zip(b).zip(c) {
        *sum = a.wrapping_add(*b).wrapping_add(*c);
    }
}

/// Whether a layer is such a convolution, of a size for which the way is made.
pub fn is_one(g: &Geometry) -> bool {
    // A span of pixels of two bytes an input, and one of padding.
    let small = g.in_channels.next_multiple_of(QUAD) * 2 * (SPAN + 1) <= ROOM;
    // A part of a map has other rows.
    let whole = g.top == 1 && g.out_height == 2 * g.in_height;
    [g.kernel_height, g.kernel_width, g.upsample] == [3, 3, 2] && (g.stride, g.padding) == (1, 1) && whole && small
}

/// A line of the small map, seen by the three taps of a row of the kernel: sums `[column][output]` for the left and for the
/// right one of the two outputs that a column becomes.
type Line = [[[i32; COLUMNS * PANEL]; 2]; 3];

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
    let pixels = Geometry { kernel_height: 1, kernel_width: 1, padding: 0, top: 0, upsample: 1, ..*g };
    let runs = Runs::of(&pixels);
    let [zero, none] = [layer.in_zero, I::saturate(0)].map(E::prepared);
    let mut room = [const { MaybeUninit::<u64>::uninit() }; ROOM / 8];
    // SAFETY: the same bytes, as what needs no alignment beyond that of 64 bits.
    let room: &mut [MaybeUninit<E>] =
        unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), ROOM / size_of::<E>()) };
    // An output needs the lines above and below its own.
    let mut seen: [Line; 3] = [[[[0; COLUMNS * PANEL]; 2]; 3]; 3];
    let mut products = [[0; SPAN * PANEL]; 3];
    let mut sides = [[0; COLUMNS * PANEL + PANEL]; 2];
    let mut sums = [0; 2 * COLUMNS * PANEL + PANEL];
    for panel in layer.w.panels(&panels) {
        let (first, width) = (panel * PANEL, panels.width(panel));
        let weight = layer.w.of(&panels, panel, width);
        let mut table = [MaybeUninit::uninit(); SPAN];
        let mut starts = [0; PANEL];
        let zeros = Room::new(&pixels, runs, [none; 2], room).padding_rows(1, TAPS, runs.len, &mut table);
        // SAFETY: the processor has the instructions; the table has a row of zeros for all taps.
        unsafe { start(method, layer, zeros, first..first + width, &mut starts[..width]) };
        let group = Group {
            w: layer.w,
            epilogue: layer.epilogue,
            starts: &starts[..width],
            first_output: first,
            channels: g.out_channels,
        };
        for columns in chunks(0..g.in_width, COLUMNS) {
            // Lines are counted from the one above the map on.
            let mut ready = lines.start;
            for line in lines.start + 1..lines.end + 1 {
                while ready < line + 2 {
                    let mut copies = Room::new(&pixels, runs, [zero, none], room);
                    let span = columns.len() + 2;
                    let rows: Rows<E> = copies.padding_rows(span, 1, runs.len, &mut table);
                    if (1..=g.in_height).contains(&ready) {
                        let inside = columns.start.saturating_sub(1)..g.in_width.min(columns.end + 1);
                        let before = usize::from(columns.start == 0);
                        copies.line(&pixels, runs, layer.x, (ready - 1, inside), (&mut table, before, span));
                    }
                    // SAFETY: the processor has the instructions; the rows exist.
                    unsafe { see((method, add), rows, weight, (&mut products, &mut seen[ready % 3])) };
                    ready += 1;
                }
                let [above, here, below] = [line - 1, line, line + 1].map(|line| &seen[line % 3]);
                let len = columns.len() * width;
                for (down, [top, middle, bottom]) in [[above, here, here], [here, here, below]].into_iter().enumerate()
                {
                    for (right, side) in sides.iter_mut().enumerate() {
                        // SAFETY: the processor has the instructions.
                        unsafe { add(&mut side[..len], &top[0][right], &middle[1][right], &bottom[2][right]) };
                    }
                    for column in 0..columns.len() {
                        for (right, side) in sides.iter().enumerate() {
                            // A whole panel is faster copied than its width: what is too much is overwritten by the next.
                            let side = side[column * width..].first_chunk::<PANEL>();
                            let place = sums[(2 * column + right) * width..].first_chunk_mut::<PANEL>();
                            if let (Some(place), Some(side)) = (place, side) {
                                *place = *side;
                            }
                        }
                    }
                    let start = (2 * (line - 1) + down) * g.out_width;
                    let positions = start + 2 * columns.start..start + 2 * columns.end;
                    // SAFETY: the outputs of these lines.
                    unsafe { finish(&group, &sums[..positions.len() * width], positions, out) };
                }
            }
        }
    }
}

/// Computes what the taps see of a line: of each pixel its product with every tap, then sums of neighbours.
///
/// # Safety
/// The processor has the instructions; there are as many rows as `rows` says.
unsafe fn see<E: Copy>(
    (method, add): (&Method<E>, Add),
    rows: Rows<E>,
    weight: &[i8],
    (products, line): (&mut [[i32; SPAN * PANEL]; 3], &mut Line),
) {
    let width = weight.len() / (TAPS * rows.len);
    let mut taps = weight.chunks_exact(rows.len * width);
    for seen in line {
        for (products, weight) in products.iter_mut().zip(&mut taps) {
            // SAFETY: promised by the caller; there is room for the sums of `SPAN` rows of a panel.
            unsafe { (method.product)(rows, rows.rows, weight, rows.len, products.as_mut_ptr()) };
        }
        let [a, b, c] = &*products;
        let len = (rows.rows - 2) * width;
        // The left output sees the pixel before by its first tap, its own by the others; the right one its own by two, and the
        // pixel behind. `products` begin with the pixel before.
        // SAFETY: the processor has the instructions.
        unsafe {
            add(&mut seen[0][..len], a, &b[width..], &c[width..]);
            add(&mut seen[1][..len], &a[width..], &b[width..], &c[2 * width..]);
        }
    }
}
