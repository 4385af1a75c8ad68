//! Files with every operator in every arithmetic: the networks of the test of bit-identity, and one that looks at pictures.

use std::io::Cursor;

use driftlet_matrix::Network;
use driftlet_quantize::graph::{Filter, Graph, Layout, Op, Window};
use driftlet_quantize::{
    Activations, Description, Options, Precision, QuantizeError, RamLimit, WeightBits, quantize_graph,
};
use driftlet_runtime::format::{ConcatMode, PoolMode, ResizeMode};

/// A `.drift` file and its name.
pub type File = (String, Vec<u8>);

/// Every network in f32, f16 and in int8 with 16- and 8-bit activations, and with weights of 4 bits.
pub fn files() -> Result<Vec<File>, QuantizeError> {
    let widths = [
        ("f32", Precision::F32, Activations::Sixteen, WeightBits::Eight),
        ("f16", Precision::F16, Activations::Sixteen, WeightBits::Eight),
        ("int8", Precision::Int8, Activations::Sixteen, WeightBits::Eight),
        ("int8-8", Precision::Int8, Activations::Eight, WeightBits::Eight),
        ("int8-w4", Precision::Int8, Activations::Eight, WeightBits::Four),
    ];
    let mut files = Vec::new();
    for network in driftlet_matrix::graphs().into_iter().chain([Network { name: "looks", graph: looks() }]) {
        for (ending, precision, activations, weights) in widths {
            let generates = !network.graph.nodes.iter().any(|node| matches!(node.op, Op::Input));
            if generates || precision != Precision::Int8 {
                let name = format!("{}-{ending}", network.name);
                let options =
                    Options { activations, weights, calibration_samples: Some(4), ..Options::new("", precision) };
                let made = |options: &Options| {
                    let mut file = Cursor::new(Vec::new());
                    quantize_graph(&network.graph, &Description::default(), options, &mut file)?;
                    Ok::<_, QuantizeError>(file.into_inner())
                };
                files.push((name.clone(), made(&options)?));
                // Networks of pictures in bands too.
                let least = made(&Options { ram_limit: RamLimit::Least, ..options })?;
                if files.last().is_some_and(|(_, whole)| *whole != least) {
                    files.push((format!("{name}-bands"), least));
                }
            }
        }
    }
    Ok(files)
}

/// A network that looks at pictures of 5 x 4 pixels.
fn looks() -> Graph<'static> {
    let filter = |kernel: [usize; 2], inputs, outputs| Filter {
        name: String::new(),
        weight: (0..outputs * kernel[0] * kernel[1] * inputs).map(|i| (i * 7 % 11) as f32 / 11.0 - 0.4).collect(),
        layout: Layout::InputsLast,
        bias: vec![0.1; outputs].into(),
        outputs,
        kernel,
        inputs,
        relu: false,
    };
    let mut graph = Graph::default();
    let image = graph.push(Op::Input, &[], [5, 4, 3]);
    let conv = Op::Conv2d { filter: filter([3, 3], 3, 6), window: Window { stride: 2, ..Window::same(3) } };
    let map = graph.push(conv, &[image], [3, 2, 6]);
    // What only float models have: a kernel of one row with padding, pools, any size.
    let row = Op::Conv2d { filter: filter([1, 3], 6, 6), window: Window::same(3) };
    let row = graph.push(row, &[map], [3, 2, 6]);
    let pool = |mode, stride, padding| Op::Pool { mode, side: 2, stride, padding };
    let most = graph.push(pool(PoolMode::Max, 1, 0), &[row], [2, 1, 6]);
    let mean = graph.push(pool(PoolMode::Average, 2, 1), &[row], [2, 2, 6]);
    let most = graph.push(Op::Resize(ResizeMode::Stretch), &[most], [3, 2, 6]);
    let mean = graph.push(Op::Resize(ResizeMode::Stretch), &[mean], [3, 2, 6]);
    let both = graph.push(Op::Concat(ConcatMode::Channels), &[most, mean], [3, 2, 12]);
    let all = graph.push(Op::Concat(ConcatMode::Channels), &[both, row], [3, 2, 18]);
    let features = graph.push(Op::GlobalAvgPool, &[all], [1, 1, 18]);
    graph.features = Some(features);
    graph.output = graph.push(Op::Linear(filter([1, 1], 18, 4)), &[features], [1, 1, 4]);
    graph
}
