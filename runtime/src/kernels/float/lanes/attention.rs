//! Attention as products of matrices, one head after the other: scores are rows of queries times keys, results rows of scores
//! times values. Keys are shared among workers, then blocks of queries.
//!
//! Every sum has one order, whatever the width of registers and the number of workers.

use core::mem::MaybeUninit;

use super::curve::exp;
use super::matrix::{Block, Order, Start, Sums};
use super::{Lanes, Task, has_lanes, run};
use crate::kernels::float::attention::{Attention, prepare};
use crate::kernels::isa::Kernels;
use crate::panels::{PANEL, Panels};
use crate::workers::Workers;

/// Queries computed together at most.
const QUERIES: usize = 24;

/// Numbers of queries and scores that are kept at a time, on the stack.
const ROOM: usize = 12 << 10;

/// Multiply-accumulate operations of a head that are worth another worker.
const WORTH: usize = if cfg!(test) { 100 } else { 400_000 };

/// Partial sums of a row of scores.
const SUMS: usize = 16;

/// Whether there are kernels for it besides the portable ones.
pub fn takes(kernels: Kernels, tokens: usize, head: usize) -> bool {
    // Scores and a head of at least one query have to fit.
    has_lanes(kernels) && tokens + head <= ROOM
}

/// Where the numbers of all workers lie.
struct Places<'a> {
    p: &'a Attention<'a>,
    q: *const f32,
    k: &'a [f32],
    v: &'a [f32],
    /// Of one head, prepared, in panels.
    keys: *mut f32,
    out: *mut f32,
}

// SAFETY: workers write keys and results of their own tokens alone, and read queries in the place of results of these only.
unsafe impl Sync for Places<'_> {}

/// `out = softmax(q k / sqrt(head)) v` as the portable kernel has it. Call it only if [`takes`] says so.
pub fn attention(
    kernels: Kernels,
    workers: &dyn Workers,
    p: &Attention,
    q: Option<&[f32]>,
    [k, v]: [&[f32]; 2],
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let (width, place) = (p.heads * p.head, out.as_mut_ptr());
    let numbers = p.tokens * width;
    assert!(out.len() >= numbers && k.len() >= numbers && v.len() >= numbers && scratch.len() >= p.tokens * p.head);
    assert!(q.is_none_or(|q| q.len() >= numbers));
    let q = q.map_or(place.cast_const(), <[f32]>::as_ptr);
    let places = &Places { p, q, k, v, keys: scratch.as_mut_ptr(), out: place };
    let panels = p.tokens.div_ceil(PANEL);
    let at_once = (ROOM / (p.tokens + p.head)).clamp(1, QUERIES);
    let blocks = p.tokens.div_ceil(at_once);
    let parts = workers.count().min(p.tokens * p.tokens * p.head / WORTH).max(1);
    let share = |part: usize, len: usize| len * part / parts..len * (part + 1) / parts;
    for first in (0..p.heads).map(|head| head * p.head) {
        // SAFETY: all places are as long as the shape says; parts are of different tokens. Keys are complete before queries
        // meet them.
        workers.run(parts, &|part| unsafe {
            run(kernels, &Keys { places, first, panels: share(part, panels) });
        });
        workers.run(parts, &|part| {
            for block in share(part, blocks) {
                let tokens = block * at_once..p.tokens.min((block + 1) * at_once);
                // SAFETY: as above.
                unsafe { queries(kernels, places, first, tokens) };
            }
        });
    }
}

/// Prepares keys of one head: those of some panels.
struct Keys<'a> {
    places: &'a Places<'a>,
    /// Channel where the head begins.
    first: usize,
    panels: core::ops::Range<usize>,
}

impl Task for Keys<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        let Places { p, k, keys, .. } = *self.places;
        let order = Panels { outputs: p.tokens, terms: p.head, group: 1 };
        let mut room = [const { MaybeUninit::<f32>::uninit() }; ROOM];
        for token in self.panels.start * PANEL..p.tokens.min(self.panels.end * PANEL) {
            let from = &k[token * p.heads * p.head + self.first..][..p.head];
            // SAFETY: a head fits the room.
            let key = unsafe { copied(from.as_ptr(), p.head, room.as_mut_ptr().cast()) };
            prepare(p, p.key_gain, token, key);
            let (at, step) = (order.at(token, 0), order.width(token / PANEL));
            for (i, &x) in key.iter().enumerate() {
                // SAFETY: every key has a place of its own among `tokens * head`.
                unsafe { *keys.add(at + i * step) = x };
            }
        }
    }
}

/// Copies a head's numbers to a place of their own.
///
/// # Safety
/// There are so many numbers, and the place has room for them and is the caller's for as long.
#[inline(always)]
unsafe fn copied<'r>(from: *const f32, count: usize, to: *mut f32) -> &'r mut [f32] {
    // SAFETY: promised by the caller.
    unsafe {
        core::ptr::copy_nonoverlapping(from, to, count);
        core::slice::from_raw_parts_mut(to, count)
    }
}

/// Computes the results of queries of one head.
///
/// # Safety
/// All places are as long as the shape says, keys are prepared, and nobody else touches results of these tokens.
unsafe fn queries(kernels: Kernels, places: &Places, first: usize, tokens: core::ops::Range<usize>) {
    let Places { p, q, v, keys, out, .. } = *places;
    let (count, width) = (tokens.len(), p.heads * p.head);
    let mut room = [const { MaybeUninit::<f32>::uninit() }; ROOM];
    let queries = room.as_mut_ptr().cast::<f32>();
    // SAFETY: promised by the caller; queries and their scores fit the room.
    unsafe {
        let scores = queries.add(count * p.head);
        let first_number = tokens.start * width + first;
        run(kernels, &Queries { p, q: q.add(first_number), queries, tokens });
        let rows = |from: *const f32, stride: usize| -> [*const f32; QUERIES] {
            core::array::from_fn(|i| from.wrapping_add(i * stride))
        };
        let block = |inputs: &[*const f32; QUERIES], depth, weights, outputs, first, stride| Block {
            inputs: inputs.as_ptr(),
            count,
            taps: 1,
            depth,
            weights,
            outputs,
            sums: Sums { first, stride, start: Start::Zero, relu: false },
        };
        let panels = Order::Panels { weight: keys.cast_const(), terms: p.head, first_term: 0 };
        run(kernels, &block(&rows(queries, p.head), p.head, panels, p.tokens, scores, p.tokens));
        let mut sums = [0.0; QUERIES];
        let scale = 1.0 / libm::sqrtf(p.head as f32);
        run(kernels, &Softmax { scores, sums: sums.as_mut_ptr(), count, tokens: p.tokens, scale });
        let values = Order::Rows { weight: v[first..].as_ptr(), stride: width };
        run(kernels, &block(&rows(scores, p.tokens), p.tokens, values, p.head, out.add(first_number), width));
        for (i, sum) in sums.into_iter().take(count).enumerate() {
            let result = core::slice::from_raw_parts_mut(out.add(first_number + i * width), p.head);
            result.iter_mut().for_each(|x| *x /= sum);
        }
    }
}

/// Prepares queries of one head.
struct Queries<'a> {
    p: &'a Attention<'a>,
    /// The first of them, at the place of its head.
    q: *const f32,
    /// Where they go, one behind the other.
    queries: *mut f32,
    tokens: core::ops::Range<usize>,
}

impl Task for Queries<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        let p = self.p;
        for (i, token) in self.tokens.clone().enumerate() {
            // SAFETY: promised by the caller.
            let query = unsafe { copied(self.q.add(i * p.heads * p.head), p.head, self.queries.add(i * p.head)) };
            prepare(p, p.query_gain, token, query);
        }
    }
}

/// Powers of e in the place of `[count, tokens]` scores, the largest of each row 1, and their sums.
struct Softmax {
    scores: *mut f32,
    sums: *mut f32,
    count: usize,
    tokens: usize,
    scale: f32,
}

impl Task for Softmax {
    #[inline(always)]
    unsafe fn run<L: Lanes>(&self) {
        for i in 0..self.count {
            // SAFETY: promised by the caller.
            unsafe { *self.sums.add(i) = softmax::<L>(self.scores.add(i * self.tokens), self.tokens, self.scale) };
        }
    }
}

/// One row. Score `i` goes to partial sum `i mod 16`.
///
/// # Safety
/// The processor has the instructions, and there are so many scores, which nobody else touches.
#[inline(always)]
unsafe fn softmax<L: Lanes>(scores: *mut f32, count: usize, scale: f32) -> f32 {
    let whole = count / SUMS * SUMS;
    // SAFETY: promised by the caller.
    unsafe {
        let row = core::slice::from_raw_parts_mut(scores, count);
        let mut most = [f32::NEG_INFINITY; SUMS];
        for row in row.as_chunks::<SUMS>().0 {
            for (most, &score) in most.iter_mut().zip(row) {
                *most = if score > *most { score } else { *most };
            }
        }
        let largest = most.iter().chain(&row[whole..]).fold(f32::NEG_INFINITY, |m, &s| m.max(s));
        // What fills up the last sums becomes nothing.
        let mut last = [f32::NEG_INFINITY; SUMS];
        last[..count - whole].copy_from_slice(&row[whole..]);
        let mut sums = [L::splat(0.0); SUMS / 4];
        for first in (0..whole).step_by(SUMS) {
            powers(scores.add(first), largest, scale, &mut sums[..SUMS / L::COUNT]);
        }
        powers(last.as_mut_ptr(), largest, scale, &mut sums[..(count - whole).div_ceil(L::COUNT)]);
        row[whole..].copy_from_slice(&last[..count - whole]);
        let mut partial = [0.0; SUMS];
        for (r, sum) in sums.into_iter().take(SUMS / L::COUNT).enumerate() {
            sum.store(partial.as_mut_ptr().add(r * L::COUNT));
        }
        partial.into_iter().sum()
    }
}

/// Powers of e in the place of as many scores as there are partial sums, and added to them.
///
/// # Safety
/// As [`softmax`].
#[inline(always)]
unsafe fn powers<L: Lanes>(scores: *mut f32, largest: f32, scale: f32, sums: &mut [L]) {
    for (r, sum) in sums.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        unsafe {
            let at = scores.add(r * L::COUNT);
            let power = exp(L::load(at).minus(L::splat(largest)).times(L::splat(scale)));
            power.store(at);
            *sum = sum.add(power);
        }
    }
}
