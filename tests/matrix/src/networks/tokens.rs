//! Normalization and attention.

use std::sync::Arc;
use std::vec::Vec;

use driftlet_quantize::graph::{Attention, Graph, Op, Rotary, ValueId};
use driftlet_runtime::format::ConcatMode;
use driftlet_runtime::format::NormMode::{self, Group, Layer, Rms};

use super::builder::{Builder, Form};

/// Every kind with gains and shifts of its own and from vectors, also mixed, of 8- and 16-bit numbers.
pub fn norms() -> Graph<'static> {
    let mut b = Builder::new(11);
    let noise = b.noise([6, 8, 12]);
    let mean = b.push(Op::GlobalAvgPool, &[noise], [1, 1, 12]);
    let x = b.norm(Rms, 0, noise);
    let x = b.conv(x, 18, Form::same(1));
    let x = b.norm(Layer, 0, x);
    let x = b.conv(x, 18, Form::same(3).relu());
    let x = b.norm(Group, 3, x);
    let x = b.conv(x, 16, Form::strided(3, 2, 1));
    let (gain, shift) = (b.linear(mean, 16), b.linear(mean, 16));
    let from_vectors = |b: &mut Builder, mode: NormMode, groups: usize, x: ValueId, shifted: bool| {
        let op = Op::Norm { mode, groups, epsilon: 1e-3, gain: None, shift: None };
        let operands = [x, gain, shift];
        b.push(op, &operands[..if shifted { 3 } else { 2 }], [3, 4, 16])
    };
    let x = from_vectors(&mut b, Rms, 0, x, true);
    let y = b.conv(x, 16, Form::same(1));
    let y = from_vectors(&mut b, Layer, 0, y, false);
    let x = b.push(Op::Add(None), &[x, y], [3, 4, 16]);
    let x = from_vectors(&mut b, Group, 16, x, true);
    let x = b.conv(x, 16, Form::same(3).onto(x));
    let x = from_vectors(&mut b, Group, 1, x, false);
    // Its own gain, and a vector as shift.
    let gain = Some(b.table(16, 1.0, 0.5));
    let x = b.push(Op::Norm { mode: Layer, groups: 0, epsilon: 1e-5, gain, shift: None }, &[x], [3, 4, 16]);
    if let Some(node) = b.graph.nodes.last_mut() {
        node.inputs[2] = Some(shift);
    }
    let x = b.conv(x, 5, Form::same(1));
    b.finish(x)
}

/// With and without norms of queries and keys, with and without rotary embedding; heads of 3 to 48 channels.
pub fn attentions() -> Graph<'static> {
    let mut b = Builder::new(12);
    let noise = b.noise([5, 10, 7]);
    let mut x = b.linear(noise, 48);
    let turned = |head: usize| Some(Arc::new(rotary(50, head)));
    let sixteen = turned(16);
    for (heads, normed, rotary) in
        [(3, true, sixteen.clone()), (16, false, None), (6, false, turned(8)), (3, true, sixteen), (1, true, None)]
    {
        let y = b.norm(Rms, 0, x);
        let [query, key, value] = [(); 3].map(|()| b.linear(y, 48));
        let mixed = attend(&mut b, heads, normed, rotary, [query, key, value]);
        x = b.push(Op::Add(None), &[x, mixed], [5, 10, 48]);
    }
    let x = b.linear(x, 3);
    b.finish_with_pixels(x, false)
}

/// More keys than are summed in one block, straight from 8-bit noise; a single key; few keys of an odd length.
pub fn keys() -> Graph<'static> {
    let mut b = Builder::new(13);
    let noise = b.noise([1, 259, 4]);
    let x = attend(&mut b, 1, false, None, [noise; 3]);
    let value = b.linear(x, 4);
    let x = attend(&mut b, 2, true, Some(Arc::new(rotary(259, 2))), [x, noise, value]);
    let mean = b.push(Op::GlobalAvgPool, &[x], [1, 1, 4]);
    let [query, key, value] = [(); 3].map(|()| b.linear(mean, 70));
    let y = attend(&mut b, 1, false, None, [query, key, value]);
    let y = b.linear(y, 4);
    let x = b.push(Op::Add(None), &[x, y], [1, 259, 4]);
    let y = b.push(Op::Slice { from: 99 }, &[x], [1, 5, 4]);
    let [query, key, value] = [(); 3].map(|()| b.linear(y, 23));
    let y = attend(&mut b, 1, true, None, [query, key, value]);
    let y = b.linear(y, 4);
    let x = b.push(Op::Concat(ConcatMode::Positions), &[x, y], [1, 264, 4]);
    b.finish(x)
}

/// Attention of queries, keys and values.
fn attend(b: &mut Builder, heads: usize, normed: bool, rotary: Option<Arc<Rotary>>, operands: [ValueId; 3]) -> ValueId {
    let shape = b.shape(operands[2]);
    let head = shape[2] / heads;
    let gains = normed.then(|| [(); 2].map(|()| b.table(head, 1.2, 0.4)));
    b.push(Op::Attention(Attention { heads, gains, epsilon: 1e-6, rotary }), &operands, shape)
}

/// Angles of positions at wavelengths that double; of the portable `libm`, for the same numbers on every host.
fn rotary(tokens: usize, head: usize) -> Rotary {
    let half = head / 2;
    let angle = |i: usize| (i / half) as f64 / (1u32 << (i % half)) as f64;
    let angles: Vec<f64> = (0..tokens * half).map(angle).collect();
    let table = |f: fn(f64) -> f64| angles.iter().map(|&a| f(a) as f32).collect();
    Rotary { cosines: table(libm::cos), sines: table(libm::sin) }
}
