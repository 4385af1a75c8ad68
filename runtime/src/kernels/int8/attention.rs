//! Attention in integers.

use super::{Operand, Output, Scale};

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
    /// From the values' scale to the output's; the shift is at most 47.
    pub output: Scale,
}

/// Longest sequence.
pub const MAX_TOKENS: usize = 1 << 16;
/// Longest head.
pub const MAX_HEAD: usize = 1 << 12;

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
}

/// Rotation of the two halves of a head by angles of the position: `[tokens, head / 2]` each, in `2^-14`.
#[derive(Clone, Copy, Debug)]
pub struct Rotary<'a> {
    pub cos: &'a [i16],
    pub sin: &'a [i16],
}

/// Bytes that [`attention`] needs beside its operands; `usize::MAX` for what fits no memory.
pub fn scratch_len(tokens: usize, head: usize) -> usize {
    let _ = (tokens, head);
    0
}

/// `out = softmax(q k / sqrt(head)) v` for every head; `q` may be in place. The scratch begins at a multiple of 16.
pub fn attention(p: &Attention, q: &Operand, k: &Operand, v: &Operand, scratch: &mut [u8], out: &mut Output) {
    let _ = (p, q, k, v, scratch, out);
}
