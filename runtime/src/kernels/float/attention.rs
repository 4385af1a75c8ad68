//! Attention.

use super::Numbers;

/// Parameters of an attention over `tokens` positions of `heads * head` channels.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    pub tokens: usize,
    pub heads: usize,
    /// Channels of one head.
    pub head: usize,
    /// Gains of the queries' RMS norm over a head, one for each of its channels; `None`: no norm.
    pub query_gain: Option<Numbers<'a>>,
    /// Gains of the keys' RMS norm.
    pub key_gain: Option<Numbers<'a>>,
    /// Added to the mean of the squares by these norms.
    pub epsilon: f32,
    pub rotary: Option<Rotary<'a>>,
}

/// Rotation of the two halves of a head by angles of the position: `[tokens, head / 2]` each.
#[derive(Clone, Copy, Debug)]
pub struct Rotary<'a> {
    pub cos: Numbers<'a>,
    pub sin: Numbers<'a>,
}

/// Numbers that [`attention`] needs beside its operands; `usize::MAX` for what fits no memory.
pub fn scratch_len(tokens: usize, head: usize) -> usize {
    let _ = (tokens, head);
    0
}

/// `out = softmax(q k / sqrt(head)) v` for every head; `q` may be in place.
pub fn attention(p: &Attention, q: Option<&[f32]>, k: &[f32], v: &[f32], scratch: &mut [f32], out: &mut [f32]) {
    let _ = (p, q, k, v, scratch, out);
}
