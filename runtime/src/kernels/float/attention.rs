//! Attention, one head after the other.

use super::norm::Group;
#[cfg(target_arch = "x86_64")]
use super::wide::Wide;

/// Parameters of an attention over `tokens` positions of `heads * head` channels.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    pub tokens: usize,
    pub heads: usize,
    /// Channels of one head; even with a rotation.
    pub head: usize,
    /// Gains of the queries' RMS norm over a head, one for each of its channels; `None`: no norm.
    pub query_gain: Option<&'a [f32]>,
    /// Gains of the keys' RMS norm.
    pub key_gain: Option<&'a [f32]>,
    /// Added to the mean of the squares by these norms.
    pub epsilon: f32,
    pub rotary: Option<Rotary<'a>>,
}

/// Rotation of the two halves of a head by angles of the position: `[tokens, head / 2]` each.
#[derive(Clone, Copy, Debug)]
pub struct Rotary<'a> {
    pub cos: &'a [f32],
    pub sin: &'a [f32],
}

/// Queries and columns computed together: 4 x 8 sums fit the registers of every SIMD instruction set.
const QUERIES: usize = 4;
const COLUMNS: usize = 8;
/// Keys whose values are added before the next columns: few enough for the nearest cache.
const KEYS: usize = 32;

/// Numbers that [`attention`] needs beside its operands: the keys of one head, and of a few queries their channels and
/// scores. `usize::MAX` for what fits no memory.
pub fn scratch_len(tokens: usize, head: usize) -> usize {
    let padded = tokens.saturating_add(COLUMNS - 1) / COLUMNS * COLUMNS;
    let keys = padded.saturating_mul(head);
    keys.saturating_add(QUERIES.saturating_mul(padded.saturating_add(head)))
}

/// `out = softmax(q k / sqrt(head)) v` for every head, with `q` and `k` normalized and rotated first; `q` may be in place.
pub fn attention(p: &Attention, q: Option<&[f32]>, k: &[f32], v: &[f32], scratch: &mut [f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = Wide::here() {
        return wide.attention(p, q, k, v, scratch, out);
    }
    attention_loops(p, q, k, v, scratch, out);
}

/// The loops of [`attention`], compiled into its caller.
#[inline(always)]
pub(super) fn attention_loops(
    p: &Attention,
    q: Option<&[f32]>,
    k: &[f32],
    v: &[f32],
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let width = p.heads * p.head;
    let padded = p.tokens.next_multiple_of(COLUMNS);
    let (keys, rest) = scratch.split_at_mut(padded * p.head);
    let (queries, rest) = rest.split_at_mut(QUERIES * p.head);
    let scores = &mut rest[..QUERIES * padded];
    let scale = 1.0 / libm::sqrtf(p.head as f32);
    for at in (0..p.heads).map(|h| h * p.head) {
        prepare_keys(p, k, at, &mut queries[..p.head], keys);
        for first in (0..p.tokens).step_by(QUERIES) {
            let block = first..p.tokens.min(first + QUERIES);
            for (token, query) in block.clone().zip(queries.chunks_exact_mut(p.head)) {
                query.copy_from_slice(&q.unwrap_or(out)[token * width + at..][..p.head]);
                prepare(p, p.query_gain, token, query);
            }
            // The last block computes with what its absent queries left behind, and drops it.
            score(queries, keys, scores, p.head);
            let mut sums = [0.0; QUERIES];
            for (sum, scores) in sums.iter_mut().zip(scores.chunks_exact_mut(padded)).take(block.len()) {
                *sum = softmax(&mut scores[..p.tokens], scale);
            }
            // The queries have done their work and make room.
            let results = &mut *queries;
            mix(scores, &v[at..], width, p.tokens, results);
            for ((token, result), sum) in block.zip(results.chunks_exact(p.head)).zip(sums) {
                for (out, mixed) in out[token * width + at..].iter_mut().zip(result) {
                    *out = mixed / sum;
                }
            }
        }
    }
}

/// Normalizes and rotates the keys of one head and stores them in panels of neighbours, channel by channel. Keys that fill
/// up the last panel are zero.
#[inline(always)]
fn prepare_keys(p: &Attention, k: &[f32], at: usize, key: &mut [f32], keys: &mut [f32]) {
    for (panel, first) in keys.chunks_exact_mut(COLUMNS * p.head).zip((0..).step_by(COLUMNS)) {
        for (i, token) in (first..first + COLUMNS).enumerate() {
            if token < p.tokens {
                key.copy_from_slice(&k[token * p.heads * p.head + at..][..p.head]);
                prepare(p, p.key_gain, token, key);
            } else {
                key.fill(0.0);
            }
            for (column, &x) in panel.chunks_exact_mut(COLUMNS).zip(&*key) {
                column[i] = x;
            }
        }
    }
}

/// Normalizes and rotates one head of a query or key, if there is anything to do.
#[inline(always)]
pub(super) fn prepare(p: &Attention, gain: Option<&[f32]>, token: usize, x: &mut [f32]) {
    if let Some(gain) = gain {
        let group = Group::rms(core::iter::once(&*x), p.epsilon);
        for (x, &gain) in x.iter_mut().zip(gain) {
            *x = group.normalized(*x) * gain;
        }
    }
    if let Some(rotary) = p.rotary {
        let half = x.len() / 2;
        let (low, high) = x.split_at_mut(half);
        let [cos, sin] = [rotary.cos, rotary.sin].map(|table| &table[token * half..][..half]);
        for (((low, high), &cos), &sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
            (*low, *high) = (*low * cos - *high * sin, *high * cos + *low * sin);
        }
    }
}

/// Products of queries and keys. Each runs over the channels in their order.
#[inline(always)]
fn score(queries: &[f32], keys: &[f32], scores: &mut [f32], head: usize) {
    let padded = scores.len() / QUERIES;
    for (panel, j) in keys.chunks_exact(COLUMNS * head).zip((0..).step_by(COLUMNS)) {
        let (columns, _) = panel.as_chunks::<COLUMNS>();
        let mut tile = Tile::default();
        accumulate(&mut tile, rows(queries, head, 0..head), columns.iter().copied());
        for (sums, scores) in tile.iter().zip(scores.chunks_exact_mut(padded)) {
            scores[j..j + COLUMNS].copy_from_slice(sums);
        }
    }
}

/// Powers of e, the largest of them 1, and their sum.
#[inline(always)]
fn softmax(scores: &mut [f32], scale: f32) -> f32 {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |m, &s| m.max(s));
    let mut sum = 0.0;
    for s in scores {
        *s = libm::expf((*s - largest) * scale);
        sum += *s;
    }
    sum
}

/// Sums of the values of one head, weighted by the scores, over the tokens in their order.
#[inline(always)]
fn mix(scores: &[f32], v: &[f32], width: usize, tokens: usize, results: &mut [f32]) {
    let (padded, head) = (scores.len() / QUERIES, results.len() / QUERIES);
    results.fill(0.0);
    for first in (0..tokens).step_by(KEYS) {
        let block = first..tokens.min(first + KEYS);
        for c in (0..head).step_by(COLUMNS) {
            let count = COLUMNS.min(head - c);
            let mut tile = Tile::default();
            for (sums, result) in tile.iter_mut().zip(results.chunks_exact(head)) {
                sums[..count].copy_from_slice(&result[c..c + count]);
            }
            let values = v[first * width + c..].chunks(width);
            let scores = rows(scores, padded, block.clone());
            if count == COLUMNS {
                // As many as there are columns.
                let whole = values.map(|v| *v.first_chunk().unwrap_or(&[0.0; COLUMNS]));
                accumulate(&mut tile, scores, whole);
            } else {
                let padded = values.map(|v| {
                    let mut columns = [0.0; COLUMNS];
                    columns[..count].copy_from_slice(&v[..count]);
                    columns
                });
                accumulate(&mut tile, scores, padded);
            }
            for (sums, result) in tile.iter().zip(results.chunks_exact_mut(head)) {
                result[c..c + count].copy_from_slice(&sums[..count]);
            }
        }
    }
}

type Tile = [[f32; COLUMNS]; QUERIES];

/// A part of each row of a matrix with [`QUERIES`] rows.
#[inline(always)]
fn rows(matrix: &[f32], len: usize, part: core::ops::Range<usize>) -> [&[f32]; QUERIES] {
    core::array::from_fn(|i| &matrix[i * len..][part.clone()])
}

/// Adds the product of rows and columns to the tile, in the order of the terms.
#[inline(always)]
fn accumulate(tile: &mut Tile, [a, b, c, d]: [&[f32]; QUERIES], columns: impl Iterator<Item = [f32; COLUMNS]>) {
    let mut sums = *tile;
    for ((((columns, &a), &b), &c), &d) in columns.zip(a).zip(b).zip(c).zip(d) {
        for (i, x) in columns.into_iter().enumerate() {
            sums[0][i] += a * x;
            sums[1][i] += b * x;
            sums[2][i] += c * x;
            sums[3][i] += d * x;
        }
    }
    *tile = sums;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::lanes;
    use crate::kernels::float::testing::{Several, assert_close, bits, fast_kernels, numbers, wide};

    /// Everything in double precision, straight from the definition.
    fn model(p: &Attention, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f64> {
        let width = p.heads * p.head;
        let prepared = |x: &[f32], gain: Option<&[f32]>, token: usize, h: usize| {
            let mut x = wide(&x[token * width + h * p.head..][..p.head]);
            if let Some(gain) = gain {
                let square = x.iter().map(|x| x * x).sum::<f64>() / p.head as f64;
                let root = (square + f64::from(p.epsilon)).sqrt();
                x = x.iter().enumerate().map(|(i, x)| x / root * f64::from(gain[i])).collect();
            }
            if let Some(rotary) = p.rotary {
                let half = p.head / 2;
                let before = x.clone();
                for i in 0..half {
                    let (cos, sin) = (f64::from(rotary.cos[token * half + i]), f64::from(rotary.sin[token * half + i]));
                    x[i] = before[i] * cos - before[i + half] * sin;
                    x[i + half] = before[i + half] * cos + before[i] * sin;
                }
            }
            x
        };
        let mut out = vec![0.0; p.tokens * width];
        for h in 0..p.heads {
            for i in 0..p.tokens {
                let query = prepared(q, p.query_gain, i, h);
                let scores: Vec<f64> = (0..p.tokens)
                    .map(|j| {
                        let key = prepared(k, p.key_gain, j, h);
                        query.iter().zip(&key).map(|(q, k)| q * k).sum::<f64>() / (p.head as f64).sqrt()
                    })
                    .collect();
                let largest = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
                let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
                for (j, s) in scores.iter().enumerate() {
                    for c in 0..p.head {
                        let v = f64::from(v[j * width + h * p.head + c]);
                        out[i * width + h * p.head + c] += (s - largest).exp() / sum * v;
                    }
                }
            }
        }
        out
    }

    #[test]
    fn follows_its_definition_also_in_place() {
        for (tokens, heads, head, norms, rotary) in [
            (1, 1, 1, false, false),
            (1, 2, 2, true, true),
            (3, 2, 6, true, false),
            (8, 1, 16, false, true),
            (13, 3, 8, true, true),
            (70, 2, 12, true, true),
            (37, 1, 41, false, false),
        ] {
            let width = heads * head;
            let [q, k, v] = [1, 2, 3].map(|seed| numbers(seed, tokens * width));
            let [query_gain, key_gain] = [4, 5].map(|seed| numbers(seed, head));
            let angles: Vec<f32> = numbers(6, tokens * (head / 2)).iter().map(|x| 3.0 * x).collect();
            let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
            let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
            let p = Attention {
                tokens,
                heads,
                head,
                query_gain: norms.then_some(&query_gain),
                key_gain: norms.then_some(&key_gain),
                epsilon: 1e-6,
                rotary: rotary.then_some(Rotary { cos: &cos, sin: &sin }),
            };
            // What was in the scratch does not matter.
            let mut scratch = vec![f32::NAN; scratch_len(tokens, head)];
            let mut out = vec![f32::NAN; tokens * width];
            attention(&p, Some(&q), &k, &v, &mut scratch, &mut out);
            assert_close(&out, &model(&p, &q, &k, &v), 3e-6);
            let mut in_place = q.clone();
            attention_loops(&p, None, &k, &v, &mut scratch, &mut in_place);
            // Nor does the width of registers.
            assert_eq!(bits(&in_place), bits(&out), "{tokens} x {heads} x {head}");
            fast_kernels_agree(&p, [&q, &k, &v], &out);
        }
    }

    /// The fast kernels come to what the portable ones did, and all to the same bits.
    fn fast_kernels_agree(p: &Attention, [q, k, v]: [&[f32]; 3], portable: &[f32]) {
        let mut first = None;
        for (kernels, workers) in fast_kernels().flat_map(|kernels| [1, 2, 3].map(|count| (kernels, Several(count)))) {
            assert!(lanes::takes_attention(kernels, p.tokens, p.head));
            let mut scratch = vec![f32::NAN; scratch_len(p.tokens, p.head)];
            let mut out = vec![f32::NAN; portable.len()];
            lanes::attention(kernels, &workers, p, Some(q), [k, v], &mut scratch, &mut out);
            let mut in_place = q.to_vec();
            lanes::attention(kernels, &workers, p, None, [k, v], &mut scratch, &mut in_place);
            assert_close(&out, &wide(portable), 3e-6);
            assert_close(&out, &model(p, q, k, v), 3e-6);
            let first = first.get_or_insert_with(|| bits(&out));
            assert!(bits(&out) == *first && bits(&in_place) == *first, "{} x {}", kernels.name(), workers.0);
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let p =
            Attention { tokens: 5, heads: 1, head: 4, query_gain: None, key_gain: None, epsilon: 0.0, rotary: None };
        let q: Vec<f32> = numbers(1, 20).iter().map(|x| x * 1e4).collect();
        let v = numbers(2, 20);
        let mut out = vec![0.0; 20];
        attention(&p, Some(&q), &q, &v, &mut vec![0.0; scratch_len(5, 4)], &mut out);
        assert_close(&out, &model(&p, &q, &q, &v), 1e-6);
        fast_kernels_agree(&p, [&q, &q, &v], &out);
    }

    #[test]
    fn scratch_of_what_fits_no_memory() {
        assert_eq!(scratch_len(usize::MAX, 64), usize::MAX);
        assert_eq!(scratch_len(usize::MAX >> 2, usize::MAX >> 2), usize::MAX);
        assert_eq!(scratch_len(272, 64), 272 * 64 + 4 * (272 + 64));
    }
}
