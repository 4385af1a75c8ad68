//! The layers that kernels of microcontrollers are measured with, in one network.

use driftlet_quantize::graph::{Graph, Op};
use driftlet_runtime::format::ResizeMode;

use super::builder::{Builder, Form};

/// Dense layers as a small generator has them, 3 x 3 unless named, a map of the size of the outputs before each:
/// 7 x 7, 48 to 48 channels; 14 x 14, 48 to 32 and 32 to 32; 28 x 28, 32 to 16 and 16 to 1; 1 x 1 on 14 x 14, 48 to 48; a vector
/// of 128 to 2352 numbers; 49 tokens of 128 to 384. Each has another count of products, by which `firmware-demo/layers`
/// knows it.
pub fn layers() -> Graph<'static> {
    let mut b = Builder::new(12);
    let noise = b.noise([1, 50, 128]);
    // Activations as layers have them, of 16 bits where the file's are.
    let mixed = b.linear(noise, 128);
    let vector = b.push(Op::Slice { from: 0 }, &[mixed], [1, 1, 128]);
    let map = b.spread(vector, [7, 7, 48]);
    let tokens = b.push(Op::Slice { from: 1 }, &[mixed], [7, 7, 128]);
    let tokens = b.linear(tokens, 384);
    let x = b.linear_onto(tokens, map);
    let x = b.conv(x, 48, Form::same(3).relu());
    let x = b.push(Op::Resize(ResizeMode::Nearest), &[x], [14, 14, 48]);
    let x = b.conv(x, 48, Form::same(1).relu());
    let x = b.conv(x, 32, Form::same(3).relu());
    let x = b.conv(x, 32, Form::same(3).relu());
    let x = b.push(Op::Resize(ResizeMode::Nearest), &[x], [28, 28, 32]);
    let x = b.conv(x, 16, Form::same(3).relu());
    let x = b.conv(x, 1, Form::same(3));
    b.finish_with_pixels(x, true)
}
