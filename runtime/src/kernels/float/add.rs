//! Sums of two maps, of a map and one position, or of a map and a gated one.

use super::Weight;
use super::elementwise::zip;

/// `out = a + b`; one of the two may be in place, and the other may be a single position, which is added to all.
pub fn add(a: Option<&[f32]>, b: Option<&[f32]>, out: &mut [f32]) {
    let len = out.len();
    let period = [a, b].into_iter().flatten().map(<[f32]>::len).min().unwrap_or(len).max(1);
    for (start, out) in (0..len).step_by(period).zip(out.chunks_mut(period)) {
        let part = |x: Option<&'_ [f32]>| x.map(|x| if x.len() == len { start..start + period } else { 0..period });
        let (a, b) = (a.zip(part(a)).map(|(a, at)| &a[at]), b.zip(part(b)).map(|(b, at)| &b[at]));
        zip(a, b, out, |a, b| a + b);
    }
}

/// `out = a + w`; `a` may be in place. Weights and `a` are as long as `out`, or a single position.
pub fn add_weights<W: Weight>(a: Option<&[f32]>, w: &[W], out: &mut [f32]) {
    if let Some(a) = a {
        for out in out.chunks_mut(a.len().max(1)) {
            out.copy_from_slice(a);
        }
    }
    for out in out.chunks_mut(w.len().max(1)) {
        for (out, w) in out.iter_mut().zip(w) {
            *out += w.to_f32();
        }
    }
}

/// `out = r + x * gain`, with one gain for each channel; `r` or `x` may be in place.
pub fn gate(r: Option<&[f32]>, x: Option<&[f32]>, gain: &[f32], out: &mut [f32]) {
    let channels = gain.len().max(1);
    for (start, out) in (0..out.len()).step_by(channels).zip(out.chunks_mut(channels)) {
        let part = |x: &'_ [f32]| start..(start + channels).min(x.len());
        match (r, x) {
            (None, Some(x)) => {
                for (out, (x, g)) in out.iter_mut().zip(x[part(x)].iter().zip(gain)) {
                    *out += x * g;
                }
            }
            (Some(r), None) => {
                for (out, (r, g)) in out.iter_mut().zip(r[part(r)].iter().zip(gain)) {
                    *out = r + *out * g;
                }
            }
            (Some(r), Some(x)) => {
                for (out, ((r, x), g)) in out.iter_mut().zip(r[part(r)].iter().zip(&x[part(x)]).zip(gain)) {
                    *out = r + x * g;
                }
            }
            (None, None) => {
                for (out, g) in out.iter_mut().zip(gain) {
                    *out += *out * g;
                }
            }
        }
    }
}
