//! Memory plans of real networks: near the least that is needed, and without influence on a single number.

use std::io::Cursor;

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::graph::{Attention, Filter, Graph, Layout, Op, Rotary, ValueId, Window};
use driftlet_quantize::{Activations, Description, Options, Precision, quantize, quantize_graph};
use driftlet_runtime::format::{
    ConcatMode, ConvMode, DType, Function, HEADER_LEN, Header, NormMode, ValueRecord, crc32,
};
use driftlet_runtime::{Guidance, Model, Sampler};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn aligned(bytes: &[u8]) -> AVec<u8> {
    AVec::from_slice(64, bytes)
}

/// The same file with a place of its own for every value.
fn spread(file: &[u8]) -> Result<AVec<u8>, Box<dyn std::error::Error>> {
    let mut file = aligned(file);
    let mut header = Header::from_bytes(file.first_chunk().ok_or("no header")?);
    header.arena_len = 0;
    for index in 0..header.values.count as usize {
        let at = header.values.offset as usize + index * ValueRecord::LEN;
        let mut value = file[at..].first_chunk().and_then(ValueRecord::from_bytes).ok_or("no value")?;
        value.offset = header.arena_len;
        header.arena_len = value.range().end.next_multiple_of(64) as u32;
        file[at..at + ValueRecord::LEN].copy_from_slice(&value.to_bytes());
    }
    file[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    header.tables_crc = crc32(0, &file[24..header.weights.offset as usize]);
    file[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    Ok(file)
}

/// Pixels, and the bits of the raw result.
type Picture = (Vec<u8>, Vec<u32>);

/// Pictures of a few seeds, from an arena full of rubbish.
fn results(model: &Model, rubbish: u8) -> Result<Vec<Picture>, Box<dyn std::error::Error>> {
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), rubbish);
    let mut sampler = Sampler::new(model, &mut arena)?;
    let result = |seed: u64| {
        let class = model.class(seed as u32 % model.classes().max(1)).ok_or("no class")?;
        let pixels = sampler.generate(seed, class, Guidance::from_q8(256 + 64 * seed as u16)).to_vec();
        Ok((pixels, sampler.unrounded().map(f32::to_bits).collect()))
    };
    (0..3).map(result).collect()
}

/// The plan changes no number, and is within 10 % of what any plan needs.
fn check(name: &str, file: &[u8]) -> Outcome {
    let (file, apart) = (aligned(file), spread(file)?);
    let (planned, apart) = (Model::parse(&file)?, Model::parse(&apart)?);
    assert_eq!(results(&planned, 0xA5)?, results(&apart, 0x3C)?, "{name}");
    let metadata: serde_json::Value = serde_json::from_slice(planned.metadata())?;
    let bound = metadata["arena_bound"].as_u64().ok_or("no bound")?;
    let ratio = planned.arena_len() as f64 / bound as f64;
    assert!((1.0..1.1).contains(&ratio), "{name}: {} bytes, {ratio} times the bound", planned.arena_len());
    assert!(metadata["arena_bound_op"].as_u64() < Some(planned.op_count().into()), "{name}");
    Ok(())
}

#[test]
fn presets_are_planned_near_the_bound() -> Outcome {
    for name in ["micro", "nano", "small", "dit-28"] {
        let checkpoint = Checkpoint::random(Config::new(Architecture::preset(name).ok_or(name)?), 3);
        for precision in [Precision::F32, Precision::F16, Precision::Int8] {
            for activations in [Activations::Eight, Activations::Sixteen] {
                if precision == Precision::Int8 || activations == Activations::Sixteen {
                    let options =
                        Options { activations, calibration_samples: Some(4), ..Options::new(name, precision) };
                    check(&format!("{name} {precision:?} {activations:?}"), &quantize(&checkpoint, &options)?)?;
                }
            }
        }
    }
    Ok(())
}

/// Weights that look random.
fn numbers(seed: usize, count: usize, reach: f32) -> Vec<f32> {
    (0..count).map(|i| reach * (((i * 7919 + seed * 104_729 + 13) % 1009) as f32 / 504.0 - 1.0)).collect()
}

fn filter(name: &str, kernel: usize, inputs: usize, outputs: usize) -> Filter<'static> {
    let terms = kernel * kernel * inputs;
    let reach = 1.5 / (terms as f32).sqrt();
    Filter {
        name: name.into(),
        weight: numbers(name.len(), outputs * terms, reach).into(),
        layout: Layout::InputsLast,
        bias: numbers(outputs, outputs, 0.1).into(),
        outputs,
        kernel: [kernel; 2],
        inputs,
        relu: false,
    }
}

const SIDE: usize = 4;
const WIDTH: usize = 8;
const MAP: [usize; 3] = [SIDE, SIDE, WIDTH];

/// Every operator that may work in place, at each operand that it may take over: `x` dies there, `kept` does not.
/// Returns the operators that work in place.
fn in_place_everywhere(graph: &mut Graph<'static>) -> Vec<usize> {
    let noise = graph.push(Op::Noise, &[], MAP);
    let linear = |graph: &mut Graph<'static>, name: &str, of: ValueId| {
        graph.push(Op::Linear(filter(name, 1, WIDTH, WIDTH)), &[of], [graph.values[of][0], graph.values[of][1], WIDTH])
    };
    let kept = linear(graph, "kept", noise);
    let vector = graph.push(Op::GlobalAvgPool, &[kept], [1, 1, WIDTH]);
    let gain = linear(graph, "gain", vector);
    let [keys, values] = ["keys", "values"].map(|name| linear(graph, name, kept));
    let mut x = linear(graph, "x", kept);
    let mut expected = Vec::new();
    let mut push = |graph: &mut Graph<'static>, op: Op<'static>, inputs: &dyn Fn(ValueId) -> Vec<ValueId>| {
        expected.push(graph.nodes.len());
        x = graph.push(op, &inputs(x), MAP);
    };
    let norm = |mode, groups, own: bool| {
        let gain = own.then(|| numbers(1, WIDTH, 1.5).into());
        let shift = own.then(|| numbers(2, WIDTH, 0.5).into());
        Op::Norm { mode, groups, epsilon: 1e-5, gain, shift }
    };
    let window = |mode, kernel| Window { mode, ..Window::same(kernel) };

    push(graph, norm(NormMode::Layer, 0, true), &|x| vec![x]);
    push(graph, Op::Lookup(Function::Silu), &|x| vec![x]);
    push(graph, Op::Mul(Function::Silu), &|x| vec![x, kept]);
    push(graph, norm(NormMode::Rms, 0, true), &|x| vec![x]);
    push(graph, Op::Mul(Function::Sigmoid), &|x| vec![kept, x]);
    push(graph, norm(NormMode::Group, 2, true), &|x| vec![x]);
    push(graph, Op::Gate, &|x| vec![x, kept, gain]);
    push(graph, Op::Gate, &|x| vec![kept, x, gain]);
    push(graph, norm(NormMode::Rms, 0, false), &|x| vec![x, gain, vector]);
    let (gains, angles) = ([1, 2].map(|seed| numbers(seed, WIDTH / 2, 1.0).into()), SIDE * SIDE * WIDTH / 4);
    let rotary = Rotary { cosines: numbers(3, angles, 1.0), sines: numbers(4, angles, 1.0) };
    let attention = Attention { heads: 2, gains: Some(gains), epsilon: 1e-5, rotary: Some(rotary.into()) };
    push(graph, Op::Attention(attention), &|x| vec![x, keys, values]);
    push(graph, Op::Attention(Attention { heads: 1, gains: None, epsilon: 1e-5, rotary: None }), &|x| {
        vec![x, keys, values]
    });
    push(graph, Op::Add(None), &|x| vec![x, kept]);
    push(graph, Op::Add(None), &|x| vec![kept, x]);
    push(graph, Op::Add(None), &|x| vec![x, vector]);
    push(graph, Op::Add(Some(numbers(5, SIDE * SIDE * WIDTH, 1.0).into())), &|x| vec![x]);
    push(graph, Op::Linear(filter("linear", 1, WIDTH, WIDTH)), &|x| vec![kept, x]);
    for (name, mode) in [("dense", ConvMode::Dense), ("transposed", ConvMode::Transposed)] {
        let filter = || filter(name, 3, WIDTH, WIDTH);
        push(graph, Op::Conv2d { filter: filter(), window: window(mode, 3) }, &|x| vec![kept, x]);
        let relu = Op::Conv2d { filter: Filter { relu: true, ..filter() }, window: window(mode, 3) };
        push(graph, relu, &|x| vec![kept, x]);
    }
    let depthwise = Op::Conv2d { filter: filter("depthwise", 5, 1, WIDTH), window: window(ConvMode::Depthwise, 5) };
    push(graph, depthwise, &|x| vec![kept, x]);

    // What has to outlive all that.
    let mut end = x;
    for value in [kept, keys, values] {
        let width = graph.values[end][2] + WIDTH;
        end = graph.push(Op::Concat(ConcatMode::Channels), &[end, value], [SIDE, SIDE, width]);
    }
    for (name, value) in [("first", vector), ("second", gain)] {
        let width = graph.values[end][2];
        let vector = graph.push(Op::Linear(filter(name, 1, WIDTH, width)), &[value], [1, 1, width]);
        expected.push(graph.nodes.len());
        end = graph.push(Op::Add(None), &[end, vector], graph.values[end]);
    }
    let out = filter("out", 1, graph.values[end][2], 3);
    graph.output = graph.push(Op::Linear(out), &[end], [SIDE, SIDE, 3]);
    graph.pixels = Some(graph.push(Op::Pixels { tanh: true }, &[graph.output], [SIDE, SIDE, 3]));
    expected
}

#[test]
fn every_operator_works_in_place() -> Outcome {
    let mut graph = Graph::default();
    let expected = in_place_everywhere(&mut graph);
    let widths = [
        (Precision::F32, Activations::Sixteen),
        (Precision::F16, Activations::Sixteen),
        (Precision::Int8, Activations::Sixteen),
        (Precision::Int8, Activations::Eight),
    ];
    for (precision, activations) in widths {
        let options = Options { activations, calibration_samples: Some(8), ..Options::new("in place", precision) };
        let mut file = Cursor::new(Vec::new());
        quantize_graph(&graph, &Description::default(), &options, &mut file)?;
        let file = aligned(file.get_ref());
        check(&format!("{precision:?} {activations:?}"), &file)?;
        let model = Model::parse(&file)?;
        let in_place = |i: &usize| model.op_info(*i as u32).in_place;
        let in_place: Vec<usize> = (0..model.op_count() as usize).filter(in_place).collect();
        if activations == Activations::Sixteen {
            assert_eq!(in_place, expected, "{precision:?}");
        } else {
            // A value of 8 bits cannot take the place of one of 16.
            let narrow = |&&i: &&usize| model.op_info(i as u32).output.dtype == DType::I8;
            assert!(in_place.iter().filter(narrow).count() >= 4, "{in_place:?}");
        }
    }
    Ok(())
}
