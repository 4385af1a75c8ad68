//! `files DIRECTORY` writes the models that `benches/targets/run` measures, each in int8 with 16- and with 8-bit
//! activations, in f32 and in f16: the smallest shipped generator, a transformer of two blocks on 68 positions, and a 3 x 3
//! convolution of 64 channels with thin layers on either side.

use std::io::Cursor;
use std::path::Path;

use driftlet_checkpoint::{Architecture, Checkpoint, Config, Dit};
use driftlet_quantize::graph::{Filter, Graph, Layout, Op, Window};
use driftlet_quantize::{Activations, Description, Options, Precision, quantize, quantize_graph};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let directory = std::env::args_os().nth(1).ok_or("usage: files DIRECTORY")?;
    let nano = Checkpoint::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/fashion-nano"))?;
    let dit = Dit {
        size: 16,
        channels: 3,
        classes: 3,
        patch: 2,
        dim: 64,
        depth: 2,
        heads: 2,
        mlp_ratio: 4.0,
        context: 4,
        styles: 0,
        style_values: 0,
        cond_dim: 64,
    };
    let transformer = Checkpoint::random(Config::new(Architecture::Dit(dit)), 1);
    for (precision, activations, kind) in [
        (Precision::Int8, Activations::Sixteen, "w8a16"),
        (Precision::Int8, Activations::Eight, "w8a8"),
        (Precision::F32, Activations::Sixteen, "f32"),
        (Precision::F16, Activations::Sixteen, "f16"),
    ] {
        let options = |name| Options { activations, ..Options::new(name, precision) };
        let write = |name, bytes| std::fs::write(Path::new(&directory).join(format!("{name}-{kind}.drift")), bytes);
        write("nano", quantize(&nano, &options("nano"))?)?;
        write("dit", quantize(&transformer, &options("dit"))?)?;
        let mut file = Cursor::new(Vec::new());
        quantize_graph(&convolution(), &Description::default(), &options("conv64"), &mut file)?;
        write("conv64", file.into_inner())?;
    }
    Ok(())
}

/// The convolution gets 16-bit inputs in a model with 16-bit activations, since noise alone has 8.
fn convolution() -> Graph<'static> {
    let mut graph = Graph::default();
    let size = |channels| [16, 16, channels];
    let noise = graph.push(Op::Noise, &[], size(4));
    let before = graph.push(conv(1, 4, 64), &[noise], size(64));
    let wide = graph.push(conv(3, 64, 64), &[before], size(64));
    graph.output = graph.push(conv(1, 64, 1), &[wide], size(1));
    graph.pixels = Some(graph.push(Op::Pixels { tanh: false }, &[graph.output], size(1)));
    graph
}

/// A layer with any weights: instructions do not depend on them.
fn conv(kernel: usize, inputs: usize, outputs: usize) -> Op<'static> {
    let terms = kernel * kernel * inputs;
    let weight: Vec<f32> = (0..outputs * terms).map(|i| ((i * 37 % 101) as f32 - 50.0) / (30 * terms) as f32).collect();
    let filter = Filter {
        name: format!("{kernel}x{kernel}-{inputs}-{outputs}"),
        weight: weight.into(),
        layout: Layout::InputsLast,
        bias: vec![0.1; outputs].into(),
        outputs,
        kernel: [kernel; 2],
        inputs,
        relu: kernel > 1,
    };
    Op::Conv2d { filter, window: Window::same(kernel) }
}
