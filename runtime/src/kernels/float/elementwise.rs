//! Operators that treat every number alike, and embeddings.

use super::Weight;
use crate::format::Function;
use crate::kernels::int8::Position;

/// Pi's and other constants of the tanh form of GELU.
const SQRT_2_BY_PI: f32 = 0.797_884_6;

fn apply(function: Function, x: f32) -> f32 {
    match function {
        Function::Identity => x,
        Function::Relu => x.max(0.0),
        Function::Tanh => libm::tanhf(x),
        Function::Silu => x / (1.0 + libm::expf(-x)),
        Function::Gelu => 0.5 * x * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2)),
        Function::GeluTanh => 0.5 * x * (1.0 + libm::tanhf(SQRT_2_BY_PI * (x + 0.044715 * x * x * x))),
        Function::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
    }
}

/// The function of every number; `None` stands for what lies in the place of the result.
pub fn lookup(x: Option<&[f32]>, function: Function, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = apply(function, x.map_or(*out, |x| x[i]));
    }
}

/// `function(a) * b`.
pub fn mul(a: Option<&[f32]>, function: Function, b: Option<&[f32]>, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        let (a, b) = (a.map_or(*out, |a| a[i]), b.map_or(*out, |b| b[i]));
        *out = apply(function, a) * b;
    }
}

/// `residual + gain * x`, the gain per channel.
pub fn gate(residual: Option<&[f32]>, x: Option<&[f32]>, gain: &[f32], out: &mut [f32]) {
    let channels = gain.len();
    for (p, out) in out.chunks_exact_mut(channels).enumerate() {
        for (c, (out, gain)) in out.iter_mut().zip(gain).enumerate() {
            let i = p * channels + c;
            let (residual, x) = (residual.map_or(*out, |r| r[i]), x.map_or(*out, |x| x[i]));
            *out = residual + gain * x;
        }
    }
}

/// `a + b`; an operand of one position is added to all.
pub fn add(a: Option<&[f32]>, b: Option<&[f32]>, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        let at = |operand: Option<&[f32]>| operand.map_or(*out, |numbers| numbers[i % numbers.len()]);
        *out = at(a) + at(b);
    }
}

/// As [`add`], of a constant.
pub fn add_weights<W: Weight>(a: Option<&[f32]>, b: &[W], out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        *out = a.map_or(*out, |numbers| numbers[i % numbers.len()]) + b[i % b.len()].to_f32();
    }
}

/// `x` plus a row of each table.
pub fn embed_styles<'t, W: Weight + 't>(x: &[f32], rows: impl Iterator<Item = &'t [W]>, out: &mut [f32]) {
    out.copy_from_slice(x);
    for row in rows {
        for (out, w) in out.iter_mut().zip(row) {
            *out += w.to_f32();
        }
    }
}

/// Map of twice the size: weights 9, 3, 3, 1 over 16 of the nearest four positions, edges repeated.
pub fn resize_bilinear(x: &[f32], [height, width, channels]: [usize; 3], out: &mut [f32]) {
    let at = |y: usize, x_: usize, c: usize| x[(y * width + x_) * channels + c];
    for (i, out) in out.iter_mut().enumerate() {
        let (position, c) = (i / channels, i % channels);
        let (oy, ox) = (position / (2 * width), position % (2 * width));
        let [(near_y, far_y), (near_x, far_x)] = [(oy, height), (ox, width)].map(|(o, len)| neighbours(o, len));
        *out = 0.5625 * at(near_y, near_x, c)
            + 0.1875 * (at(near_y, far_x, c) + at(far_y, near_x, c))
            + 0.0625 * at(far_y, far_x, c);
    }
}

/// The input position that an output position lies on, and the next one on its side.
fn neighbours(o: usize, len: usize) -> (usize, usize) {
    let near = o / 2;
    let far = if o.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(len - 1) };
    (near, far)
}

/// `out = input + (1 - t) * row + t * next row` with `t = fraction / 2^shift`.
pub fn interpolate<W: Weight>(table: &[W], at: Position, input: &[f32], out: &mut [f32]) {
    let width = out.len();
    let low = &table[at.row * width..][..width];
    let high = &table[(at.row + 1) * width..][..width];
    let t = at.fraction as f32 / (1u32 << at.shift) as f32;
    for (((out, &x), low), high) in out.iter_mut().zip(input).zip(low).zip(high) {
        let (low, high) = (low.to_f32(), high.to_f32());
        *out = x + (low + (high - low) * t);
    }
}

/// Stored numbers in single precision.
pub fn widen<W: Weight>(stored: &[W], out: &mut [f32]) {
    for (out, w) in out.iter_mut().zip(stored) {
        *out = w.to_f32();
    }
}

/// Mean over all positions of a map.
pub fn global_avg_pool(x: &[f32], out: &mut [f32]) {
    let positions = (x.len() / out.len()) as f32;
    out.fill(0.0);
    for position in x.chunks_exact(out.len()) {
        for (sum, &x) in out.iter_mut().zip(position) {
            *sum += x;
        }
    }
    for sum in out {
        *sum /= positions;
    }
}
