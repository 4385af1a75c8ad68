//! Kernels that only move numbers, whatever their type.

/// `out = x` from position `from` on.
pub fn slice<T: Copy>(x: &[T], from: usize, channels: usize, out: &mut [T]) {
    out.copy_from_slice(&x[from * channels..][..out.len()]);
}

/// A map whose every pixel becomes a square of `factor * factor`.
pub fn resize_nearest<T: Copy>(x: &[T], [height, width, channels]: [usize; 3], factor: usize, out: &mut [T]) {
    let mut pixels = out.chunks_exact_mut(channels.max(1));
    for y in 0..height {
        let line = &x[y * width * channels..][..width * channels];
        for _ in 0..factor {
            for pixel in line.chunks_exact(channels.max(1)) {
                for copy in pixels.by_ref().take(factor) {
                    copy.copy_from_slice(pixel);
                }
            }
        }
    }
}

/// `[height, width, channels]` to `[height / patch, width / patch, patch * patch * channels]`; the numbers of a patch lie
/// in the order row, column, channel.
pub fn space_to_depth<T: Copy>(x: &[T], [height, width, channels]: [usize; 3], patch: usize, out: &mut [T]) {
    patches([height, width, channels], patch, |map, depth| out[depth].copy_from_slice(&x[map]));
}

/// The reverse of [`space_to_depth`]; the shape is that of the result.
pub fn depth_to_space<T: Copy>(x: &[T], [height, width, channels]: [usize; 3], patch: usize, out: &mut [T]) {
    patches([height, width, channels], patch, |map, depth| out[map].copy_from_slice(&x[depth]));
}

/// Every line of every patch: its range in the map and its range among the patches.
fn patches(
    [height, width, channels]: [usize; 3],
    patch: usize,
    mut each: impl FnMut(core::ops::Range<usize>, core::ops::Range<usize>),
) {
    let run = patch * channels;
    let mut depth = 0;
    for y in (0..height).step_by(patch) {
        for x in (0..width).step_by(patch) {
            for line in 0..patch {
                let map = ((y + line) * width + x) * channels;
                each(map..map + run, depth..depth + run);
                depth += run;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_positions() {
        let mut out = [0; 4];
        slice(&[0, 1, 10, 11, 20, 21, 30, 31], 1, 2, &mut out);
        assert_eq!(out, [10, 11, 20, 21]);
    }

    #[test]
    fn pixels_become_squares() {
        let mut out = [0; 24];
        resize_nearest(&[1, -1, 2, -2, 3, -3], [1, 3, 2], 2, &mut out);
        let line = [1, -1, 1, -1, 2, -2, 2, -2, 3, -3, 3, -3];
        assert_eq!(out, [line, line].concat()[..]);
    }

    #[test]
    fn patches_are_in_the_order_row_column_channel() {
        // A number says its row, column and channel.
        let (height, width, channels, patch) = (6, 4, 3, 2);
        let name = |y: usize, x: usize, c: usize| y * 100 + x * 10 + c;
        let map: Vec<_> = (0..height * width * channels)
            .map(|i| name(i / channels / width, i / channels % width, i % channels))
            .collect();
        let mut depth = vec![0; map.len()];
        space_to_depth(&map, [height, width, channels], patch, &mut depth);
        for (i, &got) in depth.iter().enumerate() {
            let (pixel, within) = (i / (patch * patch * channels), i % (patch * patch * channels));
            let (row, column, c) = (within / channels / patch, within / channels % patch, within % channels);
            let (y, x) = (pixel / (width / patch) * patch + row, pixel % (width / patch) * patch + column);
            assert_eq!(got, name(y, x, c));
        }
        let mut back = vec![0; map.len()];
        depth_to_space(&depth, [height, width, channels], patch, &mut back);
        assert_eq!(back, map);
    }
}
