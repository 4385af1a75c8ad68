//! Attention by tiles: a few queries at a time against all keys of a head, written once over the operations of an
//! instruction set.
//!
//! Keys lie in panels of a vector's lanes: of each key of a panel the first two channels, then the next two. Sums are exact,
//! so the order of the work changes no byte.
#![allow(unsafe_code)]

use core::ops::{Range, RangeInclusive};
use core::sync::atomic::{AtomicU64, Ordering};

use super::super::IntsMut;
use super::super::fixed::round_shift_short;
use super::super::operand::{Store, centre};
use super::lanes::{Lanes, MAX_LANES, Weighed};
use super::{Attention, Division, Ints, Operand, Output, Projection, fits_32_bits, normalizer, projected, weight};
use crate::workers::Workers;

/// Longest head that is taken.
const HEAD: usize = 256;

/// Scores that are kept at a time, on the stack.
const ROOM: usize = 12 << 10;

/// Shifts of scores' scale with which powers of two fit 32 bits, and some that are added in 64: all that a quantizer chooses.
pub const NEAR: RangeInclusive<u32> = 21..=44;

/// Panels of keys whose scores a tile computes together.
const PANELS: usize = 4;

/// Most queries of a tile.
const MOST_ROWS: usize = 6;

/// Keys that are projected together.
const TOGETHER: usize = 4;

/// Bytes of a line of the cache, on most processors.
const LINE: usize = 64;

/// Positions that keys are asked for ahead of their use.
const AHEAD: usize = 8;

/// Products that are worth another worker.
const WORTH: usize = if cfg!(test) { 100 } else { 200_000 };

/// The steps of an instruction set.
pub struct Method {
    /// Projects keys of a head into its panels.
    pub keys: Step,
    /// Computes the results of queries.
    pub queries: Step,
    /// Queries of a tile.
    pub rows: usize,
}

/// Part of the work on one head.
///
/// # Safety
/// The processor has the instructions; the job's pointers are good for all numbers of the operator; nobody else touches the
/// panels' places of these keys, or the results of these queries.
type Step = unsafe fn(&Job, Range<usize>);

/// Stored numbers, of any position and channel.
#[derive(Clone, Copy)]
enum Numbers {
    I8(*const i8),
    I16(*const i16),
}

/// Results of any position and channel.
#[derive(Clone, Copy)]
enum Place {
    I8(*mut i8),
    I16(*mut i16),
}

/// One head of an attention.
pub struct Job<'a> {
    p: &'a Attention<'a>,
    first_channel: usize,
    queries: (Numbers, i32),
    keys: (Numbers, i32),
    values: (Numbers, i32),
    panels: *mut i32,
    /// Squares of the longest key's length.
    longest: AtomicU64,
    out: Place,
    store: Store,
}

// SAFETY: workers write through the pointers only what belongs to their parts, see `run`.
unsafe impl Sync for Job<'_> {}

impl Job<'_> {
    /// Index of a position's first number of this head.
    fn at(&self, token: usize) -> usize {
        token * self.p.heads * self.p.head + self.first_channel
    }

    /// Pairs of channels.
    fn pairs(&self) -> usize {
        self.p.head.div_ceil(2)
    }
}

/// Whether tiles are made for such an attention.
pub fn takes(tokens: usize, head: usize) -> bool {
    head <= HEAD && tokens.next_multiple_of(MAX_LANES) <= ROOM
}

/// Attention that [`takes`] says yes to, of keys and values that lie apart from the result.
pub fn run(
    method: &Method,
    workers: &dyn Workers,
    p: &Attention,
    operands: [&Operand; 3],
    scratch: &mut [u8],
    out: &mut Output,
) {
    let width = p.heads * p.head;
    let len = p.tokens * width;
    assert!(operands.iter().all(|x| x.len(out) >= len) && out.len() >= len);
    let store = out.store();
    let place = match &mut out.ints {
        IntsMut::I8(out) => Place::I8(out.as_mut_ptr()),
        IntsMut::I16(out) => Place::I16(out.as_mut_ptr()),
    };
    let numbers = |x: &Operand| {
        let ints = match (x.ints, place) {
            (Ints::I8(ints), _) => Numbers::I8(ints.as_ptr()),
            (Ints::I16(ints), _) => Numbers::I16(ints.as_ptr()),
            (Ints::InPlace, Place::I8(out)) => Numbers::I8(out),
            (Ints::InPlace, Place::I16(out)) => Numbers::I16(out),
        };
        (ints, x.zero)
    };
    let [queries, keys, values] = operands.map(numbers);
    // At most as many bytes as the portable kernel needs: half a pair of channels more for each key, less than its score.
    let panels: &mut [i32] = bytemuck::cast_slice_mut(&mut scratch[..p.tokens * p.head.div_ceil(2) * 4]);
    let panels = panels.as_mut_ptr();
    let parts = workers.count().min(p.tokens * p.tokens * p.head / WORTH).max(1);
    // Whole tiles, but for the last.
    let share = |i: usize| {
        let tiles = p.tokens.div_ceil(method.rows);
        let end = |i: usize| p.tokens.min(tiles * i / parts * method.rows);
        end(i)..end(i + 1)
    };
    for first_channel in (0..width).step_by(p.head) {
        let longest = AtomicU64::new(0);
        let job = Job { p, first_channel, queries, keys, values, panels, longest, out: place, store };
        // SAFETY: the processor has the instructions, since the method was chosen by `Kernels`. Operands, result and panels
        // are as long as asserted; parts share no key, and then no query; a query is read by the part that writes its
        // result, before it does.
        unsafe {
            workers.run(parts, &|i| (method.keys)(&job, share(i)));
            workers.run(parts, &|i| (method.queries)(&job, share(i)));
        }
    }
}

/// Reads the numbers of one head, from the `at`-th number on.
///
/// # Safety
/// As for [`Step`].
#[inline(always)]
unsafe fn read((numbers, zero): (Numbers, i32), at: usize, row: &mut [i16]) {
    // SAFETY: promised by the caller; the borrow ends before anything is written.
    unsafe {
        match numbers {
            Numbers::I8(x) => centre(core::slice::from_raw_parts(x.add(at), row.len()), zero, row),
            Numbers::I16(x) => centre(core::slice::from_raw_parts(x.add(at), row.len()), zero, row),
        }
    }
}

/// Asks for the numbers of one head, from the `at`-th number on. Heads of neighbouring positions lie apart, which processors do
/// not foresee.
///
/// # Safety
/// Needs the instructions.
#[inline(always)]
unsafe fn prefetch<L: Lanes>((numbers, _): (Numbers, i32), at: usize, len: usize) {
    let (first, bytes) = match numbers {
        Numbers::I8(x) => (x.wrapping_add(at), len),
        Numbers::I16(x) => (x.wrapping_add(at).cast(), 2 * len),
    };
    for line in (0..bytes).step_by(LINE) {
        // SAFETY: promised by the caller; nothing is read.
        unsafe { L::prefetch(first.wrapping_add(line)) };
    }
}

/// The first step, see [`Method::keys`].
///
/// # Safety
/// As for [`Step`].
#[inline(always)]
pub unsafe fn keys<L: Lanes>(job: &Job, tokens: Range<usize>) {
    let (p, pairs) = (job.p, job.pairs());
    let mut keys = [[0i16; HEAD]; TOGETHER];
    let mut longest = 0;
    for next in tokens.clone().step_by(TOGETHER) {
        let count = TOGETHER.min(tokens.end - next);
        // SAFETY: promised by the caller.
        unsafe {
            for token in next + AHEAD..next + AHEAD + TOGETHER {
                prefetch::<L>(job.keys, job.at(token), p.head);
            }
            longest = project_rows(job, job.keys, &p.key, next, &mut keys[..count]).max(longest);
        }
        for (token, key) in (next..tokens.end).zip(&keys) {
            let (first, lane) = (token / L::LANES * L::LANES, token % L::LANES);
            let width = L::LANES.min(p.tokens - first);
            for (pair, both) in key.chunks_exact(2).take(pairs).enumerate() {
                // SAFETY: the panels hold a pair of every key for all pairs, and this place belongs to the key.
                unsafe { job.panels.add(first * pairs + pair * width + lane).write(word(both[0], both[1])) };
            }
        }
    }
    job.longest.fetch_max(longest, Ordering::Relaxed);
}

/// Reads and projects the queries or keys of neighbouring positions. Returns the largest sum of squares.
///
/// # Safety
/// As for [`Step`].
#[inline(always)]
unsafe fn project_rows(
    job: &Job,
    numbers: (Numbers, i32),
    p: &Projection,
    first: usize,
    rows: &mut [[i16; HEAD]],
) -> u64 {
    let mut normalizers = [None; MOST_ROWS];
    // All roots and divisions first: they take long, but do not wait for each other.
    for (i, (row, by)) in rows.iter_mut().zip(&mut normalizers).enumerate() {
        let row = &mut row[..job.p.head];
        // SAFETY: promised by the caller.
        unsafe { read(numbers, job.at(first + i), row) };
        *by = normalizer(p, row);
    }
    let mut longest = 0;
    for (i, (row, by)) in rows.iter_mut().zip(normalizers).enumerate() {
        longest = projected(p, by, job.p.rotary, first + i, &mut row[..job.p.head]).max(longest);
    }
    longest
}

/// Two words as one number, the first one lower.
#[inline(always)]
fn word(first: i16, second: i16) -> i32 {
    i32::from(first as u16) | i32::from(second) << 16
}

/// The second step, see [`Method::queries`], with tiles of so many rows.
///
/// # Safety
/// As for [`Step`], and the first step is done for all keys.
#[inline(always)]
pub unsafe fn queries<L: Lanes, const ROWS: usize>(job: &Job, tokens: Range<usize>) {
    let mut room = [0i32; ROOM];
    // SAFETY: promised by the caller.
    unsafe {
        if ROWS * job.p.tokens.next_multiple_of(L::LANES) <= ROOM {
            rows::<L, ROWS>(job, tokens, &mut room);
        } else {
            rows::<L, 1>(job, tokens, &mut room);
        }
    }
}

/// [`queries`], given room for the scores of all rows.
///
/// # Safety
/// As for [`queries`].
#[inline(always)]
unsafe fn rows<L: Lanes, const ROWS: usize>(job: &Job, tokens: Range<usize>, room: &mut [i32]) {
    const { assert!(ROWS <= MOST_ROWS) };
    let p = job.p;
    let stride = p.tokens.next_multiple_of(L::LANES);
    let mut queries = [[0i16; HEAD]; ROWS];
    let longest = job.longest.load(Ordering::Relaxed);
    // SAFETY: promised by the caller; there is room for `ROWS` rows.
    unsafe {
        for first in tokens.clone().step_by(ROWS) {
            let count = ROWS.min(tokens.end - first);
            let squares = project_rows(job, job.queries, &p.query, first, &mut queries[..count]);
            let small = NEAR.contains(&p.softmax.shift) && fits_32_bits(squares, longest);
            for next in first + ROWS..first + 2 * ROWS {
                prefetch::<L>(job.queries, job.at(next), p.head);
            }
            // What is left of earlier queries in rows beyond these is computed too, and not looked at.
            let mut totals = [0; ROWS];
            if small {
                scores::<L, ROWS>(job, &queries, &mut room[..ROWS * stride]);
            }
            for ((total, row), query) in totals.iter_mut().zip(room.chunks_exact_mut(stride)).zip(&queries).take(count)
            {
                let narrow = matches!(job.values.0, Numbers::I8(_));
                *total = if small { weights::<L>(p, row, narrow) } else { far_weights::<L>(job, query, row, narrow) };
            }
            match job.values.0 {
                Numbers::I8(v) => {
                    mix::<L, i8, ROWS>(job, v.add(job.at(0)), &room[..ROWS * stride], first, &totals[..count])
                }
                Numbers::I16(v) => {
                    mix::<L, i16, ROWS>(job, v.add(job.at(0)), &room[..ROWS * stride], first, &totals[..count])
                }
            }
        }
    }
}

/// Scores of all keys, a row for each query, if they fit 32 bits.
///
/// # Safety
/// As for [`queries`]; the rows are as long as all keys, to a whole vector.
#[inline(always)]
unsafe fn scores<L: Lanes, const ROWS: usize>(job: &Job, queries: &[[i16; HEAD]; ROWS], room: &mut [i32]) {
    let tokens = job.p.tokens;
    let mut first = 0;
    // SAFETY: promised by the caller; these keys exist.
    unsafe {
        while first + PANELS * L::LANES <= tokens {
            tile::<L, ROWS, PANELS>(job, queries, first, room);
            first += PANELS * L::LANES;
        }
        while first < tokens {
            tile::<L, ROWS, 1>(job, queries, first, room);
            first += L::LANES;
        }
    }
}

/// Scores of a few panels of keys, of which only a single one may be narrow.
///
/// # Safety
/// As for [`scores`].
#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize, const PANELS: usize>(
    job: &Job,
    queries: &[[i16; HEAD]; ROWS],
    first: usize,
    room: &mut [i32],
) {
    let pairs = job.pairs();
    let width = if PANELS == 1 { L::LANES.min(job.p.tokens - first) } else { L::LANES };
    // SAFETY: promised by the caller.
    unsafe {
        let panels = job.panels.add(first * pairs).cast_const();
        let mut sums = [[L::splat(0); PANELS]; ROWS];
        for pair in 0..pairs {
            let mut keys = [L::splat(0); PANELS];
            for (i, keys) in keys.iter_mut().enumerate() {
                let at = panels.add(i * L::LANES * pairs + pair * width);
                *keys = if width == L::LANES { L::load(at) } else { L::load_some(at, width) };
            }
            for (sums, query) in sums.iter_mut().zip(queries) {
                let query = query.as_ptr().add(2 * pair).cast::<i32>().read_unaligned();
                for (sum, &keys) in sums.iter_mut().zip(&keys) {
                    *sum = L::dot_pair(*sum, query, keys);
                }
            }
        }
        let stride = room.len() / ROWS;
        for (sums, row) in sums.iter().zip(room.chunks_exact_mut(stride)) {
            for (&sum, place) in sums.iter().zip(row[first..].chunks_exact_mut(L::LANES)) {
                L::store(sum, place.as_mut_ptr());
            }
        }
    }
}

/// Weights in place of scores, as [`split`] stores them; none for what is left of the last vector. Returns their sum.
///
/// # Safety
/// Needs the instructions.
// Pages fetch WebAssembly, so there tiles of any number of rows share what does not depend on it.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
unsafe fn weights<L: Lanes>(p: &Attention, row: &mut [i32], narrow: bool) -> u32 {
    let first = row[0];
    row[p.tokens..].fill(first);
    // SAFETY: promised by the caller; vectors divide the row.
    unsafe {
        let mut best = L::splat(first);
        for scores in row.chunks_exact(L::LANES) {
            best = L::max(best, L::load(scores.as_ptr()));
        }
        let best = L::splat(numbers::<L>(best).into_iter().fold(first, i32::max));
        let mut total = L::splat(0);
        for (scores, at) in row.chunks_exact_mut(L::LANES).zip((0..).step_by(L::LANES)) {
            let mut weights = L::weights(L::load(scores.as_ptr()), best, p.softmax);
            if p.tokens - at < L::LANES {
                weights = L::load_some(numbers::<L>(weights).as_ptr(), p.tokens - at);
            }
            total = L::add(total, weights);
            split::<L>(weights, scores.as_mut_ptr(), narrow);
        }
        // Below 2^31.
        numbers::<L>(total)[..L::LANES].iter().sum::<i32>() as u32
    }
}

/// Stores weights as products with 8-bit values need them, or with others.
///
/// # Safety
/// As for [`Lanes::store`].
#[inline(always)]
unsafe fn split<L: Lanes>(weights: L::V, at: *mut i32, narrow: bool) {
    // SAFETY: promised by the caller.
    unsafe { if narrow { L::split_narrow(weights, at) } else { L::split(weights, at) } }
}

/// The numbers of a vector; those that it does not have equal its last.
#[inline(always)]
unsafe fn numbers<L: Lanes>(v: L::V) -> [i32; MAX_LANES] {
    let mut numbers = [0; MAX_LANES];
    // SAFETY: promised by the caller; a vector has at most so many.
    unsafe { L::store(v, numbers.as_mut_ptr()) };
    let last = numbers[L::LANES - 1];
    numbers[L::LANES..].fill(last);
    numbers
}

/// Weights of all keys where scores have up to 64 bits: formed twice, so that none is kept.
///
/// # Safety
/// As for [`queries`].
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
unsafe fn far_weights<L: Lanes>(job: &Job, query: &[i16; HEAD], row: &mut [i32], narrow: bool) -> u32 {
    let tokens = job.p.tokens;
    let panels = || (0..tokens).step_by(L::LANES).map(|first| (first, L::LANES.min(tokens - first)));
    // SAFETY: promised by the caller.
    unsafe {
        let scores = |first, width| far_scores(job, query, first, width);
        let best = panels().flat_map(|(first, width)| scores(first, width).into_iter().take(width)).max().unwrap_or(0);
        let mut total = 0;
        for ((first, width), place) in panels().zip(row.chunks_exact_mut(L::LANES)) {
            place.fill(0);
            for (place, score) in place.iter_mut().zip(scores(first, width)).take(width) {
                let weight = weight(best, score, job.p.softmax);
                total += weight;
                *place = weight as i32;
            }
            split::<L>(L::load(place.as_ptr()), place.as_mut_ptr(), narrow);
        }
        total
    }
}

/// Scores of a panel of keys in 64 bits.
///
/// # Safety
/// As for [`queries`]; the keys exist.
#[inline(always)]
unsafe fn far_scores(job: &Job, query: &[i16; HEAD], first: usize, width: usize) -> [i64; MAX_LANES] {
    let pairs = job.pairs();
    let mut scores = [0; MAX_LANES];
    for (pair, both) in query.chunks_exact(2).take(pairs).enumerate() {
        // SAFETY: promised by the caller.
        let keys = unsafe { core::slice::from_raw_parts(job.panels.add(first * pairs + pair * width), width) };
        for (score, &key) in scores.iter_mut().zip(keys) {
            let products = [both[0], both[1]].map(i64::from);
            *score += products[0] * i64::from(key as i16) + products[1] * i64::from(key >> 16);
        }
    }
    scores
}

/// Results of some queries from `first` on: values of the head at `v`, times the weights of a row for each query, divided by
/// the row's total.
///
/// # Safety
/// As for [`queries`].
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
unsafe fn mix<L: Lanes, T: Weighed, const ROWS: usize>(
    job: &Job,
    v: *const T,
    weights: &[i32],
    first: usize,
    totals: &[u32],
) {
    let p = job.p;
    let columns = 2 * L::LANES;
    let mut divisions = [(1, Division::new(1, p.output)); ROWS];
    for (division, &total) in divisions.iter_mut().zip(totals) {
        *division = (total, Division::new(total, p.output));
    }
    for channel in (0..p.head).step_by(columns) {
        let channels = columns.min(p.head - channel);
        // SAFETY: promised by the caller.
        let sums = unsafe { weighted::<L, T, ROWS>(job, v.add(channel), weights, channels) };
        for (i, (sums, &by)) in sums.iter().zip(&divisions).take(totals.len()).enumerate() {
            let results = divided(job, &sums[..columns], by);
            let at = job.at(first + i) + channel;
            // SAFETY: these results belong to the caller.
            unsafe {
                match job.out {
                    Place::I8(out) => {
                        let mut bytes = [0; 2 * MAX_LANES];
                        for (byte, y) in bytes[..columns].iter_mut().zip(results) {
                            *byte = y as i8;
                        }
                        write(&bytes[..columns], out.add(at), channels);
                    }
                    Place::I16(out) => write(&results[..columns], out.add(at), channels),
                }
            }
        }
    }
}

/// Sums of the values of some channels times the weights of each row.
///
/// # Safety
/// As for [`queries`].
#[inline(always)]
unsafe fn weighted<L: Lanes, T: Weighed, const ROWS: usize>(
    job: &Job,
    v: *const T,
    weights: &[i32],
    count: usize,
) -> [[i64; 2 * MAX_LANES]; ROWS] {
    let tokens = job.p.tokens;
    // SAFETY: promised by the caller.
    unsafe {
        if T::KEYS >= ROOM {
            return weighted_keys::<L, T, ROWS>(job, v, weights, 0..tokens, count);
        }
        let mut sums = [[0; 2 * MAX_LANES]; ROWS];
        for first in (0..tokens).step_by(T::KEYS) {
            let keys = first..tokens.min(first + T::KEYS);
            let more = weighted_keys::<L, T, ROWS>(job, v, weights, keys, count);
            for (sum, more) in sums.as_flattened_mut().iter_mut().zip(more.as_flattened()) {
                *sum += more;
            }
        }
        sums
    }
}

/// [`weighted`], of at most [`Weighed::KEYS`] keys, beginning with a multiple of four.
///
/// # Safety
/// As for [`queries`].
#[inline(always)]
unsafe fn weighted_keys<L: Lanes, T: Weighed, const ROWS: usize>(
    job: &Job,
    v: *const T,
    weights: &[i32],
    keys: Range<usize>,
    count: usize,
) -> [[i64; 2 * MAX_LANES]; ROWS] {
    let (width, stride) = (job.p.heads * job.p.head, weights.len() / ROWS);
    let mut steps = [width, 2 * width, 3 * width];
    // The weights' bytes apart, as in the portable kernel.
    let mut sums = [[0; 2 * MAX_LANES]; ROWS];
    // SAFETY: promised by the caller.
    unsafe {
        let (mut high, mut low) = ([[L::splat(0); 2]; ROWS], [[L::splat(0); 2]; ROWS]);
        // Weights lie by fours, see `Lanes::split`.
        for four in keys.clone().step_by(4) {
            if four + 4 > keys.end {
                // Beyond the last key it is taken again: its weights are 0.
                for step in &mut steps {
                    *step = (*step).min((keys.end - 1 - four) * width);
                }
            }
            let at = v.add(four * width);
            let values = [at, at.add(steps[0]), at.add(steps[1]), at.add(steps[2])];
            for part in 0..4 / T::keys::<L>() {
                let [first, second] = match part {
                    0 => T::interleave::<L>(values, count),
                    _ => T::interleave::<L>([values[2], values[3], values[2], values[3]], count),
                };
                for (i, (high, low)) in high.iter_mut().zip(&mut low).enumerate() {
                    let row = weights.as_ptr().add(i * stride + four);
                    let above = row.add(part).read();
                    *high = [T::dot::<L>(high[0], above, first), T::dot::<L>(high[1], above, second)];
                    let below = row.add(2 + part).read();
                    *low = [T::dot::<L>(low[0], below, first), T::dot::<L>(low[1], below, second)];
                }
            }
        }
        for (sums, (high, low)) in sums.iter_mut().zip(high.into_iter().zip(low)) {
            let (high, low) = (L::in_order(high), L::in_order(low));
            for (half, sums) in sums[..2 * L::LANES].chunks_exact_mut(L::LANES).enumerate() {
                let (high, low) = (numbers::<L>(high[half]), numbers::<L>(low[half]));
                for (sum, (high, low)) in sums.iter_mut().zip(high.into_iter().zip(low)) {
                    *sum = (i64::from(high) << 8) + i64::from(low);
                }
            }
        }
    }
    sums
}

/// [`Division`] of sums of values below `2^8` in 32 bits, but for one product.
#[derive(Clone, Copy)]
struct ShortDivision {
    up: u32,
    half: i32,
    down: u32,
    factor: i32,
    shift: u32,
}

impl ShortDivision {
    /// If all of it fits, given the sum of the weights.
    fn new(division: Division, weight: u32) -> Option<Self> {
        // Sums are below 2^31, quotients below 2^24, the factor below 2^31 and results below 2^30.
        if weight >= 1 << 23 || division.shift < 25 {
            return None;
        }
        let (up, down) = (division.up.saturating_sub(16), 16u32.saturating_sub(division.up));
        Some(Self { up, half: 1 << down >> 1, down, factor: division.factor, shift: division.shift })
    }

    #[inline(always)]
    fn apply(self, sum: i32) -> i32 {
        let quotient = ((sum << self.up) + self.half) >> self.down;
        round_shift_short(i64::from(quotient) * i64::from(self.factor), self.shift)
    }
}

/// Results from sums and the total of their weights.
#[inline(always)]
fn divided(job: &Job, sums: &[i64], (total, division): (u32, Division)) -> [i16; 2 * MAX_LANES] {
    let zero = i64::from(job.values.1) * i64::from(total);
    let mut results = [0; 2 * MAX_LANES];
    let narrow = matches!(job.values.0, Numbers::I8(_));
    if let Some(short) = ShortDivision::new(division, total).filter(|_| narrow) {
        for (result, sum) in results.iter_mut().zip(sums) {
            *result = job.store.apply_short(short.apply((sum - zero) as i32));
        }
    } else {
        for (result, sum) in results.iter_mut().zip(sums) {
            *result = job.store.apply(division.apply(sum - zero));
        }
    }
    results
}

/// Writes as many results as there are, up to all of these.
///
/// # Safety
/// There is room for them, and nobody else touches it.
#[inline(always)]
unsafe fn write<T>(results: &[T], out: *mut T, count: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        if count < results.len() {
            write_some(results, out, count);
        } else {
            core::ptr::copy_nonoverlapping(results.as_ptr(), out, results.len());
        }
    }
}

/// [`write`] of some of the results: apart from the usual number, which the compiler knows.
///
/// # Safety
/// As for [`write`], and there are at least so many.
#[cold]
#[inline(never)]
unsafe fn write_some<T>(results: &[T], out: *mut T, count: usize) {
    // SAFETY: promised by the caller.
    unsafe { core::ptr::copy_nonoverlapping(results.as_ptr(), out, count) };
}
