//! Multi-head attention, one head and one query at a time.

/// Shape and constants of attention.
pub struct Attention<'a> {
    pub tokens: usize,
    pub heads: usize,
    /// Length of a head.
    pub head: usize,
    /// Gains of the normalization of queries and keys, `[head]` each.
    pub gains: Option<(&'a [f32], &'a [f32])>,
    pub epsilon: f32,
    /// Cosines and sines of rotary embedding, `[2, tokens, head / 2]`.
    pub rotary: Option<&'a [f32]>,
}

/// Numbers of working memory: the keys of one head, one query, one row of scores.
pub const fn attention_scratch_len(tokens: usize, head: usize) -> usize {
    tokens * head + head + tokens
}

/// `softmax(q k^T / sqrt(head)) v` of every head; queries, keys and values are `[tokens, heads * head]`. Queries may lie in
/// the place of the result (`None`).
pub fn attention(
    a: &Attention,
    queries: Option<&[f32]>,
    keys: &[f32],
    values: &[f32],
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let (tokens, head, width) = (a.tokens, a.head, a.heads * a.head);
    let (transposed, rest) = scratch.split_at_mut(tokens * head);
    let (row, scores) = rest.split_at_mut(head);
    let scores = &mut scores[..tokens];
    let scale = 1.0 / libm::sqrtf(head as f32);
    for h in 0..a.heads {
        for token in 0..tokens {
            row.copy_from_slice(&keys[token * width + h * head..][..head]);
            prepare(a, a.gains.map(|gains| gains.1), token, row);
            for (d, &k) in row.iter().enumerate() {
                transposed[d * tokens + token] = k;
            }
        }
        for token in 0..tokens {
            let place = token * width + h * head..token * width + (h + 1) * head;
            row.copy_from_slice(queries.map_or(&out[place.clone()], |q| &q[place.clone()]));
            prepare(a, a.gains.map(|gains| gains.0), token, row);
            scores.fill(0.0);
            for (&q, keys) in row.iter().zip(transposed.chunks_exact(tokens)) {
                for (score, &k) in scores.iter_mut().zip(keys) {
                    *score += q * k;
                }
            }
            let largest = scores.iter().fold(f32::NEG_INFINITY, |max, &s| max.max(s));
            let mut sum = 0.0;
            for score in scores.iter_mut() {
                *score = libm::expf((*score - largest) * scale);
                sum += *score;
            }
            let out = &mut out[place];
            out.fill(0.0);
            for (&weight, value) in scores.iter().zip(values.chunks_exact(width)) {
                for (out, &v) in out.iter_mut().zip(&value[h * head..]) {
                    *out += weight * v;
                }
            }
            for out in out {
                *out /= sum;
            }
        }
    }
}

/// Normalizes and turns a query or key of a token.
fn prepare(a: &Attention, gain: Option<&[f32]>, token: usize, row: &mut [f32]) {
    if let Some(gain) = gain {
        let mean_square = row.iter().fold(0.0, |sum, &x| sum + x * x) / row.len() as f32;
        let factor = 1.0 / libm::sqrtf(mean_square + a.epsilon);
        for (x, gain) in row.iter_mut().zip(gain) {
            *x = *x * factor * gain;
        }
    }
    if let Some(rotary) = a.rotary {
        let half = a.head / 2;
        let (cosines, sines) = rotary.split_at(a.tokens * half);
        let (first, second) = row.split_at_mut(half);
        let angles = cosines[token * half..].iter().zip(&sines[token * half..]);
        for ((x, y), (cosine, sine)) in first.iter_mut().zip(second).zip(angles) {
            (*x, *y) = (*x * cosine - *y * sine, *y * cosine + *x * sine);
        }
    }
}
