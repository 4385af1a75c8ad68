//! Attention in integers, one head after the other.
//!
//! # How a quantizer chooses the parameters
//!
//! With the scales `sq`, `sk`, `sv`, `so` of queries, keys, values and output, and scales `tq`, `tk` of the 16-bit integers
//! that queries and keys become:
//!
//! | parameter | real value |
//! | --- | --- |
//! | `tq`, with a norm | `sqrt(head) * G / 32767` for the largest gain `G`: no rotated channel is longer than `sqrt(head) * G` |
//! | `tq`, without | `B / 32767` for the largest magnitude `B` of a rotated channel that calibration has seen, and some more |
//! | `gain`, of scale `sg` | `G / 32767` |
//! | `query.scale`, with a norm | `sg / (2^14 * tq)`, the multiplier in `2^25..2^26` |
//! | `query.scale`, without | `sq / tq`, the multiplier in `2^30..2^31` |
//! | `epsilon` | `epsilon * head / sq^2`, rounded |
//! | `rotary` | `2^14 * cos`, `2^14 * sin` |
//! | `softmax` | `2^16 * log2(e) * tq * tk / sqrt(head)`, the multiplier in `2^19..2^20` |
//! | `output` | `sv / so`, the multiplier in `2^30..2^31` |
//!
//! and the same for keys. A scale is `multiplier / 2^shift`.

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod aarch64;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub mod lanes;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod tile;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod wasm;
#[cfg(target_arch = "x86_64")]
pub mod x86;

use super::fixed::round_shift;
use super::{Int, Ints, Length, Normalizer, Operand, Output, Scale};
use crate::kernels::Kernels;
use crate::kernels::isa::Isa;
use crate::workers::Workers;
use bytemuck::cast_slice_mut;

/// Parameters of an attention over `tokens` positions of `heads * head` channels.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// `1..=MAX_TOKENS`.
    pub tokens: usize,
    pub heads: usize,
    /// Channels of one head, `1..=MAX_HEAD`; even with a rotation.
    pub head: usize,
    pub query: Projection<'a>,
    pub key: Projection<'a>,
    pub rotary: Option<Rotary<'a>>,
    /// From a difference of scores to its power of two in `2^-16`; the multiplier is below `2^20`.
    pub softmax: Scale,
    /// From the values' scale to the output's; the shift is at most [`MAX_OUTPUT_SHIFT`].
    pub output: Scale,
}

/// Longest sequence.
pub const MAX_TOKENS: usize = 1 << 16;
/// Longest head.
pub const MAX_HEAD: usize = 1 << 12;
/// Largest shift of the output's scale.
pub const MAX_OUTPUT_SHIFT: i32 = 47;

/// How queries or keys become 16-bit integers of a fixed scale.
#[derive(Clone, Copy, Debug)]
pub struct Projection<'a> {
    /// From `x - zero`, or with a norm from normalized number (in `2^-14`) times gain, to the 16-bit integers. With a norm
    /// the multiplier is below `2^26`.
    pub scale: Scale,
    pub norm: Option<HeadNorm<'a>>,
}

/// RMS norm over the channels of a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadNorm<'a> {
    /// One for each channel of a head.
    pub gain: &'a [i16],
    /// The real epsilon times `head / scale^2`.
    pub epsilon: u64,
    /// That of a head.
    pub length: Length,
}

/// Rotation of the two halves of a head by angles of the position: `[tokens, head / 2]` each, in `2^-14`.
#[derive(Clone, Copy, Debug)]
pub struct Rotary<'a> {
    pub cos: &'a [i16],
    pub sin: &'a [i16],
}

/// Bytes that [`attention`] needs beside its operands: the keys of one head, one query, its scores and its result.
/// `usize::MAX` for what fits no memory.
pub fn scratch_len(tokens: usize, head: usize) -> usize {
    let keys = tokens.saturating_add(1).saturating_mul(head).saturating_mul(size_of::<i16>());
    keys.saturating_add(tokens.saturating_add(head).saturating_mul(size_of::<i64>()))
}

/// `out = softmax(q k / sqrt(head)) v` for every head, with `q` and `k` normalized and rotated first; `q` may be in place.
/// The scratch begins at a multiple of 16.
#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon"),
        all(target_arch = "wasm32", target_feature = "simd128")
    )),
    expect(unused_variables, reason = "the reference works alone")
)]
pub fn attention(
    kernels: Kernels,
    workers: &dyn Workers,
    p: &Attention,
    operands: [&Operand; 3],
    scratch: &mut [u8],
    out: &mut Output,
) {
    let apart = operands[1..].iter().all(|x| !matches!(x.ints, Ints::InPlace));
    match chosen(kernels, p.tokens, p.head, apart).0 {
        Isa::Portable => portable(p, operands, scratch, out),
        #[cfg(target_arch = "x86_64")]
        isa => tile::run(&x86::method(isa), workers, p, operands, scratch, out),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        _ => tile::run(&aarch64::METHOD, workers, p, operands, scratch, out),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        _ => tile::run(&wasm::METHOD, workers, p, operands, scratch, out),
    }
}

/// Which kernels compute an attention, given some: these, or the portable ones where heads or sequences are too long for
/// tiles, or keys or values do not lie apart from the result.
#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon"),
        all(target_arch = "wasm32", target_feature = "simd128")
    )),
    expect(unused_variables, reason = "there are no others")
)]
pub fn chosen(kernels: Kernels, tokens: usize, head: usize, apart: bool) -> Kernels {
    #[cfg(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon"),
        all(target_arch = "wasm32", target_feature = "simd128")
    ))]
    if apart && tile::takes(tokens, head) {
        return kernels;
    }
    Kernels::PORTABLE
}

/// The reference.
fn portable(p: &Attention, [q, k, v]: [&Operand; 3], scratch: &mut [u8], out: &mut Output) {
    let (tokens, head) = (p.tokens, p.head);
    let (long, short) = scratch.split_at_mut((tokens + head) * size_of::<i64>());
    let (scores, sums) = cast_slice_mut::<u8, i64>(long).split_at_mut(tokens);
    let (query, keys) =
        cast_slice_mut::<u8, i16>(&mut short[..(tokens + 1) * head * size_of::<i16>()]).split_at_mut(head);
    for h in 0..p.heads {
        let at = |token: usize| (token * p.heads + h) * head;
        let mut longest = 0;
        for (token, key) in keys.chunks_exact_mut(head).enumerate() {
            k.read(at(token), out, key);
            longest = project(&p.key, p.rotary, token, key).max(longest);
        }
        for token in 0..tokens {
            q.read(at(token), out, query);
            let squares = project(&p.query, p.rotary, token, query);
            let small = fits_32_bits(squares, longest);
            for (score, key) in scores.iter_mut().zip(keys.chunks_exact(head)) {
                *score = if small { dot32(query, key).into() } else { dot64(query, key) };
            }
            let weight = softmax(scores, p.softmax);
            match v.ints {
                Ints::I8(v) => mix(scores, &v[at(0)..], p.heads * head, sums),
                Ints::I16(v) => mix(scores, &v[at(0)..], p.heads * head, sums),
                // Only queries may be.
                Ints::InPlace => {}
            }
            let (division, store) = (Division::new(weight, p.output), out.store());
            // Read before, so its place holds the results.
            for (y, sum) in query.iter_mut().zip(&*sums) {
                *y = store.apply(division.apply(sum - i64::from(v.zero) * i64::from(weight)));
            }
            out.write(at(token), query);
        }
    }
}

/// Whether the product of a query and any key, and every part of its sum, fits 32 bits, given the squares of the query's
/// length and of the longest key's: no part of a product of vectors is longer than the product of their lengths.
fn fits_32_bits(squares: u64, longest: u64) -> bool {
    squares.saturating_mul(longest) < 1 << 62
}

/// Normalizes, scales and rotates one head of a query or key in place. Returns the sum of its squares, at most `2^42`.
#[cfg_attr(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")), inline(always))]
#[cfg_attr(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))), inline(never))]
fn project(p: &Projection, rotary: Option<Rotary>, token: usize, x: &mut [i16]) -> u64 {
    projected(p, normalizer(p, x), rotary, token, x)
}

/// The first half of [`project`]: what the numbers are normalized by.
#[inline(always)]
fn normalizer(p: &Projection, x: &[i16]) -> Option<Normalizer> {
    // At most 2^12 squares of 2^30.
    p.norm.map(|norm| Normalizer::rms(squares(x), norm.length, norm.epsilon))
}

/// The second half of [`project`].
#[inline(always)]
fn projected(
    p: &Projection,
    normalizer: Option<Normalizer>,
    rotary: Option<Rotary>,
    token: usize,
    x: &mut [i16],
) -> u64 {
    match normalizer.zip(p.norm) {
        Some((normalizer, norm)) => {
            for (x, &gain) in x.iter_mut().zip(norm.gain) {
                // At most sqrt(head) in 2^-14, so below 2^21 * 2^15 * 2^26.
                let product =
                    i64::from(normalizer.apply((*x).into())) * i64::from(gain) * i64::from(p.scale.multiplier);
                *x = i16::saturate(round_shift(product, p.scale.shift));
            }
        }
        None => {
            for x in x.iter_mut() {
                *x = i16::saturate(p.scale.apply((*x).into()));
            }
        }
    }
    if let Some(rotary) = rotary {
        let half = x.len() / 2;
        let turn = rotary.cos[token * half..][..half].iter().zip(&rotary.sin[token * half..][..half]);
        let (low, high) = x.split_at_mut(half);
        for ((low, high), (&cos, &sin)) in low.iter_mut().zip(high).zip(turn) {
            let (cos, sin) = (i32::from(cos), i32::from(sin));
            let (x, y) = (i32::from(*low), i32::from(*high));
            // Both sums are above -2^31. The first is at most 2^31 - 2^15, the second 2^31 if all four are -2^15: then one less
            // will do.
            let second = (y * cos).wrapping_add(x * sin);
            let second = second.wrapping_sub(i32::from(second == i32::MIN));
            *low = rotated(x * cos - y * sin);
            *high = rotated(second);
        }
    }
    squares(x)
}

/// What is stored of a sum of rotated numbers in `2^-14`, rounded in two steps so that half does not go beyond 32 bits.
#[inline(always)]
fn rotated(sum: i32) -> i16 {
    (((sum >> 13) + 1) >> 1).clamp(-32768, 32767) as i16
}

/// The sum of squares: two of them fit 32 bits.
#[inline(always)]
fn squares(x: &[i16]) -> u64 {
    let square = |x: i16| (i32::from(x) * i32::from(x)) as u32;
    let (pairs, rest) = x.as_chunks::<2>();
    let pairs: u64 = pairs.iter().map(|&[a, b]| u64::from(square(a) + square(b))).sum();
    pairs + rest.iter().map(|&x| u64::from(square(x))).sum::<u64>()
}

/// A product of vectors that fits 32 bits, as do all its parts.
fn dot32(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

/// Any product of vectors, at most `2^42`.
fn dot64(a: &[i16], b: &[i16]) -> i64 {
    a.iter().zip(b).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum()
}

/// Weights of the keys in place of their scores: `round(32767 * 2^-t)`, so 32767 for the best. Returns their sum, below
/// `2^31`.
fn softmax(scores: &mut [i64], scale: Scale) -> u32 {
    let best = scores.iter().copied().max().unwrap_or(0);
    let mut sum = 0;
    for s in scores {
        let weight = weight(best, *s, scale);
        *s = weight.into();
        sum += weight;
    }
    sum
}

/// The weight of a key with some score, given the best.
fn weight(best: i64, score: i64, scale: Scale) -> u32 {
    // At most 2^43 times a multiplier below 2^20, and half of 2^62.
    let product = (best - score).unsigned_abs() * u64::from(scale.multiplier.unsigned_abs());
    power((product + (1 << (scale.shift - 1))) >> scale.shift)
}

/// `round(32767 * 2^-t)` for `t` in `2^-16`, up to less than one.
fn power(t: u64) -> u32 {
    // Nothing is left of 2^-17.
    let t = t.min((17 << 16) - 1) as u32;
    let (whole, at, between) = (t >> 16, (t >> 9 & 127) as usize, t & 511);
    let (here, next) = (u32::from(POWERS[at]), u32::from(POWERS[at + 1]));
    let power = here * 512 - (here - next) * between;
    (power + (1 << (9 + whole))) >> (10 + whole)
}

/// `65534 * 2^(-k / 128)`.
const POWERS: [u16; 129] = [
    65534, 65180, 64828, 64478, 64130, 63783, 63439, 63096, 62756, 62417, 62080, 61744, 61411, 61079, 60749, 60421,
    60095, 59770, 59448, 59127, 58807, 58490, 58174, 57860, 57547, 57236, 56927, 56620, 56314, 56010, 55707, 55407,
    55107, 54810, 54514, 54219, 53926, 53635, 53346, 53057, 52771, 52486, 52202, 51921, 51640, 51361, 51084, 50808,
    50534, 50261, 49989, 49719, 49451, 49184, 48918, 48654, 48391, 48130, 47870, 47611, 47354, 47098, 46844, 46591,
    46340, 46089, 45840, 45593, 45347, 45102, 44858, 44616, 44375, 44135, 43897, 43660, 43424, 43190, 42956, 42724,
    42494, 42264, 42036, 41809, 41583, 41358, 41135, 40913, 40692, 40472, 40254, 40036, 39820, 39605, 39391, 39178,
    38967, 38756, 38547, 38339, 38132, 37926, 37721, 37517, 37315, 37113, 36913, 36713, 36515, 36318, 36122, 35927,
    35733, 35540, 35348, 35157, 34967, 34778, 34590, 34404, 34218, 34033, 33849, 33666, 33485, 33304, 33124, 32945,
    32767,
];

/// Neighbouring powers: one in the lower word, how much smaller the next one is in the upper.
#[cfg(any(
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
const PAIRS: [i32; 128] = {
    let (mut pairs, mut i) = ([0; 128], 0);
    while i < 128 {
        pairs[i] = POWERS[i] as i32 | ((POWERS[i] - POWERS[i + 1]) as i32) << 16;
        i += 1;
    }
    pairs
};

/// Keys whose products with one byte of their weights fit 32 bits.
const KEYS: usize = 256;
/// Channels computed together: few enough for the registers of a small processor.
const COLUMNS: usize = 4;

/// Sums of the values of one head, as they are stored, times the weights: below `2^46`.
fn mix<T: Int>(weights: &[i64], v: &[T], width: usize, sums: &mut [i64]) {
    sums.fill(0);
    for (weights, v) in weights.chunks(KEYS).zip(v.chunks(KEYS * width)) {
        let (columns, rest) = sums.as_chunks_mut::<COLUMNS>();
        let first_of_rest = columns.len() * COLUMNS;
        for (sums, first) in columns.iter_mut().zip((0..).step_by(COLUMNS)) {
            mix_columns(weights, &v[first..], width, sums);
        }
        for (sum, first) in rest.iter_mut().zip(first_of_rest..) {
            mix_columns(weights, &v[first..], width, core::array::from_mut(sum));
        }
    }
}

/// Adds the values of neighbouring channels times the weights of at most [`KEYS`] keys.
fn mix_columns<T: Int, const N: usize>(weights: &[i64], v: &[T], width: usize, sums: &mut [i64; N]) {
    let (mut high, mut low) = ([0i32; N], [0i32; N]);
    for (&weight, v) in weights.iter().zip(v.chunks(width)) {
        // Every position has them all.
        let Some(v) = v.first_chunk::<N>() else { break };
        // Products of 16-bit numbers, which many processors multiply faster than others.
        let (above, below) = ((weight >> 8) as i16, (weight & 255) as i16);
        for (&x, (high, low)) in v.iter().zip(high.iter_mut().zip(&mut low)) {
            // 256 products below 2^22 and 2^23.
            *high += i32::from(above) * x.into();
            *low += i32::from(below) * x.into();
        }
    }
    for (sum, (high, low)) in sums.iter_mut().zip(high.into_iter().zip(low)) {
        *sum += (i64::from(high) << 8) + i64::from(low);
    }
}

/// Division by the sum of the weights and change of scale: one division for each query, one product for each channel.
#[derive(Clone, Copy, Debug)]
struct Division {
    /// Bits that the sum of the weights, and with it every weighted sum, is shifted up to fill 32 bits.
    up: u32,
    /// Below `2^31`.
    factor: i32,
    shift: u32,
}

impl Division {
    /// For a sum of weights in `1..2^31`.
    fn new(weight: u32, scale: Scale) -> Self {
        let up = weight.leading_zeros();
        // Between 2^31 and 2^32.
        let reciprocal = ((1 << 63) - 1) / u64::from(weight << up);
        let factor = (reciprocal * u64::from(scale.multiplier.unsigned_abs())) >> 32;
        Self { up, factor: factor as i32, shift: 15 + scale.shift }
    }

    /// For a sum of values of at most `2^15` times their weights.
    #[inline(always)]
    fn apply(self, sum: i64) -> i64 {
        // Below 2^47, and in 2^-16 below 2^31, or -2^31.
        let quotient = round_shift(sum << self.up, 16) as i32;
        round_shift(i64::from(quotient) * i64::from(self.factor), self.shift)
    }
}

#[cfg(test)]
mod tests;
