//! Random networks of odd shapes in bands and with whole maps: the same pictures from less memory, in every arithmetic, by
//! every kernel; and their plans are near the least.

use std::io::Cursor;

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::graph::{Filter, Graph, Layout, Op, ValueId, Window};
use driftlet_quantize::{
    Activations, Description, Options, Precision, QuantizeError, RamLimit, quantize, quantize_graph,
};
use driftlet_runtime::format::{ConcatMode, ConvMode, Function, NormMode, ResizeMode};
use driftlet_runtime::{Guidance, Kernels, LineSampler, Model, Sampler, Start, StartError, View};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count as u64) as usize
    }

    fn numbers(&mut self, count: usize, reach: f32) -> Vec<f32> {
        (0..count).map(|_| reach * (self.below(2001) as f32 / 1000.0 - 1.0)).collect()
    }
}

struct Builder {
    random: Random,
    graph: Graph<'static>,
}

impl Builder {
    fn shape(&self, x: ValueId) -> [usize; 3] {
        self.graph.values[x]
    }

    fn filter(&mut self, outputs: usize, kernel: usize, inputs: usize) -> Filter<'static> {
        let terms = kernel * kernel * inputs;
        Filter {
            name: String::new(),
            weight: self.random.numbers(outputs * terms, (3.0 / terms as f32).sqrt()).into(),
            layout: Layout::InputsLast,
            bias: self.random.numbers(outputs, 0.2).into(),
            outputs,
            kernel: [kernel, kernel],
            inputs,
            relu: self.random.below(2) == 0,
        }
    }

    /// A convolution of any form that leaves at least one position and at most 32 rows.
    fn conv(&mut self, x: ValueId, outputs: usize) -> ValueId {
        let [height, width, inputs] = self.shape(x);
        loop {
            let (kernel, stride) = (1 + self.random.below(4), 1 + self.random.below(3));
            let mode =
                [ConvMode::Dense, ConvMode::Dense, ConvMode::Depthwise, ConvMode::Transposed][self.random.below(4)];
            let transposed = mode == ConvMode::Transposed;
            let upsample = if transposed { 1 } else { 1 + self.random.below(2) };
            let (padding, behind) = (self.random.below(kernel), if transposed { self.random.below(stride) } else { 0 });
            let length = |len: usize| {
                if transposed {
                    ((len - 1) * stride + kernel + behind).checked_sub(2 * padding)
                } else {
                    (len * upsample + 2 * padding).checked_sub(kernel).map(|steps| steps / stride + 1)
                }
            };
            let (Some(out_height @ 1..=32), Some(out_width @ 1..=32)) = (length(height), length(width)) else {
                continue;
            };
            let depthwise = mode == ConvMode::Depthwise;
            let (outs, ins) = if depthwise { (inputs, 1) } else { (outputs, inputs) };
            let window = Window {
                mode,
                stride: stride as u8,
                upsample: upsample as u8,
                padding: padding as u8,
                behind: behind as u8,
            };
            let filter = self.filter(outs, kernel, ins);
            return self.graph.push(Op::Conv2d { filter, window }, &[x], [out_height, out_width, outs]);
        }
    }

    /// A convolution of 3 x 3 onto a value of its size.
    fn residual(&mut self, x: ValueId) -> ValueId {
        let shape = self.shape(x);
        let filter = self.filter(shape[2], 3, shape[2]);
        self.graph.push(Op::Conv2d { filter, window: Window::same(3) }, &[x, x], shape)
    }

    fn linear(&mut self, x: ValueId, outputs: usize, onto: Option<ValueId>) -> ValueId {
        let [height, width, inputs] = self.shape(x);
        let filter = self.filter(outputs, 1, inputs);
        let operands: Vec<ValueId> = [x].into_iter().chain(onto).collect();
        self.graph.push(Op::Linear(filter), &operands, [height, width, outputs])
    }

    /// Any operator that can run in bands, behind `x`. `vector` has as many channels as `x`.
    fn any(&mut self, x: ValueId, vector: ValueId) -> ValueId {
        let shape @ [height, width, channels] = self.shape(x);
        let outputs = 1 + self.random.below(20);
        match self.random.below(14) {
            0 | 1 => self.conv(x, outputs),
            2 => self.residual(x),
            3 => {
                let y = self.linear(x, outputs, None);
                self.linear(y, channels, Some(x))
            }
            4 => self.graph.push(Op::Lookup(Function::Silu), &[x], shape),
            5 => {
                let mode = [NormMode::Rms, NormMode::Layer][self.random.below(2)];
                let gain = Some(self.random.numbers(channels, 2.0).into());
                self.graph.push(Op::Norm { mode, groups: 0, epsilon: 1e-5, gain, shift: None }, &[x], shape)
            }
            6 => {
                let positions = [1, height * width][self.random.below(2)];
                let constant = self.random.numbers(positions * channels, 1.0);
                self.graph.push(Op::Add(Some(constant.into())), &[x], shape)
            }
            7 => {
                let y = self.residual(x);
                self.graph.push(Op::Add(None), &[x, y], shape)
            }
            8 => {
                let y = self.graph.push(Op::Add(None), &[x, vector], shape);
                self.graph.push(Op::Mul(Function::Sigmoid), &[y, x], shape)
            }
            9 => {
                let y = self.residual(x);
                self.graph.push(Op::Gate, &[y, x, vector], shape)
            }
            10 => {
                let y = self.linear(x, outputs, None);
                let y = self.graph.push(Op::Concat(ConcatMode::Channels), &[y, x], [height, width, channels + outputs]);
                self.linear(y, channels, None)
            }
            11 if height.max(width) <= 16 => {
                let y = self.graph.push(Op::Resize(ResizeMode::Nearest), &[x], [2 * height, 2 * width, channels]);
                self.linear(y, channels, None)
            }
            12 if height.max(width) <= 16 => {
                let y = self.linear(x, 4 * channels, None);
                self.graph.push(Op::DepthToSpace { patch: 2 }, &[y], [2 * height, 2 * width, channels])
            }
            13 if height % 2 == 0 && width % 2 == 0 => {
                let patches = [height / 2, width / 2, 4 * channels];
                let y = self.graph.push(Op::SpaceToDepth { patch: 2 }, &[x], patches);
                self.linear(y, channels, None)
            }
            _ => self.graph.push(Op::Lookup(Function::Gelu), &[x], shape),
        }
    }
}

/// A network of some operators, of which most can run in bands.
fn network(seed: u64) -> Graph<'static> {
    let mut b = Builder { random: Random(seed), graph: Graph::default() };
    let shape = [2 + b.random.below(9), 1 + b.random.below(9), 1 + b.random.below(9)];
    let noise = b.graph.push(Op::Noise, &[], shape);
    let mut x = b.linear(noise, 1 + b.random.0 as usize % 20, None);
    let mut vectors = vec![noise];
    for _ in 0..2 + b.random.below(7) {
        let channels = b.shape(x)[2];
        // From the noise, so that it is whole before the section begins.
        let mean = b.graph.push(Op::GlobalAvgPool, &[noise], [1, 1, shape[2]]);
        let filter = Filter { relu: false, ..b.filter(channels, 1, shape[2]) };
        let vector = b.graph.push(Op::Linear(filter), &[mean], [1, 1, channels]);
        vectors.extend([mean, vector]);
        x = b.any(x, vector);
    }
    let channels = 1 + b.random.below(3);
    let x = b.linear(x, channels, None);
    let shape = b.shape(x);
    b.graph.output = x;
    b.graph.pixels = Some(b.graph.push(Op::Pixels { tanh: true }, &[x], shape));
    // All vectors first, an order of execution too: then a section can hold everything behind them.
    b.graph.nodes.sort_by_key(|node| !vectors.contains(&node.output));
    renumbered(b.graph)
}

/// Numbers values in the order of their operators.
fn renumbered(mut graph: Graph<'static>) -> Graph<'static> {
    let mut numbers = vec![0; graph.values.len()];
    graph.nodes.iter().enumerate().for_each(|(number, node)| numbers[node.output] = number);
    let shapes: Vec<_> = graph.nodes.iter().map(|node| graph.values[node.output]).collect();
    graph.values = shapes;
    for node in &mut graph.nodes {
        node.output = numbers[node.output];
        node.inputs.iter_mut().flatten().for_each(|input| *input = numbers[*input]);
    }
    graph.output = numbers[graph.output];
    graph.pixels = graph.pixels.map(|pixels| numbers[pixels]);
    graph
}

fn file(graph: &Graph, options: &Options) -> Result<AVec<u8>, QuantizeError> {
    let mut file = Cursor::new(Vec::new());
    quantize_graph(graph, &Description::default(), options, &mut file)?;
    Ok(AVec::from_slice(64, &file.into_inner()))
}

/// Pictures of some seeds; checks that lines come from the top, each once.
fn pictures(file: &[u8], kernels: Kernels) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let model = Model::parse(file)?;
    let class = model.class(0).ok_or("no class")?;
    let mut arena = AVec::<u8>::new(64);
    // What lay there before must not matter.
    arena.resize(model.arena_len(), 0xa5);
    let mut sampler = LineSampler::new(&model, &mut arena)?;
    sampler.set_kernels(kernels);
    let picture = |seed| {
        let mut picture = Vec::new();
        let mut next = 0;
        sampler.generate_lines(Start::Seed(seed), class, Guidance::from_q8(256), &mut |row, pixels| {
            assert_eq!(row, next);
            next += 1;
            picture.extend(pixels);
        });
        assert_eq!(picture.len(), model.image_len());
        picture
    };
    Ok((0..2).map(picture).collect())
}

/// The first of these pictures, made in pieces of so many multiply-accumulates; and how many pieces there were.
fn in_pieces(file: &[u8], kernels: Kernels, limit: u32) -> Result<(Vec<u8>, usize), Box<dyn std::error::Error>> {
    let model = Model::parse(file)?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0x5a);
    let mut sampler = LineSampler::new(&model, &mut arena)?;
    sampler.set_kernels(kernels);
    let mut pieces = sampler.start(Start::Seed(0), model.class(0).ok_or("no class")?, Guidance::from_q8(256), limit);
    let (mut picture, mut count) = (Vec::new(), 0);
    while let Some(step) = pieces.step() {
        count += 1;
        // Only pixels have this type.
        if let View::U8(rows) = step.output {
            assert_eq!(
                picture.len(),
                step.row as usize * model.image_len() / model.image_shape().ok_or("no picture")?[0]
            );
            picture.extend(rows);
        }
    }
    Ok((picture, count))
}

/// The arena is within a tenth of the least that any plan needs.
fn near_bound(model: &Model, name: &str) -> Outcome {
    let metadata: serde_json::Value = serde_json::from_slice(model.metadata())?;
    let bound = metadata["arena_bound"].as_u64().ok_or("no bound")?;
    assert!(model.arena_len() as u64 * 10 <= bound * 11, "{name}: {} of {bound}", model.arena_len());
    Ok(())
}

/// Compares a network with itself at several limits; returns how many files made bands.
fn compare(graph: &Graph, options: &Options, name: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let whole = file(graph, options)?;
    let arena = Model::parse(&whole)?.arena_len();
    let least = file(graph, &Options { ram_limit: RamLimit::Least, ..options.clone() })?;
    let least_arena = Model::parse(&least)?.arena_len();
    assert!(least_arena <= arena, "{name}");
    let between = RamLimit::Bytes((arena + least_arena) / 2);
    let between = file(graph, &Options { ram_limit: between, ..options.clone() })?;
    assert!(Model::parse(&between)?.arena_len() <= (arena + least_arena) / 2);
    if least_arena > 1 {
        let refused = file(graph, &Options { ram_limit: RamLimit::Bytes(least_arena - 1), ..options.clone() });
        assert!(matches!(refused, Err(QuantizeError::RamLimit { least, .. }) if least == least_arena), "{name}");
    }
    for file in [&whole, &least, &between] {
        near_bound(&Model::parse(file)?, name)?;
    }
    let banded = [least, between];
    for kernels in Kernels::available() {
        let expected = pictures(&whole, kernels)?;
        for file in [&whole, &banded[0], &banded[1]] {
            let mut most = usize::MAX;
            for limit in [1, 1000, 30_000, u32::MAX] {
                let (picture, count) = in_pieces(file, kernels, limit)?;
                assert!(picture == expected[0], "{name} {kernels:?} in pieces of {limit}");
                assert!(count <= most, "{name}: {count} pieces of {limit}, fewer of smaller ones");
                most = count;
            }
        }
        for (i, file) in banded.iter().enumerate() {
            let made = pictures(file, kernels).map_err(|e| format!("{name}: {e}"))?;
            assert_eq!(made, expected, "{name} {i} {kernels:?} {:?}", Model::parse(file)?.bands());
        }
    }
    Ok(banded.iter().filter_map(|file| Model::parse(file).ok()?.bands()).count())
}

#[test]
fn bands_make_the_same_pictures() -> Outcome {
    let mut banded = 0;
    for seed in 0..60 {
        let graph = network(seed);
        let (precision, activations) = [
            (Precision::Int8, Activations::Sixteen),
            (Precision::Int8, Activations::Eight),
            (Precision::F32, Activations::Sixteen),
            (Precision::F16, Activations::Sixteen),
        ][seed as usize % 4];
        let options = Options { activations, calibration_samples: Some(2), ..Options::new("", precision) };
        banded += compare(&graph, &options, &format!("seed {seed} {precision:?}"))?;
    }
    println!("{banded} files with bands");
    assert!(banded > 60, "{banded}");
    Ok(())
}

/// Prints the rows of the table in `docs/memory.md`.
#[test]
fn presets_fit_less_memory() -> Outcome {
    for preset in ["nano", "micro", "small"] {
        let checkpoint = Checkpoint::random(Config::new(Architecture::preset(preset).ok_or(preset)?), 1);
        for activations in [Activations::Sixteen, Activations::Eight] {
            let options = Options { activations, calibration_samples: Some(2), ..Options::new("", Precision::Int8) };
            let whole = AVec::<u8>::from_slice(64, &quantize(&checkpoint, &options)?);
            let least = Options { ram_limit: RamLimit::Least, ..options };
            let least = AVec::<u8>::from_slice(64, &quantize(&checkpoint, &least)?);
            let (whole_model, least_model) = (Model::parse(&whole)?, Model::parse(&least)?);
            let (arena, least_arena) = (whole_model.arena_len(), least_model.arena_len());
            let bands = least_model.bands().ok_or("no bands")?;
            println!(
                "| {preset} | {activations:?} | {arena} | {least_arena} | {:.2} | {} to {}, {} rows |",
                least_arena as f64 / arena as f64,
                bands.first,
                least_model.op_count() - 1,
                bands.height
            );
            assert!(least_arena * 2 < arena + arena / 2, "{preset}: {least_arena} of {arena}");
            assert_eq!(pictures(&whole, Kernels::best())?, pictures(&least, Kernels::best())?);
            let mut memory = vec![0; least_arena + 15];
            assert_eq!(Sampler::new(&least_model, &mut memory).err(), Some(StartError::MakesLines));
        }
    }
    Ok(())
}
