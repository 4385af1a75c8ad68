//! Time of single operators: `cargo bench --bench kernels`. Networks of little more than that operator are checked first.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftlet_quantize::graph::{Attention, Filter, Graph, Layout, Op, Window};
use driftlet_quantize::{Activations, Description, Options, Precision, quantize_graph};

use driftlet_runtime::Sampler;
use driftlet_runtime::format::{Function, NormMode};
use support::{Subject, pass};

/// A filter of numbers that look random.
fn filter([inputs, outputs]: [usize; 2], kernel: usize) -> Filter<'static> {
    let number = |i: usize| (i * 7919 % 2003) as f32 / 1001.5 - 1.0;
    let terms = inputs * kernel * kernel;
    let scale = 1.7 / (terms as f32).sqrt();
    Filter {
        name: "layer".into(),
        weight: (0..outputs * terms).map(|i| scale * number(i)).collect(),
        layout: Layout::InputsLast,
        bias: (0..outputs).map(|i| 0.1 * number(i + 3)).collect(),
        outputs,
        kernel: [kernel; 2],
        inputs,
        relu: false,
    }
}

fn conv([height, width]: [usize; 2], channels: [usize; 2], upsample: u8) -> Graph<'static> {
    let mut graph = Graph::default();
    let noise = graph.push(Op::Noise, &[], [height, width, channels[0]]);
    let scale = usize::from(upsample);
    let window = Window { upsample, ..Window::same(3) };
    let op = Op::Conv2d { filter: filter(channels, 3), window };
    graph.output = graph.push(op, &[noise], [height * scale, width * scale, channels[1]]);
    graph
}

fn linear(tokens: usize, channels: [usize; 2]) -> Graph<'static> {
    let mut graph = Graph::default();
    let noise = graph.push(Op::Noise, &[], [1, tokens, channels[0]]);
    graph.output = graph.push(Op::Linear(filter(channels, 1)), &[noise], [1, tokens, channels[1]]);
    graph
}

fn attention(tokens: usize, heads: usize, head: usize) -> Graph<'static> {
    let mut graph = Graph::default();
    let width = heads * head;
    let shape = [1, tokens, width];
    let noise = graph.push(Op::Noise, &[], shape);
    let parts = [0; 3].map(|_| graph.push(Op::Linear(filter([width; 2], 1)), &[noise], shape));
    let gain = vec![1.0; head];
    let gains = Some([gain.clone().into(), gain.into()]);
    graph.output = graph.push(Op::Attention(Attention { heads, gains, epsilon: 1e-6, rotary: None }), &parts, shape);
    graph
}

/// An operator on each number of a layer's result.
fn behind(op: Op<'static>, tokens: usize, width: usize) -> Graph<'static> {
    let mut graph = linear(tokens, [width, width]);
    graph.output = graph.push(op, &[graph.output], [1, tokens, width]);
    graph
}

/// Time that one operator takes in so many passes.
fn time_of(sampler: &mut Sampler, operator: u32, passes: u64) -> Duration {
    let mut total = Duration::ZERO;
    for seed in 0..passes {
        let mut before = Instant::now();
        pass(sampler, seed, &mut |index, _| {
            let now = Instant::now();
            if index == operator {
                total += now - before;
            }
            before = now;
        });
    }
    total
}

fn kernels(criterion: &mut Criterion) {
    let gains = || Some(vec![1.0; 768].into());
    let norm = Op::Norm { mode: NormMode::Rms, groups: 0, epsilon: 1e-6, gain: gains(), shift: None };
    for (name, graph) in [
        ("conv 7x7, 48 to 48", conv([7, 7], [48, 48], 1)),
        ("conv 14x14, 48 to 32", conv([14, 14], [48, 32], 1)),
        ("conv 28x28 of 14x14, 32 to 16", conv([14, 14], [32, 16], 2)),
        ("conv 28x28, 16 to 1", conv([28, 28], [16, 1], 1)),
        ("linear, 768 to 768", linear(1, [768, 768])),
        ("linear, 272 of 768 to 2048", linear(272, [768, 2048])),
        ("attention, 272 tokens, 12 heads of 64", attention(272, 12, 64)),
        ("rms norm, 272 of 768", behind(norm, 272, 768)),
        ("silu, 272 of 768", behind(Op::Lookup(Function::Silu), 272, 768)),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
        for (name, precision, activations) in [
            ("f32", Precision::F32, Activations::Sixteen),
            ("int8", Precision::Int8, Activations::Sixteen),
            ("int8, 8-bit activations", Precision::Int8, Activations::Eight),
        ] {
            let options = Options { activations, calibration_samples: Some(1), ..Options::new("bench", precision) };
            let mut file = std::io::Cursor::new(Vec::new());
            quantize_graph(&graph, &Description::default(), &options, &mut file).expect("a model");
            Subject::new(&file.into_inner()).checked(|model, sampler| {
                // The last operator is the one to time.
                let index = model.op_count() - 1;
                let op = model.op_info(index);
                let work = if op.macs > 0 { op.macs } else { op.output.elements() as u64 };
                group.throughput(Throughput::Elements(work));
                group.bench_function(name, |bencher| bencher.iter_custom(|passes| time_of(sampler, index, passes)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
