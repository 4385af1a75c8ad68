//! Embeddings of class, styles and guidance, and vectors that act on maps.

use driftlet_quantize::graph::{Graph, Op};
use driftlet_runtime::format::Function;

use super::builder::{Builder, Form};

/// All embeddings, spread over a map that the noise is added to.
pub fn embeddings() -> Graph<'static> {
    let mut b = Builder::new(7);
    let (classes, width, rows, knots) = (7, 19, 5, 4);
    b.graph.classes = classes;
    b.graph.guidance = (256, 1024);
    let vector = [1, 1, width];
    let table = b.table(classes * width, 0.0, 1.0);
    let x = b.push(Op::ClassEmbedding(table), &[], vector);
    let tables = (0..3).map(|_| b.table(rows * width, 0.0, 0.7)).collect();
    let x = b.push(Op::StyleEmbedding { tables, rows }, &[x], vector);
    let table = b.table(knots * width, 0.0, 0.5);
    let condition = b.push(Op::GuidanceEmbedding(table), &[x], vector);
    let x = b.lookup(Function::Silu, condition);
    let map = b.spread(x, [6, 5, 4]);
    let noise = b.noise([6, 5, 4]);
    let x = b.push(Op::Add(None), &[map, noise], [6, 5, 4]);
    let x = b.conv(x, 11, Form::same(3).relu());
    let x = b.conv(x, 3, Form::same(3));
    b.finish_with_pixels(x, true)
}

/// Means over all positions of 8- and 16-bit maps, and factors for each channel made of them (Hu et al., 2018).
pub fn squeeze() -> Graph<'static> {
    let mut b = Builder::new(8);
    let noise = b.noise([7, 5, 6]);
    let mean = b.push(Op::GlobalAvgPool, &[noise], [1, 1, 6]);
    let gain = b.linear(mean, 6);
    let x = b.push(Op::Gate, &[noise, noise, gain], [7, 5, 6]);
    let x = b.conv(x, 21, Form::strided(3, 2, 1).relu());
    let [height, width, channels] = b.shape(x);
    let mean = b.push(Op::GlobalAvgPool, &[x], [1, 1, channels]);
    let y = b.linear(mean, 5);
    let y = b.lookup(Function::Relu, y);
    let y = b.linear(y, channels);
    let gain = b.lookup(Function::Sigmoid, y);
    let y = b.conv(x, channels, Form::same(3));
    let x = b.push(Op::Gate, &[y, x, gain], [height, width, channels]);
    let x = b.push(Op::Add(None), &[x, y], [height, width, channels]);
    let x = b.conv(x, 9, Form::same(1));
    b.finish(x)
}
