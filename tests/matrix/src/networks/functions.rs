//! Functions of one number, from 8-bit noise and from 16-bit activations.

use driftlet_quantize::graph::{Graph, Op, ValueId};
use driftlet_runtime::format::{ConcatMode, Function};

use super::builder::Builder;

/// Every function, in the order of their codes.
const FUNCTIONS: [Function; 7] = [
    Function::Identity,
    Function::Relu,
    Function::Tanh,
    Function::Silu,
    Function::Gelu,
    Function::GeluTanh,
    Function::Sigmoid,
];

/// Each as a table, for a part of the noise and for the layer behind.
pub fn lookups() -> Graph<'static> {
    each(5, |b, function, part| {
        let x = b.lookup(function, part);
        let x = b.linear(x, 7);
        let x = b.lookup(function, x);
        let x = b.linear(x, 6);
        b.lookup(function, x)
    })
}

/// Each in a gated product, for a part of the noise and for the layer behind.
pub fn products() -> Graph<'static> {
    each(6, |b, function, part| {
        let other = b.linear(part, 6);
        let shape = b.shape(part);
        let x = b.push(Op::Mul(function), &[part, other], shape);
        let (gate, up) = (b.linear(x, 6), b.linear(x, 6));
        let x = b.push(Op::Mul(function), &[gate, up], shape);
        b.push(Op::Mul(function), &[x, part], shape)
    })
}

/// What is made of a part of the noise for each function, one after the other.
fn each(seed: u64, make: impl Fn(&mut Builder, Function, ValueId) -> ValueId) -> Graph<'static> {
    let mut b = Builder::new(seed);
    let (part, channels) = ([2, 3], 6);
    let positions = part[0] * part[1];
    let noise = b.noise([1, FUNCTIONS.len() * positions, channels]);
    let mut all: Option<ValueId> = None;
    for (index, function) in FUNCTIONS.into_iter().enumerate() {
        let slice = Op::Slice { from: index * positions };
        let x = b.push(slice, &[noise], [part[0], part[1], channels]);
        let made = make(&mut b, function, x);
        all = Some(match all {
            None => made,
            Some(all) => {
                b.push(Op::Concat(ConcatMode::Positions), &[all, made], [1, (index + 1) * positions, channels])
            }
        });
    }
    let output = all.unwrap_or(noise);
    b.finish(output)
}
