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
