//! Copies the inputs that filters read at a few positions.

use core::marker::PhantomData;

use super::Tiles;
use crate::kernels::Geometry;
use crate::kernels::int8::Int;
use crate::panels::QUAD;

/// Inputs of a layer, of 8 or 16 bits.
pub struct Inputs<'a> {
    at: *const u8,
    /// Bytes of a number.
    size: usize,
    len: usize,
    /// What taps outside the map read.
    zero: i16,
    life: PhantomData<&'a [u8]>,
}

impl<'a> Inputs<'a> {
    /// All inputs, and what stands for one in the padding.
    pub fn new<I: Int>(x: &'a [I], zero: I) -> Self {
        let (at, size) = (x.as_ptr().cast(), size_of::<I>());
        Self { at, size, len: x.len(), zero: zero.into() as i16, life: PhantomData }
    }

    /// Whether they are bytes.
    pub fn are_bytes(&self) -> bool {
        self.size == 1
    }

    /// One of them.
    pub fn get(&self, i: usize) -> i32 {
        assert!(i < self.len);
        // SAFETY: there are more inputs than `i`.
        unsafe {
            match self.size {
                1 => self.at.add(i).cast::<i8>().read().into(),
                _ => self.at.cast::<i16>().add(i).read().into(),
            }
        }
    }

    /// What stands for one in the padding.
    pub fn zero(&self) -> i32 {
        self.zero.into()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Inputs that are wanted.
pub struct Piece {
    /// Row and column of the first position.
    pub first: [usize; 2],
    /// Positions, row by row.
    pub count: usize,
    /// The first group of terms.
    pub start: usize,
    /// Groups of terms of each position.
    pub len: usize,
    /// Where they go, with room for all, aligned to 64 bits: the first groups of all positions, then the second; or position
    /// after position, see [`Tiles::IN_TURN`].
    pub to: *mut u8,
}

/// Copies them. The layer has so many inputs as its geometry says.
pub fn gather<M: Tiles>(g: &Geometry, inputs: &Inputs, piece: &Piece) {
    let quads = g.in_channels.div_ceil(QUAD);
    let side_by_side = g.upsample == 1 && !g.transposed && quads * QUAD == g.in_channels;
    let whole = piece.len == g.kernel_height * g.kernel_width * quads;
    let [mut oy, mut ox] = piece.first;
    let group = if M::BYTES && inputs.are_bytes() { QUAD } else { QUAD * size_of::<i16>() };
    let (slot, step) = if M::IN_TURN { (group, piece.count * group) } else { (piece.len * group, group) };
    let target = |position: usize| Target { inputs, to: piece.to.wrapping_add(position * slot), step };
    // Most positions: all of the filter, inside the map's rows.
    let left = (ox * g.stride).checked_sub(g.padding).filter(|left| {
        g.upsample == 1
            && !g.transposed
            && whole
            && ox + piece.count <= g.out_width
            && left + (piece.count - 1) * g.stride + g.kernel_width <= g.in_width
    });
    if let Some(left) = left {
        let run = g.kernel_width * quads;
        for ky in 0..g.kernel_height {
            let row = g.input_row(oy, ky).map(|iy| (iy * g.in_width + left) * g.in_channels);
            for position in 0..piece.count {
                let mut target = target(position);
                target.to = target.to.wrapping_add(ky * run * step);
                let Some(row) = row else {
                    target.fill::<M>(run);
                    continue;
                };
                let from = row + position * g.stride * g.in_channels;
                if side_by_side {
                    target.copy::<M>(from, run);
                    continue;
                }
                for kx in 0..g.kernel_width {
                    target.copy_tap::<M>(from + kx * g.in_channels, quads, g.in_channels);
                }
            }
        }
        return;
    }
    for position in 0..piece.count {
        any::<M>(g, side_by_side, [oy, ox], piece, target(position));
        ox += 1;
        if ox == g.out_width {
            (oy, ox) = (oy + 1, 0);
        }
    }
}

/// Where the groups of a position come from, and go.
struct Target<'a> {
    inputs: &'a Inputs<'a>,
    to: *mut u8,
    /// Bytes from a group to the next.
    step: usize,
}

impl Target<'_> {
    /// Copies groups that lie side by side in the map, from an input on.
    fn copy<M: Tiles>(&mut self, from: usize, quads: usize) {
        let at = self.inputs.at.wrapping_add(from * self.inputs.size);
        // SAFETY: so many inputs are there, as the layer has all that its geometry says, and room for the piece.
        unsafe { self.copy_from::<M>(at, quads) }
    }

    /// # Safety
    /// So many inputs are there.
    unsafe fn copy_from<M: Tiles>(&mut self, from: *const u8, quads: usize) {
        // SAFETY: promised by the caller; there is room for all groups of the piece.
        unsafe {
            match self.inputs.size {
                1 => M::copy_bytes(from.cast(), quads, self.to, self.step),
                _ => M::copy_words(from.cast(), quads, self.to, self.step),
            }
        }
        self.to = self.to.wrapping_add(quads * self.step);
    }

    /// Copies groups of a tap that has so many inputs from there on; a last group that is not full is filled up with what comes
    /// behind, which meets weights of zero.
    #[inline(never)]
    fn copy_tap<M: Tiles>(&mut self, from: usize, quads: usize, channels: usize) {
        if from + quads * QUAD <= self.inputs.len {
            return self.copy::<M>(from, quads);
        }
        // The last pixel of the map has nothing behind it.
        let whole = channels / QUAD;
        if whole > 0 {
            self.copy::<M>(from, whole);
        }
        let (from, count) = (from + whole * QUAD, channels - whole * QUAD);
        let mut group = [0u64];
        // SAFETY: so many inputs are there, and room for a group of them, aligned to 64 bits.
        unsafe {
            let at = self.inputs.at.add(from * self.inputs.size);
            let place = group.as_mut_ptr().cast::<u8>();
            for i in 0..count * self.inputs.size {
                place.add(i).write(at.add(i).read());
            }
            self.copy_from::<M>(place, 1);
        }
    }

    /// Writes groups of the padding.
    #[inline(never)]
    fn fill<M: Tiles>(&mut self, quads: usize) {
        for _ in 0..quads {
            // SAFETY: there is room for all groups of the piece, aligned to their size.
            unsafe {
                if M::BYTES && self.inputs.are_bytes() {
                    self.to.cast::<[i8; QUAD]>().write([self.inputs.zero as i8; QUAD]);
                } else {
                    self.to.cast::<[i16; QUAD]>().write([self.inputs.zero; QUAD]);
                }
            }
            self.to = self.to.wrapping_add(self.step);
        }
    }
}

/// Copies a piece of any position, tap by tap.
#[inline(never)]
fn any<M: Tiles>(g: &Geometry, side_by_side: bool, [oy, ox]: [usize; 2], piece: &Piece, mut target: Target) {
    let quads = g.in_channels.div_ceil(QUAD);
    // The first tap, and groups of it that are not wanted. Most pieces begin at the beginning, which spares a division.
    let (mut ky, mut kx, mut skip) = match piece.start {
        0 => (0, 0, 0),
        start => (start / quads / g.kernel_width, start / quads % g.kernel_width, start % quads),
    };
    let mut left = piece.len;
    while left > 0 {
        let row = g.input_row(oy, ky);
        // Taps that are alike from here on: they read inputs side by side, or all of them none.
        let (taps, pixel) = match (row, row.and(g.input_column(ox, kx))) {
            (None, _) => (g.kernel_width - kx, None),
            (_, None) => (1, None),
            (Some(iy), Some(ix)) => {
                let taps = if side_by_side { (g.kernel_width - kx).min(g.in_width - ix) } else { 1 };
                (taps, Some((iy * g.in_width + ix) * g.in_channels))
            }
        };
        let len = (taps * quads - skip).min(left);
        match pixel {
            None => target.fill::<M>(len),
            Some(pixel) if side_by_side => target.copy::<M>(pixel + skip * QUAD, len),
            Some(pixel) => target.copy_tap::<M>(pixel + skip * QUAD, len, g.in_channels - skip * QUAD),
        }
        left -= len;
        skip = 0;
        kx += taps;
        if kx == g.kernel_width {
            (ky, kx) = (ky + 1, 0);
        }
    }
}
