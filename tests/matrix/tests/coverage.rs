//! The small networks contain every integer operator in every mode, and shapes on both sides of what wide kernels take at
//! once. Read from the files themselves, so that a network which loses an operator is noticed.

use std::collections::BTreeSet;

use driftlet_matrix::{Failure, File, files, graphs};
use driftlet_quantize::graph::Op;
use driftlet_runtime::Model;
use driftlet_runtime::format::{
    ConcatMode, ConvMode, DType, Function, HEADER_LEN, Header, NONE, NormMode, OpKind, OpRecord, ResizeMode, Section,
    TensorRecord, ValueRecord,
};

/// The tables of a file, decoded.
struct Tables {
    tensors: Vec<TensorRecord>,
    values: Vec<ValueRecord>,
    ops: Vec<OpRecord>,
}

fn records<T, const LEN: usize>(
    file: &[u8],
    section: Section,
    read: impl Fn(&[u8; LEN]) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let bytes = &file[section.offset as usize..][..section.count as usize * LEN];
    Ok(bytes.as_chunks().0.iter().map(read).collect::<Option<_>>().ok_or("a record that cannot be read")?)
}

fn tables(file: &File) -> Result<Tables, Failure> {
    Model::parse(&file.bytes).map_err(|e| format!("{}: {e}", file.name))?;
    let header = Header::from_bytes(file.bytes.first_chunk::<HEADER_LEN>().ok_or("no header")?);
    Ok(Tables {
        tensors: records(&file.bytes, header.tensors, TensorRecord::from_bytes)?,
        values: records(&file.bytes, header.values, ValueRecord::from_bytes)?,
        ops: records(&file.bytes, header.ops, OpRecord::from_bytes)?,
    })
}

/// The small networks.
fn networks() -> Result<Vec<Tables>, Failure> {
    files()?.iter().filter(|file| file.set == "networks").map(tables).collect()
}

impl Tables {
    fn operand(&self, op: &OpRecord, i: usize) -> Option<&ValueRecord> {
        (op.inputs[i] != NONE).then(|| &self.values[op.inputs[i] as usize])
    }

    fn output(&self, op: &OpRecord) -> &ValueRecord {
        &self.values[op.output as usize]
    }

    fn in_place(&self, op: &OpRecord, i: usize) -> bool {
        self.operand(op, i).is_some_and(|value| value.range() == self.output(op).range())
    }
}

fn positions(value: &ValueRecord) -> u32 {
    value.shape[0] * value.shape[1]
}

/// `i8` or `i16`.
fn width(value: &ValueRecord) -> &'static str {
    if value.dtype == DType::I8 { "i8" } else { "i16" }
}

/// What the operators of a file are and do, in words.
fn seen(tables: &Tables) -> Vec<String> {
    let mut words = Vec::new();
    for op in &tables.ops {
        let kind = op.kind.name();
        let mut say = |what: &str| words.push(format!("{kind} {what}"));
        let output = tables.output(op);
        say("at all");
        for (i, name) in ["first", "second", "third"].into_iter().enumerate() {
            if let Some(operand) = tables.operand(op, i) {
                say(&format!("{name} {}", width(operand)));
                if tables.in_place(op, i) {
                    say(&format!("in place of {name}"));
                }
            }
        }
        say(&format!("gives {}", width(output)));
        match op.kind {
            OpKind::Pixels => say(op.function.name()),
            OpKind::Concat => say(&format!("mode {}", op.mode)),
            OpKind::Resize => say(&format!("mode {}, {}", op.mode, width(output))),
            OpKind::Linear | OpKind::Conv2d => layer(tables, op, &mut say),
            OpKind::Norm => {
                let gain = if op.weight != NONE { "own gain" } else { "gain of a vector" };
                let shift = match (op.bias != NONE, op.inputs[2] != NONE) {
                    (true, _) => "own shift",
                    (_, true) => "shift of a vector",
                    _ => "no shift",
                };
                say(gain);
                say(shift);
                say(&format!("mode {}, {gain}", op.mode));
            }
            OpKind::Attention => {
                let norm = if op.weight != NONE { "normed" } else { "plain" };
                let rotary = if op.shared != NONE { "turned" } else { "unturned" };
                say(&format!("{norm} and {rotary}"));
                say(if op.count == 1 { "one head" } else { "several heads" });
                say(match positions(output) {
                    1 => "one key",
                    2..257 => "some keys",
                    _ => "more keys than a block",
                });
            }
            OpKind::Add => {
                say(if op.weight != NONE { "constant" } else { "two values" });
                let constant = || tables.tensors.get(op.weight as usize).map_or(0, |tensor| tensor.dims[2]);
                let second = tables.operand(op, 1).map_or_else(constant, positions);
                let first = tables.operand(op, 0).map_or(0, positions);
                say(match (first < second, second < first) {
                    (true, _) => "first repeated",
                    (_, true) => "second repeated",
                    _ => "nothing repeated",
                });
            }
            _ => {}
        }
    }
    words
}

fn layer(tables: &Tables, op: &OpRecord, say: &mut dyn FnMut(&str)) {
    let (output, input) = (tables.output(op), tables.operand(op, 0));
    let mode = if op.kind == OpKind::Conv2d { op.mode } else { 0 };
    let input = input.map_or("nothing", width);
    say(&format!("mode {mode}, {input} to {}", width(output)));
    say(if op.function == Function::Relu { "relu" } else { "no relu" });
    if let Some(weight) = tables.tensors.get(op.weight as usize).filter(|weight| weight.dtype == DType::U8) {
        say(&format!("mode {mode}, 4 bits, {input}"));
        let room = tables.values.get(op.scratch as usize).map_or(0, ValueRecord::elements);
        let all = 2 * weight.dims.iter().map(|&d| d as usize).product::<usize>();
        say(if room < all { "4 bits, some at a time" } else { "4 bits, all at once" });
        if tables.tensors.get(op.rescale as usize).is_some_and(|scales| scales.dims[2] < weight.dims[0]) {
            say("4 bits, one row of scales");
        }
        if weight.dims[0] % 16 > 0 && room < all {
            say("4 bits, a narrow panel");
        }
    }
    match tables.operand(op, 1) {
        None => say("no residual"),
        Some(residual) if tables.in_place(op, 1) => {
            say(&format!("mode {mode}, residual in place {}", width(residual)));
        }
        Some(residual) => say(&format!("mode {mode}, residual {}", width(residual))),
    }
    if tables.operand(op, 0).is_some_and(|value| value.zero_point != 0 && op.padding > 0) {
        say("padding that is not 0");
    }
    say(&format!("mode {mode}, stride {}", op.stride));
    say(&format!("mode {mode}, {}", if op.padding == 0 { "no padding" } else { "padding" }));
    say(&format!("mode {mode}, upsampling {}", op.upsample));
    if op.count > 0 {
        say("something behind the kernel's reach");
    }
    let channels = output.shape[2];
    if channels == 1 {
        say("one channel");
    }
    if channels >= 64 && positions(output) >= 48 {
        say(&format!("wide {input}"));
    }
    if positions(output) == 1 {
        say("one position");
    }
    for tile in [4, 8, 16] {
        if channels % tile == 0 {
            say(&format!("channels times {tile}"));
        } else if channels > tile {
            say(&format!("channels beyond {tile}"));
        }
    }
}

/// The kind with a code, as records hold it.
fn kind(code: u8) -> Option<OpKind> {
    let mut bytes = OpRecord::new(OpKind::Noise).to_bytes();
    bytes[0] = code;
    OpRecord::from_bytes(&bytes).map(|op| op.kind)
}

/// The function with a code, as records hold it.
fn function(code: u8) -> Option<Function> {
    let mut bytes = OpRecord::new(OpKind::Noise).to_bytes();
    bytes[1] = code;
    OpRecord::from_bytes(&bytes).map(|op| op.function)
}

/// What must be there.
fn wanted() -> Vec<String> {
    let mut wanted = Vec::new();
    let mut want = |kind: OpKind, what: &[&str]| {
        wanted.extend(what.iter().map(|what| format!("{} {what}", kind.name())));
    };
    let codes = || 0..=u8::MAX;
    // Pictures as input and pools are for float models: the parse of an integer model refuses them.
    for kind in codes().filter_map(kind).filter(|kind| !matches!(kind, OpKind::Input | OpKind::Pool)) {
        want(kind, &["at all"]);
    }
    let widths = ["first i8", "first i16", "gives i8", "gives i16"];
    for kind in [
        OpKind::Linear,
        OpKind::Conv2d,
        OpKind::GlobalAvgPool,
        OpKind::Norm,
        OpKind::Lookup,
        OpKind::Mul,
        OpKind::Attention,
        OpKind::Slice,
        OpKind::Resize,
        OpKind::SpaceToDepth,
        OpKind::DepthToSpace,
    ] {
        want(kind, &widths);
    }
    for kind in [OpKind::Mul, OpKind::Gate, OpKind::Add, OpKind::Attention, OpKind::Concat] {
        want(kind, &["first i8", "first i16", "second i8", "second i16"]);
    }
    for kind in [OpKind::Lookup, OpKind::Norm, OpKind::Attention, OpKind::Mul, OpKind::Gate, OpKind::Add] {
        want(kind, &["in place of first"]);
    }
    for kind in [OpKind::Mul, OpKind::Gate, OpKind::Add] {
        want(kind, &["in place of second"]);
    }

    let window = ["stride 1", "stride 2", "padding", "no padding"];
    for mode in codes().filter_map(ConvMode::from_code) {
        let layers: &[OpKind] =
            if mode == ConvMode::Dense { &[OpKind::Linear, OpKind::Conv2d] } else { &[OpKind::Conv2d] };
        let mode = mode as u8;
        for &kind in layers {
            for what in ["i8 to i8", "i8 to i16", "i16 to i8", "i16 to i16"] {
                want(kind, &[&format!("mode {mode}, {what}")]);
            }
            for what in ["i8", "i16", "in place i8", "in place i16"] {
                want(kind, &[&format!("mode {mode}, residual {what}")]);
            }
        }
        window.iter().for_each(|what| want(OpKind::Conv2d, &[&format!("mode {mode}, {what}")]));
    }
    want(OpKind::Conv2d, &["mode 0, upsampling 2", "mode 1, upsampling 2", "mode 2, stride 3"]);
    want(OpKind::Conv2d, &["something behind the kernel's reach", "padding that is not 0", "one channel"]);
    want(OpKind::Linear, &["one position"]);
    for kind in [OpKind::Linear, OpKind::Conv2d] {
        want(kind, &["mode 0, 4 bits, i8", "mode 0, 4 bits, i16", "4 bits, some at a time", "4 bits, all at once"]);
        want(kind, &["4 bits, a narrow panel"]);
    }
    want(OpKind::Linear, &["4 bits, one row of scales"]);
    want(OpKind::Conv2d, &["mode 2, 4 bits, i8", "mode 2, 4 bits, i16"]);
    for kind in [OpKind::Linear, OpKind::Conv2d] {
        want(kind, &["relu", "no relu", "no residual", "wide i8", "wide i16"]);
        for tile in [4, 8, 16] {
            want(kind, &[&format!("channels times {tile}"), &format!("channels beyond {tile}")]);
        }
    }

    for mode in codes().filter_map(NormMode::from_code).map(|mode| mode as u8) {
        want(OpKind::Norm, &[&format!("mode {mode}, own gain"), &format!("mode {mode}, gain of a vector")]);
    }
    want(OpKind::Norm, &["own shift", "shift of a vector", "no shift"]);
    want(OpKind::Attention, &["plain and turned", "plain and unturned", "normed and turned", "normed and unturned"]);
    want(OpKind::Attention, &["one head", "several heads", "one key", "some keys", "more keys than a block"]);
    want(OpKind::Add, &["constant", "two values", "nothing repeated", "first repeated", "second repeated"]);
    for mode in codes().filter_map(ConcatMode::from_code) {
        want(OpKind::Concat, &[&format!("mode {}", mode as u8)]);
    }
    for mode in codes().filter_map(ResizeMode::from_code).filter(|&mode| mode != ResizeMode::Stretch) {
        want(OpKind::Resize, &[&format!("mode {}, i8", mode as u8), &format!("mode {}, i16", mode as u8)]);
    }
    want(OpKind::Pixels, &["identity", "tanh"]);
    wanted
}

#[test]
fn nothing_is_missing() -> Result<(), Failure> {
    let seen: BTreeSet<String> = networks()?.iter().flat_map(seen).collect();
    let missing: Vec<String> = wanted().into_iter().filter(|wanted| !seen.contains(wanted)).collect();
    assert!(missing.is_empty(), "no small network has: {missing:#?}");
    Ok(())
}

/// Integer files hold functions as tables, so their names are looked up in the graphs.
#[test]
fn every_function_occurs() {
    let networks = graphs();
    let ops = || networks.iter().flat_map(|network| network.graph.nodes.iter().map(|node| &node.op));
    for function in (0..=u8::MAX).filter_map(function) {
        assert!(ops().any(|op| matches!(op, Op::Lookup(f) if *f == function)), "lookup: {}", function.name());
        assert!(ops().any(|op| matches!(op, Op::Mul(f) if *f == function)), "product: {}", function.name());
    }
}
