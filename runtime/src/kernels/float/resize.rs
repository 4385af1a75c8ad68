//! Bilinear resizing.

/// A map of twice the height and width, with half-pixel centres: every new pixel takes 9/16 of the pixel that it lies in
/// and 3/16, 3/16 and 1/16 of the three that it lies next to, clamped at the edges.
pub fn resize_bilinear(x: &[f32], [height, width, channels]: [usize; 3], out: &mut [f32]) {
    let mut pixels = out.chunks_exact_mut(channels.max(1));
    for oy in 0..2 * height {
        let (y, y2) = neighbours(oy, height);
        for ox in 0..2 * width {
            let (x1, x2) = neighbours(ox, width);
            let at = |y: usize, x1: usize| &x[(y * width + x1) * channels..][..channels];
            let (a, b, c, d) = (at(y, x1), at(y, x2), at(y2, x1), at(y2, x2));
            let Some(pixel) = pixels.next() else { return };
            for ((out, (&a, &b)), (&c, &d)) in pixel.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
                *out = 0.75 * (0.75 * a + 0.25 * b) + 0.25 * (0.75 * c + 0.25 * d);
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

/// A map of any size: every new pixel lies between the two nearest rows and columns of the old ones, half-pixel centres,
/// clamped at the edges.
pub fn stretch(x: &[f32], [height, width, channels]: [usize; 3], [rows, columns]: [usize; 2], out: &mut [f32]) {
    let mut pixels = out.chunks_exact_mut(channels.max(1));
    for oy in 0..rows {
        let (y, y2, fy) = between(oy, rows, height);
        for ox in 0..columns {
            let (x1, x2, fx) = between(ox, columns, width);
            let at = |y: usize, x1: usize| &x[(y * width + x1) * channels..][..channels];
            let (a, b, c, d) = (at(y, x1), at(y, x2), at(y2, x1), at(y2, x2));
            let Some(pixel) = pixels.next() else { return };
            for ((out, (&a, &b)), (&c, &d)) in pixel.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
                *out = (1.0 - fy) * ((1.0 - fx) * a + fx * b) + fy * ((1.0 - fx) * c + fx * d);
            }
        }
    }
}

/// The old lines before and behind the centre of new line `o` of `count`, and its distance from the first.
fn between(o: usize, count: usize, len: usize) -> (usize, usize, f32) {
    // In halves of new lines, exactly: (2 o + 1) len / (2 count) - 1 / 2.
    let above = ((2 * o as u64 + 1) * len as u64).saturating_sub(count as u64);
    let (first, rest) = (above / (2 * count as u64), above % (2 * count as u64));
    let first = (first as usize).min(len - 1);
    (first, (first + 1).min(len - 1), rest as f32 / (2 * count) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, numbers};

    #[test]
    fn twice_the_size_is_the_same_both_ways() {
        for shape in [[1, 1, 3], [1, 4, 1], [5, 3, 2]] {
            let [height, width, channels] = shape;
            let x = numbers(1, height * width * channels);
            let mut outs = [(); 2].map(|()| vec![f32::NAN; 4 * x.len()]);
            resize_bilinear(&x, shape, &mut outs[0]);
            stretch(&x, shape, [2 * height, 2 * width], &mut outs[1]);
            assert_close(&outs[1], &outs[0].iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1e-6);
        }
    }

    #[test]
    fn any_size_keeps_a_slope() {
        // A linear map stays linear but at the edges, which are repeated.
        let x: Vec<f32> = (0..28).map(|i| i as f32).collect();
        let mut out = vec![f32::NAN; 299];
        stretch(&x, [1, 28, 1], [1, 299], &mut out);
        let expected = |o: usize| ((o as f64 + 0.5) * 28.0 / 299.0 - 0.5).clamp(0.0, 27.0);
        assert_close(&out, &(0..299).map(expected).collect::<Vec<_>>(), 1e-6);
        let mut smaller = vec![f32::NAN; 3];
        stretch(&x, [28, 1, 1], [3, 1], &mut smaller);
        assert_close(&smaller, &[4.166_667, 13.5, 22.833_334], 1e-6);
    }

    #[test]
    fn pixels_keep_their_centres() {
        for shape in [[1, 1, 3], [1, 4, 1], [5, 3, 2]] {
            let [height, width, channels] = shape;
            let x = numbers(1, height * width * channels);
            let mut out = vec![f32::NAN; 4 * x.len()];
            resize_bilinear(&x, shape, &mut out);
            // The place of a new pixel's centre among the old ones: (o + 1/2) / 2 - 1/2.
            let line = |o: usize, len: usize| {
                let at = ((o as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, (len - 1) as f64);
                (at.floor() as usize, (at.ceil() as usize).min(len - 1), at.fract())
            };
            let expected: Vec<f64> = (0..out.len())
                .map(|i| {
                    let (oy, ox, c) = (i / channels / (2 * width), i / channels % (2 * width), i % channels);
                    let ((y, y2, fy), (x1, x2, fx)) = (line(oy, height), line(ox, width));
                    let at = |y: usize, x_: usize| f64::from(x[(y * width + x_) * channels + c]);
                    let row = |y| at(y, x1) * (1.0 - fx) + at(y, x2) * fx;
                    row(y) * (1.0 - fy) + row(y2) * fy
                })
                .collect();
            assert_close(&out, &expected, 1e-6);
        }
    }
}
