//! The plans of all presets, from their shapes alone. Printed (`cargo test -p driftlet-quantize presets -- --nocapture`),
//! they are the table of `docs/memory.md`.

use driftlet_checkpoint::{Architecture, Checkpoint, Config, Tensor};
use driftlet_runtime::format::Precision;

use super::{lives, plan};
use crate::calibrate::Range;
use crate::float::scratch_len;
use crate::graph::{Graph, Op};
use crate::integers::formats::{eight_bits_do, formats};
use crate::program::{Program, Tensors};
use crate::{Activations, QuantizeError, float, lower};

/// A checkpoint that takes no memory as long as its zeros are only read.
fn zeros(architecture: Architecture) -> Checkpoint {
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let mut data = vec![0.0; shape.iter().product()];
        if name.ends_with("norm.weight") {
            // Other gains are folded into copies of weights.
            data.fill(1.0);
        }
        (name, Tensor { shape, data })
    };
    let tensors = architecture.parameters().into_iter().map(tensor).collect();
    Checkpoint { config: Config::new(architecture), tensors }
}

/// Values and operators of an integer file, without its weights.
fn integers<'g>(graph: &'g Graph<'g>, activations: Activations) -> Program<'g> {
    let ranges = vec![Range { low: -1.0, high: 1.0, peak: 1.0 }; graph.values.len()];
    let eight = |node| activations == Activations::Eight && eight_bits_do(graph, node);
    let narrow: Vec<bool> = graph.nodes.iter().map(eight).collect();
    let mut program = Program::new(graph, Precision::Int8, formats(graph, &ranges, &narrow));
    for node in &graph.nodes {
        program.push(node, Tensors::default(), scratch_len(graph, node, Precision::Int8));
    }
    program
}

/// Plans a program, prints a row, and returns the bytes of the arena.
fn check(name: &str, numbers: &str, program: &Program) -> usize {
    let lives = lives(program, None);
    let plan = plan(&lives.values, &lives.permitted);
    let apart = super::plan(&lives.values, &[]);
    let (ratio, op) = (plan.arena as f64 / plan.bound as f64, program.ops[plan.bound_op].kind.name());
    println!("| {name} | {numbers} | {} | {} | {ratio:.3} | {op} | {} |", plan.arena, plan.bound, apart.arena);
    assert!(ratio < 1.1, "{name} {numbers}: {} bytes, but {} may do", plan.arena, plan.bound);
    plan.arena
}

/// Plans a network in every precision; returns the arenas of f32 and of int8 with 16-bit activations.
fn check_all(name: &str, graph: &Graph) -> Result<[usize; 2], QuantizeError> {
    let float = check(name, "f32, f16", &float::program(graph, Precision::F32, None)?);
    if graph.nodes.iter().any(|node| matches!(node.op, Op::Input)) {
        return Ok([float; 2]);
    }
    let sixteen = check(name, "int8", &integers(graph, Activations::Sixteen));
    check(name, "int8, `--activations 8`", &integers(graph, Activations::Eight));
    Ok([float, sixteen])
}

#[test]
fn presets_need_hardly_more_than_the_bound() -> Result<(), QuantizeError> {
    println!("| preset | numbers | arena | bound | ratio | attained at | arena without take-overs |");
    println!("| --- | --- | ---: | ---: | ---: | --- | ---: |");
    let mut planned = 0;
    for name in Architecture::presets() {
        let Some(architecture) = Architecture::preset(name) else { continue };
        let checkpoint = zeros(architecture);
        let view = checkpoint.view();
        let graph = match lower::lower(&view) {
            Err(QuantizeError::Unsupported(_)) => continue,
            graph => graph?,
        };
        planned += 1;
        check_all(name, &graph)?;
    }
    assert!(planned >= 10, "only {planned} presets can be planned");
    Ok(())
}

#[test]
fn presets_with_a_decoder_hold_no_map_to_spare() -> Result<(), QuantizeError> {
    let checkpoint = |name| Architecture::preset(name).map(zeros).ok_or(QuantizeError::Unsupported(name));
    let decoder = checkpoint("sd-vae-decoder")?;
    for name in ["b2-latent", "l2-latent"] {
        let generator = checkpoint(name)?;
        let (generator, decoder) = (generator.view(), decoder.view());
        let graph = lower::lower_with_decoder(&generator, &decoder)?;
        let [float, integer] = check_all(&format!("{name} + sd-vae-decoder"), &graph)?;
        // Where the first block of full resolution halves its 256 channels: its normalized input, its shortcut, and the
        // first convolution's result. The normalized map lies in its input's place, and so does the activated one.
        let numbers = 256 * 256 * (256 + 128 + 128);
        assert_eq!((float, integer), (4 * numbers, 2 * numbers));
    }
    Ok(())
}
