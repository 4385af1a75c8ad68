//! Operators that move numbers as they are; maps are `[height, width, channels]`.

/// The numbers from `first` on.
pub fn slice<T: Copy>(x: &[T], first: usize, out: &mut [T]) {
    out.copy_from_slice(&x[first..][..out.len()]);
}

/// Every position four times.
pub fn resize_nearest<T: Copy>(x: &[T], [_, width, channels]: [usize; 3], out: &mut [T]) {
    let rows = out.chunks_exact_mut(2 * width * channels).enumerate();
    for (oy, row) in rows {
        let source = &x[oy / 2 * width * channels..][..width * channels];
        for (pair, position) in row.chunks_exact_mut(2 * channels).zip(source.chunks_exact(channels)) {
            let (left, right) = pair.split_at_mut(channels);
            left.copy_from_slice(position);
            right.copy_from_slice(position);
        }
    }
}

/// Squares of `patch` x `patch` positions of a map become channels, in the order row, column, channel.
pub fn space_to_depth<T: Copy>(map: &[T], shape: [usize; 3], patch: usize, tokens: &mut [T]) {
    for (line, place) in lines(shape, patch) {
        tokens[place..place + line.len()].copy_from_slice(&map[line]);
    }
}

/// The inverse of [`space_to_depth`]; `shape` is that of the map.
pub fn depth_to_space<T: Copy>(tokens: &[T], shape: [usize; 3], patch: usize, map: &mut [T]) {
    for (line, place) in lines(shape, patch) {
        let len = line.len();
        map[line].copy_from_slice(&tokens[place..place + len]);
    }
}

/// Lines of patches: where each lies in the map, and where among the tokens.
fn lines(
    [height, width, channels]: [usize; 3],
    patch: usize,
) -> impl Iterator<Item = (core::ops::Range<usize>, usize)> {
    let (columns, line) = (width / patch, patch * channels);
    (0..height).flat_map(move |y| {
        (0..columns).map(move |column| {
            let start = y * width * channels + column * line;
            let token = y / patch * columns + column;
            (start..start + line, (token * patch + y % patch) * line)
        })
    })
}
