//! Attention as products of matrices over all heads at once.

use std::sync::Arc;

use super::network::{Name, Network, Parameter};
use crate::graph::{Attention, Rotary};

/// Attention of rows of queries, keys and values; `name` is for its numbers.
pub fn attention(
    network: &mut Network,
    attention: &Attention,
    [tokens, width]: [usize; 2],
    [query, key, value]: [Name; 3],
    name: &str,
) -> Name {
    let (heads, head) = (attention.heads, width / attention.heads);
    let scale = 1.0 / (head as f32).sqrt();
    let split = |network: &mut Network, x: &str| network.reshaped(x, &[tokens, heads, head]);
    let mut query = split(network, &query);
    let mut key = split(network, &key);
    let value = split(network, &value);
    if let Some([query_gain, key_gain]) = &attention.gains {
        // Rotation keeps factors: the scale of the scores may come before.
        let scaled: Vec<f32> = query_gain.iter().map(|g| g * scale).collect();
        query = normalized(network, &query, attention.epsilon, &scaled, &format!("{name}.query_gain"));
        key = normalized(network, &key, attention.epsilon, key_gain, &format!("{name}.key_gain"));
    } else {
        let scale = network.numbers(&format!("{name}.scale"), &[], &[scale]);
        query = network.node("Mul", &[&query, &scale], &[]);
    }
    if let Some(rotary) = &attention.rotary {
        query = rotated(network, &query, rotary, [tokens, head]);
        key = rotated(network, &key, rotary, [tokens, head]);
    }
    let query = network.transposed(&query, &[1, 0, 2]);
    let key = network.transposed(&key, &[1, 2, 0]);
    let value = network.transposed(&value, &[1, 0, 2]);
    let scores = network.node("MatMul", &[&query, &key], &[]);
    let shares = network.node("Softmax", &[&scores], &[("axis", Parameter::Int(-1))]);
    let mixed = network.node("MatMul", &[&shares, &value], &[]);
    let mixed = network.transposed(&mixed, &[1, 0, 2]);
    network.reshaped(&mixed, &[tokens, width])
}

fn normalized(network: &mut Network, x: &str, epsilon: f32, gain: &[f32], name: &str) -> Name {
    let gain = network.numbers(name, &[gain.len()], gain);
    rms_norm(network, x, epsilon, &gain)
}

/// Numbers of the last dimension over the root of their mean square, times a gain `[channels]`.
pub fn rms_norm(network: &mut Network, x: &str, epsilon: f32, gain: &str) -> Name {
    let parameters = [("axis", Parameter::Int(-1)), ("epsilon", Parameter::Float(epsilon))];
    network.node("RMSNormalization", &[x, gain], &parameters)
}

/// `x cos + swapped(x) sin`, where swapping exchanges the halves of a head and the first half of the sines is negative.
fn rotated(network: &mut Network, x: &str, rotary: &Arc<Rotary>, [tokens, head]: [usize; 2]) -> Name {
    let (dims, half) = ([tokens, 1, head], head / 2);
    let source = Arc::as_ptr(rotary).addr();
    let twice = |table: &[f32], sign: f32| -> Vec<f32> {
        table.chunks_exact(half).flat_map(|row| row.iter().map(move |x| sign * x).chain(row.iter().copied())).collect()
    };
    let cosines = network.shared(source, "rotary.cosines", &dims, || twice(&rotary.cosines, 1.0));
    // One address further: the table behind it.
    let sines = network.shared(source + 1, "rotary.sines", &dims, || twice(&rotary.sines, -1.0));
    let [low, high] = network.halves(x);
    let swapped = network.node("Concat", &[&high, &low], &[("axis", Parameter::Int(-1))]);
    let straight = network.node("Mul", &[x, &cosines], &[]);
    let crossed = network.node("Mul", &[&swapped, &sines], &[]);
    network.node("Add", &[&straight, &crossed], &[])
}
