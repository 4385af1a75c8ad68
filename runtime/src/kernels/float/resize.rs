//! Bilinear upsampling.

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
