//! Pooling.

use crate::format::PoolMode;

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

/// How a square window moves over a map.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub side: usize,
    pub stride: usize,
    /// Positions outside the map on every side; fewer than the side.
    pub padding: usize,
}

impl Window {
    /// The positions of an axis of this length that output `o` sees.
    fn range(&self, o: usize, len: usize) -> core::ops::Range<usize> {
        let start = o * self.stride;
        start.saturating_sub(self.padding)..len.min((start + self.side).saturating_sub(self.padding))
    }
}

/// The largest or the mean number of every window, channel by channel; positions outside the map do not count.
pub fn pool(x: &[f32], [height, width, channels]: [usize; 3], window: Window, mode: PoolMode, out: &mut [f32]) {
    let out_width = (width + 2 * window.padding - window.side) / window.stride + 1;
    for (position, out) in out.chunks_exact_mut(channels.max(1)).enumerate() {
        let rows = window.range(position / out_width, height);
        let columns = window.range(position % out_width, width);
        let count = (rows.len() * columns.len()) as f32;
        out.fill(if mode == PoolMode::Max { f32::NEG_INFINITY } else { 0.0 });
        for y in rows {
            let line = &x[(y * width + columns.start) * channels..][..columns.len() * channels];
            for position in line.chunks_exact(channels.max(1)) {
                match mode {
                    PoolMode::Max => out.iter_mut().zip(position).for_each(|(most, &x)| *most = most.max(x)),
                    PoolMode::Average => out.iter_mut().zip(position).for_each(|(sum, &x)| *sum += x),
                }
            }
        }
        if mode == PoolMode::Average {
            out.iter_mut().for_each(|sum| *sum /= count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, numbers};

    #[test]
    fn windows_follow_their_definition() {
        for (side, stride, padding) in [(3, 2, 0), (3, 1, 1), (2, 2, 0), (4, 3, 3), (1, 1, 0)] {
            for [height, width] in [[4, 7], [9, 4]] {
                let (channels, window) = (3, Window { side, stride, padding });
                let x = numbers(5, height * width * channels);
                let size = |len: usize| (len + 2 * padding - side) / stride + 1;
                let seen = |oy: usize, ox: usize, c: usize| -> Vec<f64> {
                    let offset = |o: usize, k: usize| (o * stride + k).checked_sub(padding);
                    let taps = (0..side).flat_map(|ky| (0..side).map(move |kx| (ky, kx)));
                    let inside = taps.filter_map(|(ky, kx)| {
                        let (y, x_) = (offset(oy, ky)?, offset(ox, kx)?);
                        (y < height && x_ < width).then(|| f64::from(x[(y * width + x_) * channels + c]))
                    });
                    inside.collect()
                };
                for mode in [PoolMode::Max, PoolMode::Average] {
                    let mut out = vec![f32::NAN; size(height) * size(width) * channels];
                    pool(&x, [height, width, channels], window, mode, &mut out);
                    let expected = |i: usize| {
                        let seen = seen(i / channels / size(width), i / channels % size(width), i % channels);
                        match mode {
                            PoolMode::Max => seen.into_iter().fold(f64::NEG_INFINITY, f64::max),
                            PoolMode::Average => seen.iter().sum::<f64>() / seen.len() as f64,
                        }
                    };
                    assert_close(&out, &(0..out.len()).map(expected).collect::<Vec<_>>(), 1e-6);
                }
            }
        }
    }

    #[test]
    fn the_mean_over_positions() {
        let x = numbers(1, 300 * 7);
        let mut out = vec![f32::NAN; 7];
        global_avg_pool(&x, &mut out);
        let mean = |c: usize| x.iter().skip(c).step_by(7).map(|&x| f64::from(x)).sum::<f64>() / 300.0;
        assert_close(&out, &(0..7).map(mean).collect::<Vec<_>>(), 1e-6);
    }
}
