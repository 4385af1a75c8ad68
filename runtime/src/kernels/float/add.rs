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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, numbers};

    const CHANNELS: usize = 5;
    const LEN: usize = 7 * CHANNELS;

    fn sums(a: &[f32], b: &[f32]) -> Vec<f64> {
        let at = |x: &[f32], i: usize| f64::from(x[i % x.len()]);
        (0..LEN).map(|i| at(a, i) + at(b, i)).collect()
    }

    #[test]
    fn add_broadcasts_one_position() {
        let (map, other, position) = (numbers(1, LEN), numbers(2, LEN), numbers(3, CHANNELS));
        for (a, b) in [(&map, &other), (&map, &position), (&position, &map)] {
            let mut out = vec![0.0; LEN];
            add(Some(a), Some(b), &mut out);
            assert_close(&out, &sums(a, b), 1e-7);
            let mut in_place = map.clone();
            if a.len() == LEN {
                add(None, Some(b), &mut in_place);
            } else {
                add(Some(a), None, &mut in_place);
            }
            assert_eq!(in_place, out);
        }
        // The whole is one position.
        let mut out = vec![0.0; LEN];
        add(Some(&map), Some(&map), &mut out);
        assert_close(&out, &sums(&map, &map), 1e-7);
    }

    #[test]
    fn add_weights_broadcasts_either() {
        let (map, position) = (numbers(1, LEN), numbers(2, CHANNELS));
        for (a, w) in [(&map, &map), (&map, &position), (&position, &map)] {
            let half: Vec<u16> = w.iter().map(|&w| half::f16::from_f32(w).to_bits()).collect();
            let wide: Vec<f32> = half.iter().map(|w| w.to_f32()).collect();
            let mut out = [(); 3].map(|()| vec![0.0; LEN]);
            add_weights(Some(a), w, &mut out[0]);
            assert_close(&out[0], &sums(a, w), 1e-7);
            add_weights(Some(a), &half, &mut out[1]);
            add_weights(Some(a), &wide, &mut out[2]);
            assert_eq!(out[1], out[2]);
            if a.len() == LEN {
                let mut in_place = a.clone();
                add_weights(None, w, &mut in_place);
                assert_eq!(in_place, out[0]);
            }
        }
    }

    #[test]
    fn gate_with_either_operand_in_place_is_the_same() {
        let (r, x, gain) = (numbers(1, LEN), numbers(2, LEN), numbers(3, CHANNELS));
        let mut out = vec![0.0; LEN];
        gate(Some(&r), Some(&x), &gain, &mut out);
        let expected: Vec<f64> =
            (0..LEN).map(|i| f64::from(r[i]) + f64::from(x[i]) * f64::from(gain[i % CHANNELS])).collect();
        assert_close(&out, &expected, 1e-6);
        let (mut over_r, mut over_x) = (r.clone(), x.clone());
        gate(None, Some(&x), &gain, &mut over_r);
        gate(Some(&r), None, &gain, &mut over_x);
        assert_eq!([over_r, over_x], [out.clone(), out]);
    }
}
