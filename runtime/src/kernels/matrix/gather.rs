//! Rows of a matrix product: for each output position, where the inputs lie that its filters read. Most lie in the map, side by
//! side, and are read there; those at its borders are copied.

use core::mem::MaybeUninit;
use core::ops::Range;

use super::tile::Rows;
use crate::kernels::Geometry;
use crate::panels::QUAD;

/// How a micro-kernel takes its inputs.
pub trait Element<I>: Copy {
    /// Whether it reads the map's own numbers.
    const IN_PLACE: bool;

    /// What stands for an integer of the map.
    fn prepared(x: I) -> Self;
}

impl Element<i8> for i8 {
    const IN_PLACE: bool = true;

    fn prepared(x: i8) -> Self {
        x
    }
}

/// 128 more.
impl Element<i8> for u8 {
    const IN_PLACE: bool = false;

    fn prepared(x: i8) -> Self {
        x as u8 ^ 0x80
    }
}

impl Element<i16> for i16 {
    const IN_PLACE: bool = true;

    fn prepared(x: i16) -> Self {
        x
    }
}

impl Element<i8> for i16 {
    const IN_PLACE: bool = false;

    fn prepared(x: i8) -> Self {
        x.into()
    }
}

/// How a row is cut: into runs of terms that lie side by side in the map.
#[derive(Clone, Copy)]
pub struct Runs {
    /// Runs of a row.
    pub count: usize,
    /// Terms of a run, a multiple of [`QUAD`].
    pub len: usize,
    /// Taps of a run: all of a kernel's row, or one.
    taps: usize,
}

impl Runs {
    /// The fewest runs that a layer allows.
    pub fn of(g: &Geometry) -> Self {
        let stored = g.in_channels.next_multiple_of(QUAD);
        let taps = if g.upsample == 1 && stored == g.in_channels { g.kernel_width } else { 1 };
        Self { count: g.kernel_height * g.kernel_width / taps, len: taps * stored, taps }
    }
}

/// Memory for what is copied.
pub struct Room<'r, E> {
    /// A run of the padding.
    padding: *const E,
    free: &'r mut [MaybeUninit<E>],
    fill: E,
    /// Lines of the map that were prepared last: those that the rows of a kernel share.
    prepared: [Prepared<E>; LINES],
    /// Which of them is the oldest.
    oldest: usize,
}

/// Prepared lines that are remembered: a kernel of four rows moves on by one.
const LINES: usize = 4;

/// Pixels side by side that were prepared.
#[derive(Clone, Copy)]
struct Prepared<E> {
    /// Numbers of the map.
    start: usize,
    end: usize,
    base: *const E,
}

impl<'r, E: Copy> Room<'r, E> {
    /// Begins a block of rows. `zero` stands for an input in the padding, `fill` for the terms that fill groups up; there is
    /// room for a run more than all rows have.
    pub fn new(g: &Geometry, runs: Runs, [zero, fill]: [E; 2], room: &'r mut [MaybeUninit<E>]) -> Self {
        let (padding, free) = room.split_at_mut(runs.len);
        for tap in padding.chunks_exact_mut(runs.len / runs.taps) {
            for (i, place) in tap.iter_mut().enumerate() {
                place.write(if i < g.in_channels { zero } else { fill });
            }
        }
        let none = Prepared { start: 0, end: 0, base: core::ptr::null() };
        Self { padding: padding.as_ptr().cast(), free, fill, prepared: [none; LINES], oldest: 0 }
    }

    fn take(&mut self, len: usize) -> &'r mut [MaybeUninit<E>] {
        let (taken, free) = core::mem::take(&mut self.free).split_at_mut(len);
        self.free = free;
        taken
    }

    /// Writes where the runs of neighbouring output positions begin, into rows `at..` of a table of so many; each run is readable
    /// for its length.
    #[inline(always)]
    pub fn line<I: Copy>(
        &mut self,
        g: &Geometry,
        runs: Runs,
        x: &[I],
        (oy, columns): (usize, Range<usize>),
        (table, at, rows): (&mut [MaybeUninit<*const E>], usize, usize),
    ) where
        E: Element<I>,
    {
        // In registers: for the compiler, what is written might change the geometry.
        let (stride, shift, channels) = (g.stride, g.upsample - 1, g.in_channels);
        for run in 0..runs.count {
            let (ky, kx) = (run * runs.taps / g.kernel_width, run * runs.taps % g.kernel_width);
            let places = &mut table[run * rows + at..][..columns.len()];
            let Some(row) = g.input_row(oy, ky).map(|iy| iy * g.in_width) else {
                places.fill(MaybeUninit::new(self.padding));
                continue;
            };
            // Columns whose run lies inside the map: `padding <= ox * stride + kx < end`.
            let end = ((g.in_width + 1 - runs.taps.min(g.in_width + 1)) * g.upsample + g.padding).saturating_sub(kx);
            let first = g.padding.saturating_sub(kx).div_ceil(stride).clamp(columns.start, columns.end);
            let last = end.div_ceil(stride).clamp(first, columns.end);
            let (before, places) = places.split_at_mut(first - columns.start);
            let (inside, after) = places.split_at_mut(last - first);
            for (ox, place) in (columns.start..first).zip(before).chain((last..columns.end).zip(after)) {
                place.write(self.outside(g, runs, x, row, ox));
            }
            let line = x.as_ptr().wrapping_add(row * channels);
            let pixel = |i: usize| ((first + i) * stride + kx - g.padding) >> shift;
            let from = |i: usize| pixel(i) * channels;
            // What cannot be read in place is prepared once for neighbours, whose runs overlap or touch.
            if !E::IN_PLACE && !inside.is_empty() && stride <= g.kernel_width {
                let (mut pixels, pitch) = (pixel(0)..pixel(inside.len() - 1) + runs.taps, runs.len / runs.taps);
                let first = pixels.start;
                if runs.taps == 1 {
                    // What the other taps see of the line as well: no more than a run for each tap and column.
                    let last = (columns.end - 1) * stride + g.kernel_width - 1;
                    pixels.start = ((columns.start * stride).saturating_sub(g.padding) >> shift).min(pixels.start);
                    pixels.end = (last.saturating_sub(g.padding) >> shift).min(g.in_width - 1).max(pixels.end - 1) + 1;
                }
                let numbers = (row + pixels.start) * channels..(row + pixels.end) * channels;
                let base = self.prepared(x, numbers, first - pixels.start, channels, pitch);
                if shift == 0 {
                    evenly(inside, base, stride * pitch);
                    continue;
                }
                for (i, place) in inside.iter_mut().enumerate() {
                    place.write(base.wrapping_add((pixel(i) - first) * pitch));
                }
                continue;
            }
            // What fills groups up is read from the pixel behind, for weights of zero; the last has none behind it.
            let readable = if E::IN_PLACE { (x.len() + 1).saturating_sub(row * channels + runs.len) } else { 0 };
            if !inside.is_empty() && from(inside.len() - 1) < readable {
                if shift == 0 {
                    evenly(inside, line.wrapping_add(from(0)).cast(), stride * channels);
                    continue;
                }
                for (i, place) in inside.iter_mut().enumerate() {
                    place.write(line.wrapping_add(from(i)).cast());
                }
                continue;
            }
            for (i, place) in inside.iter_mut().enumerate() {
                let from = from(i);
                place.write(if from < readable {
                    line.wrapping_add(from).cast()
                } else {
                    self.copied(&x[row * channels + from..][..runs.taps * channels], runs.len)
                });
            }
        }
    }

    /// Rows of padding.
    pub fn padding_rows(&self, rows: usize, runs: usize, len: usize, table: &mut [MaybeUninit<*const E>]) -> Rows<E> {
        table[..rows * runs].fill(MaybeUninit::new(self.padding));
        Rows { table: table.as_ptr().cast(), rows, runs, len }
    }

    /// A run that does not lie inside the map: padding, or a kernel's row over the border.
    fn outside<I: Copy>(&mut self, g: &Geometry, runs: Runs, x: &[I], row: usize, ox: usize) -> *const E
    where
        E: Element<I>,
    {
        if runs.taps == 1 { self.padding } else { self.border(g, runs, x, row, ox * g.stride) }
    }

    /// Where a pixel lies, so many behind the first of `numbers`: whole pixels of the map that are prepared with a pitch, unless
    /// they were. They take at most as much as the runs of as many rows.
    fn prepared<I: Copy>(
        &mut self,
        x: &[I],
        numbers: Range<usize>,
        pixel: usize,
        channels: usize,
        pitch: usize,
    ) -> *const E
    where
        E: Element<I>,
    {
        let wanted = numbers.start + pixel * channels;
        let known = self.prepared.iter().find(|p| p.start <= numbers.start && numbers.end <= p.end);
        if let Some(known) = known {
            return known.base.wrapping_add((wanted - known.start) / channels * pitch);
        }
        let place = self.take(numbers.len() / channels * pitch);
        let base: *const E = place.as_ptr().cast();
        self.prepared[self.oldest] = Prepared { start: numbers.start, end: numbers.end, base };
        self.oldest = (self.oldest + 1) % LINES;
        widen(&x[numbers], channels, pitch, place, self.fill);
        base.wrapping_add(pixel * pitch)
    }

    #[inline(never)]
    fn copied<I: Copy>(&mut self, from: &[I], len: usize) -> *const E
    where
        E: Element<I>,
    {
        let place = self.take(len);
        copy(from, place, self.fill);
        place.as_ptr().cast()
    }

    /// A kernel's row that reaches over the border of the map's row.
    #[inline(never)]
    fn border<I: Copy>(&mut self, g: &Geometry, runs: Runs, x: &[I], row: usize, left: usize) -> *const E
    where
        E: Element<I>,
    {
        let (place, channels) = (self.take(runs.len), g.in_channels);
        for (kx, tap) in place.chunks_exact_mut(channels).enumerate() {
            match (left + kx).checked_sub(g.padding).filter(|&ix| ix < g.in_width) {
                Some(ix) => copy(&x[(row + ix) * channels..][..channels], tap, self.fill),
                // SAFETY: the first pixel of the run of padding.
                None => tap.iter_mut().enumerate().for_each(|(i, place)| {
                    place.write(unsafe { *self.padding.add(i) });
                }),
            }
        }
        place.as_ptr().cast()
    }
}

/// Writes pointers that lie so many numbers apart.
#[inline(always)]
fn evenly<E>(places: &mut [MaybeUninit<*const E>], first: *const E, step: usize) {
    let mut at = first;
    for place in places {
        place.write(at);
        at = at.wrapping_add(step);
    }
}

/// Numbers that are copied together.
const TOGETHER: usize = 16;

/// Copies pixels, each filled up to a pitch.
#[inline(never)]
fn widen<I: Copy, E: Element<I>>(from: &[I], channels: usize, pitch: usize, to: &mut [MaybeUninit<E>], fill: E) {
    if pitch == channels {
        return copy(from, to, fill);
    }
    for (pixel, start) in from.chunks_exact(channels).zip((0..).step_by(channels)) {
        let at = start / channels * pitch;
        // Whole groups are faster copied than the numbers of a pixel: the next pixel, or what fills this one up for weights of
        // zero, is overwritten or does no harm.
        let groups = pitch.div_ceil(TOGETHER) * TOGETHER;
        match (from.get(start..start + groups), to.get_mut(at..at + groups)) {
            (Some(from), Some(to)) => {
                for (from, to) in from.chunks_exact(TOGETHER).zip(to.chunks_exact_mut(TOGETHER)) {
                    copy(from, to, fill);
                }
            }
            _ => copy(pixel, &mut to[at..at + pitch], fill),
        }
    }
}

/// Copies and fills up.
#[inline(always)]
fn copy<I: Copy, E: Element<I>>(from: &[I], to: &mut [MaybeUninit<E>], fill: E) {
    let (taken, rest) = to.split_at_mut(from.len());
    for (to, &from) in taken.iter_mut().zip(from) {
        to.write(E::prepared(from));
    }
    rest.iter_mut().for_each(|place| {
        place.write(fill);
    });
}
