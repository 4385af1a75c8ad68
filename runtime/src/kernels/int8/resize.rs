//! Bilinear upsampling.

use super::fixed::Int;

/// A map of twice the height and width, with half-pixel centres: every new pixel takes 9/16 of the pixel that it lies in
/// and 3/16, 3/16 and 1/16 of the three that it lies next to, clamped at the edges. Scale and zero point stay.
pub fn bilinear<T: Int>(x: &[T], [height, width, channels]: [usize; 3], out: &mut [T]) {
    let mut pixels = out.chunks_exact_mut(channels.max(1));
    for oy in 0..2 * height {
        let (y, y2) = neighbours(oy, height);
        for ox in 0..2 * width {
            let (x1, x2) = neighbours(ox, width);
            let at = |y: usize, x1: usize| &x[(y * width + x1) * channels..][..channels];
            let (a, b, c, d) = (at(y, x1), at(y, x2), at(y2, x1), at(y2, x2));
            let Some(pixel) = pixels.next() else { return };
            for ((out, (&a, &b)), (&c, &d)) in pixel.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
                let sum = 9 * a.into() + 3 * b.into() + 3 * c.into() + d.into();
                *out = T::saturate(((sum + 8) >> 4).into());
            }
        }
    }
}

/// The old line that new line `o` lies in, and the nearer of its neighbours, clamped at the edges.
fn neighbours(o: usize, len: usize) -> (usize, usize) {
    let near = o / 2;
    let far = if o.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(len - 1) };
    (near, far)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    /// Samples a channel at real coordinates, clamped at the edges.
    fn sample(x: &[i16], [height, width, channels]: [usize; 3], y: f64, at: f64, c: usize) -> f64 {
        let axis = |v: f64, len: usize| {
            let v = v.clamp(0.0, (len - 1) as f64);
            let low = v.floor() as usize;
            (low, (low + 1).min(len - 1), v - v.floor())
        };
        let ((y0, y1, fy), (x0, x1, fx)) = (axis(y, height), axis(at, width));
        let read = |y: usize, at: usize| f64::from(x[(y * width + at) * channels + c]);
        let line = |y| read(y, x0) * (1.0 - fx) + read(y, x1) * fx;
        line(y0) * (1.0 - fy) + line(y1) * fy
    }

    #[test]
    fn pixels_lie_at_half_pixel_centres() {
        let mut random = Random(13);
        for _ in 0..100 {
            let shape @ [height, width, channels] = [random.size(1, 6), random.size(1, 6), random.size(1, 4)];
            let x: Vec<i16> = (0..height * width * channels).map(|_| random.between(-32768, 32767) as i16).collect();
            let mut out = vec![0; 4 * x.len()];
            bilinear(&x, shape, &mut out);
            for (i, &got) in out.iter().enumerate() {
                let (oy, ox, c) = (i / channels / (2 * width), i / channels % (2 * width), i % channels);
                let expected = sample(&x, shape, oy as f64 / 2.0 - 0.25, ox as f64 / 2.0 - 0.25, c);
                assert_eq!(f64::from(got), (expected + 0.5).floor(), "{shape:?} {oy} {ox}");
            }
        }
    }

    #[test]
    fn extremes_stay() {
        let mut out = [0i16; 16];
        bilinear(&[i16::MIN; 4], [2, 2, 1], &mut out);
        assert_eq!(out, [i16::MIN; 16]);
        let mut out = [0i8; 4];
        bilinear(&[127i8], [1, 1, 1], &mut out);
        assert_eq!(out, [127; 4]);
    }
}
