//! Operators that move numbers or join two maps.

use driftlet_quantize::graph::{Graph, Op};
use driftlet_runtime::format::{ConcatMode, ResizeMode};

use super::builder::{Builder, Form};

/// Slices, patches, both resizes and both concatenations, of 8-bit noise and of what layers make of it.
pub fn moves() -> Graph<'static> {
    let mut b = Builder::new(9);
    let noise = b.noise([6, 6, 5]);
    // Of 8-bit numbers.
    let part = b.push(Op::Slice { from: 7 }, &[noise], [3, 4, 5]);
    let twice = b.push(Op::Resize(ResizeMode::Bilinear), &[part], [6, 8, 5]);
    let patches = b.push(Op::SpaceToDepth { patch: 2 }, &[twice], [3, 4, 20]);
    let x = b.push(Op::Concat(ConcatMode::Channels), &[patches, part], [3, 4, 25]);
    // Of 16-bit numbers, and with 8-bit activations of a zero point that is not 0.
    let x = b.conv(x, 9, Form::same(3).relu());
    let near = b.push(Op::Resize(ResizeMode::Nearest), &[x], [6, 8, 9]);
    let near = b.conv(near, 7, Form::same(3));
    let smooth = b.push(Op::Resize(ResizeMode::Bilinear), &[x], [6, 8, 9]);
    let smooth = b.conv(smooth, 7, Form::same(3).relu());
    let x = b.push(Op::Concat(ConcatMode::Positions), &[near, smooth], [12, 8, 7]);
    let x = b.push(Op::Slice { from: 5 }, &[x], [9, 6, 7]);
    let tokens = b.push(Op::SpaceToDepth { patch: 3 }, &[x], [1, 6, 63]);
    let tokens = b.linear(tokens, 54);
    let x = b.push(Op::DepthToSpace { patch: 3 }, &[tokens], [9, 6, 6]);
    let x = b.conv(x, 12, Form::same(1));
    let x = b.push(Op::DepthToSpace { patch: 2 }, &[x], [18, 12, 3]);
    b.finish_with_pixels(x, true)
}

/// Sums of two maps, of a map and one position on either side, and of constants.
pub fn sums() -> Graph<'static> {
    let mut b = Builder::new(10);
    let shape = [5, 7, 10];
    let noise = b.noise(shape);
    let constant = b.table(5 * 7 * 10, 0.0, 0.5);
    let x = b.push(Op::Add(Some(constant)), &[noise], shape);
    let y = b.conv(x, 10, Form::same(3));
    let x = b.push(Op::Add(None), &[x, y], shape);
    let y = b.conv(x, 13, Form::same(1).relu());
    let y = b.conv(y, 10, Form::same(1));
    let mean = b.push(Op::GlobalAvgPool, &[y], [1, 1, 10]);
    let x = b.push(Op::Add(None), &[y, mean], shape);
    let other = b.linear(mean, 10);
    let x = b.push(Op::Add(None), &[other, x], shape);
    let constant = b.table(10, 0.0, 2.0);
    let x = b.push(Op::Add(Some(constant)), &[x], shape);
    // One position that becomes many.
    let constant = b.table(35 * 10, 0.0, 1.0);
    let y = b.push(Op::Add(Some(constant)), &[mean], shape);
    let x = b.push(Op::Add(None), &[x, y], shape);
    let x = b.push(Op::Add(None), &[x, noise], shape);
    b.finish(x)
}
