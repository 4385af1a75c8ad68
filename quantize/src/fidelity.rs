//! What every operator of a quantized file loses: its results beside those of the float file, on the same noise.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;
use std::thread;

use aligned_vec::AVec;
use driftlet_runtime::format::{ALIGN, Function, OpKind, ValueRecord};
use driftlet_runtime::{Guidance, Model, Start, Step, View};

use crate::QuantizeError;
use crate::balance::Balance;
use crate::graph::Graph;
use crate::runnable::start;

/// Pictures that are compared.
const PICTURES: u64 = 4;

/// Signal-to-quantization-noise ratio of every operator's result, in decibels, over a few pictures; `None` where nothing
/// was lost, or for pixels. Both files hold the same operators.
pub fn measure(
    reference: &Model,
    candidate: &Model,
    graph: &Graph,
    balance: &Balance,
    first_seed: u64,
) -> Result<Vec<Option<f64>>, QuantizeError> {
    let count = reference.op_count() as usize;
    let mut energies = vec![[0f64; 2]; count];
    let classes = u64::from(reference.classes().max(1));
    let (weakest, strongest) = reference.guidance_range();
    let before_tanh = before_tanh(reference);
    for i in 0..PICTURES {
        let guidance = if i % 2 == 0 { weakest } else { strongest };
        let class = (i % classes) as u32;
        let run = |model: &Model, observe: &mut dyn FnMut(Step) -> ControlFlow<()>| {
            make(model, first_seed.wrapping_add(i), class, guidance, observe)
        };
        // One result at a time: all of them together may not fit in memory.
        let (send, receive) = sync_channel::<Vec<f32>>(1);
        let run = &run;
        thread::scope(|scope| -> Result<(), QuantizeError> {
            let other = scope.spawn(move || {
                run(reference, &mut |step| match send.send(numbers(step.output, None)) {
                    Ok(()) => ControlFlow::Continue(()),
                    // The other side has stopped.
                    Err(_) => ControlFlow::Break(()),
                })
            });
            let result = run(candidate, &mut |step| {
                let Ok(exact) = receive.recv() else { return ControlFlow::Break(()) };
                let output = candidate.op_info(step.index).output;
                let [signal, noise] = &mut energies[step.index as usize];
                let balanced = balance.divide(graph.nodes[step.index as usize].output, &exact);
                for (&x, y) in balanced.iter().zip(numbers(step.output, Some(&output))) {
                    let (x, y) = if before_tanh == Some(step.index) { (x.tanh(), y.tanh()) } else { (x, y) };
                    *signal += f64::from(x).powi(2);
                    *noise += f64::from(x - y).powi(2);
                }
                ControlFlow::Continue(())
            });
            // So that the other side stops too, should this one have failed.
            drop(receive);
            let other = other.join().map_err(|_| QuantizeError::Defect("the float file cannot be run".into()))?;
            result.and(other)
        })?;
    }
    let decibels = |[signal, noise]: [f64; 2]| {
        let ratio = 10.0 * (signal / noise).log10();
        (noise > 0.0 && ratio.is_finite()).then_some(ratio)
    };
    Ok(energies.into_iter().map(decibels).collect())
}

/// The operator whose result becomes a picture by `tanh`: what lies far out is cut off in integers, and cannot be seen.
fn before_tanh(model: &Model) -> Option<u32> {
    let pixels = (0..model.op_count()).map(|i| model.op_info(i)).find(|op| op.kind == OpKind::Pixels)?;
    (pixels.function == Function::Tanh).then_some(pixels.inputs[0]?.first)
}

fn make(
    model: &Model,
    seed: u64,
    class: u32,
    guidance: Guidance,
    observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> Result<(), QuantizeError> {
    let mut arena = AVec::<u8>::new(ALIGN as usize);
    arena.resize(model.arena_len(), 0);
    let mut sampler = start(model, &mut arena)?;
    let class = model.class(class).ok_or_else(|| QuantizeError::Defect("a class is missing".into()))?;
    // A sampler that is broken off has nothing to say that the other side has not said.
    let _ = sampler.generate_observed(Start::Seed(seed), class, guidance, observe);
    Ok(())
}

/// What stored numbers stand for.
pub fn numbers(view: View, format: Option<&ValueRecord>) -> Vec<f32> {
    let (scale, zero) = format.map_or((1.0, 0.0), |v| (v.scale(), f32::from(v.zero_point)));
    match view {
        View::F32(numbers) => numbers.to_vec(),
        View::I8(numbers) => numbers.iter().map(|&q| (f32::from(q) - zero) * scale).collect(),
        View::I16(numbers) => numbers.iter().map(|&q| f32::from(q) * scale).collect(),
        // Pixels are the same in every precision: comparing them would tell the rounding of pixels.
        View::U8(_) => Vec::new(),
    }
}
