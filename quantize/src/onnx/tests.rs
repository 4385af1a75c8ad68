//! The structure of exported files: everything that is read is there, and every shape fits. `benches/peers/check` holds
//! their numbers against ours by ONNX Runtime.

use std::collections::{BTreeMap, BTreeSet};

use driftlet_checkpoint::{Architecture, Checkpoint, Config, Dit, EdgeConv, Stage};
use prost::Message;

use super::export_onnx;
use super::proto::{DataType, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

type Failure = Box<dyn std::error::Error>;
type Shape = Vec<usize>;

/// The shapes of all values by operators' definitions.
struct Shapes<'g> {
    known: BTreeMap<&'g str, Shape>,
    constants: BTreeMap<&'g str, &'g TensorProto>,
}

fn dims(dims: &[i64]) -> Shape {
    dims.iter().map(|&d| d as usize).collect()
}

fn declared(info: &ValueInfoProto) -> (&str, Shape) {
    let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).expect("a tensor");
    let shape = tensor.shape.as_ref().expect("a shape");
    (info.name(), shape.dim.iter().map(|d| d.dim_value() as usize).collect())
}

/// The shape that two are broadcast to.
fn broadcast(a: &[usize], b: &[usize]) -> Shape {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| if i + shape.len() < rank { 1 } else { shape[i + shape.len() - rank] };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y || y == 1 => x,
            (1, y) => y,
            (x, y) => panic!("{x} and {y} do not fit: {a:?}, {b:?}"),
        })
        .collect()
}

impl<'g> Shapes<'g> {
    fn of(graph: &'g GraphProto) -> Self {
        let mut shapes = Self { known: BTreeMap::new(), constants: BTreeMap::new() };
        for info in &graph.input {
            let (name, shape) = declared(info);
            shapes.define(name, shape);
        }
        for tensor in &graph.initializer {
            let size = if tensor.data_type() == DataType::Int64 { 8 } else { 4 };
            let shape = dims(&tensor.dims);
            assert_eq!(tensor.raw_data().len(), size * shape.iter().product::<usize>(), "{}", tensor.name());
            shapes.define(tensor.name(), shape);
            shapes.constants.insert(tensor.name(), tensor);
        }
        for node in &graph.node {
            let shape = shapes.result(node);
            for name in &node.output {
                shapes.define(name, shape.clone());
            }
        }
        for info in &graph.output {
            let (name, shape) = declared(info);
            assert_eq!(shapes.known[name], shape, "{name}");
        }
        shapes
    }

    fn define(&mut self, name: &'g str, shape: Shape) {
        assert!(self.known.insert(name, shape).is_none(), "{name} is there twice");
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        let tensor = self.constants[name];
        assert_eq!(tensor.data_type(), DataType::Int64, "{name}");
        tensor.raw_data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()
    }

    /// Shape of each result of an operator; every operand must be known by then.
    fn result(&self, node: &NodeProto) -> Shape {
        let name = node.name();
        let shape = |i: usize| -> &Shape {
            let operand = &node.input[i];
            self.known.get(operand.as_str()).unwrap_or_else(|| panic!("{name} reads {operand}, which is not there yet"))
        };
        let attribute = |key: &str| node.attribute.iter().find(|a| a.name() == key);
        let ints = |key: &str| attribute(key).unwrap_or_else(|| panic!("{name} has no {key}")).ints.clone();
        let axis = |rank: usize| match attribute("axis").map_or(0, |a| a.i()) {
            axis if axis < 0 => (axis + rank as i64) as usize,
            axis => axis as usize,
        };
        match node.op_type() {
            "Relu" | "Tanh" | "Sigmoid" | "Abs" | "Softmax" => shape(0).clone(),
            "Clip" => {
                assert!(shape(1).is_empty() && shape(2).is_empty(), "{name}");
                shape(0).clone()
            }
            "Add" | "Sub" | "Mul" => broadcast(shape(0), shape(1)),
            "RMSNormalization" => {
                assert_eq!(shape(1)[..], shape(0)[shape(0).len() - 1..], "{name}");
                shape(0).clone()
            }
            "InstanceNormalization" => {
                assert_eq!((shape(1), shape(2)), (&vec![shape(0)[1]], &vec![shape(0)[1]]), "{name}");
                shape(0).clone()
            }
            "Gather" => [&shape(1)[..], &shape(0)[1..]].concat(),
            "ReduceSum" => {
                let axes = self.integers(&node.input[1]);
                (0..).zip(shape(0)).filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect()
            }
            "Gemm" => {
                let (a, b) = (shape(0), shape(1));
                let transposed = attribute("transB").is_some_and(|a| a.i() == 1);
                let [terms, outputs] = if transposed { [b[1], b[0]] } else { [b[0], b[1]] };
                assert_eq!((a.len(), b.len(), a[1]), (2, 2, terms), "{name}");
                let result = vec![a[0], outputs];
                assert_eq!(broadcast(&result, shape(2)), result, "{name}");
                result
            }
            "MatMul" => {
                let (a, b) = (shape(0), shape(1));
                assert_eq!((a.len(), b.len(), a[0], a[2]), (3, 3, b[0], b[1]), "{name}");
                vec![a[0], a[1], b[2]]
            }
            "Reshape" => {
                let result = dims(&self.integers(&node.input[1]));
                assert_eq!(result.iter().product::<usize>(), shape(0).iter().product::<usize>(), "{name}");
                result
            }
            "Transpose" => {
                let order = dims(&ints("perm"));
                assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), shape(0).len(), "{name}");
                order.iter().map(|&i| shape(0)[i]).collect()
            }
            "Split" => {
                let mut half = shape(0).clone();
                let axis = axis(half.len());
                assert_eq!((half[axis] % 2, node.output.len()), (0, 2), "{name}");
                half[axis] /= 2;
                half
            }
            "Concat" => {
                let mut whole = shape(0).clone();
                let axis = axis(whole.len());
                whole[axis] = (0..node.input.len()).map(|i| shape(i)[axis]).sum();
                for i in 0..node.input.len() {
                    assert!((0..whole.len()).all(|d| d == axis || shape(i)[d] == whole[d]), "{name}");
                }
                whole
            }
            "Slice" => {
                let [from, to, axis] = [1, 2, 3].map(|i| self.integers(&node.input[i])[0] as usize);
                let mut part = shape(0).clone();
                assert!(from < to && to <= part[axis], "{name}");
                part[axis] = to - from;
                part
            }
            "Conv" => {
                let (x, w) = (shape(0), shape(1));
                let (kernel, strides, pads) =
                    (dims(&ints("kernel_shape")), dims(&ints("strides")), dims(&ints("pads")));
                assert_eq!((w[1], &w[2..], &shape(2)[..]), (x[1], &kernel[..], &w[..1]), "{name}");
                let out = |i: usize| (x[2 + i] + pads[i] + pads[2 + i] - kernel[i]) / strides[i] + 1;
                vec![1, w[0], out(0), out(1)]
            }
            "Resize" => {
                assert_eq!(self.constants[node.input[2].as_str()].dims, [4], "{name}");
                let x = shape(0);
                vec![x[0], x[1], 2 * x[2], 2 * x[3]]
            }
            "GlobalAveragePool" => vec![shape(0)[0], shape(0)[1], 1, 1],
            other => panic!("no exported file has {other}"),
        }
    }
}

/// Exports, reads the bytes back and proves shapes. Returns inputs and outputs.
fn check(architecture: Architecture) -> Result<[BTreeMap<String, Shape>; 2], Failure> {
    let checkpoint = Checkpoint::random(Config::new(architecture), 7);
    let bytes = export_onnx(&checkpoint.view(), "test")?;
    let model = ModelProto::decode(&bytes[..])?;
    let graph = model.graph.as_ref().ok_or("no graph")?;
    let shapes = Shapes::of(graph);
    let read: BTreeSet<&str> = graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
    let unread = shapes.constants.keys().filter(|name| !read.contains(*name)).collect::<Vec<_>>();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
    let named = |list: &[ValueInfoProto]| {
        list.iter().map(declared).map(|(name, shape)| (name.to_owned(), shape)).collect::<BTreeMap<_, _>>()
    };
    Ok([named(&graph.input), named(&graph.output)])
}

fn expected<const N: usize>(list: [(&str, &[usize]); N]) -> BTreeMap<String, Shape> {
    list.map(|(name, shape)| (name.to_owned(), shape.to_vec())).into()
}

#[test]
fn convolutional_generators() -> Result<(), Failure> {
    let colour = EdgeConv {
        height: 16,
        width: 24,
        channels: 3,
        classes: 4,
        noise_dim: 10,
        hidden: 9,
        base_channels: 5,
        stages: vec![Stage { channels: 7, residual: 2 }, Stage { channels: 6, residual: 0 }],
        guidance_knots: vec![1.0, 1.25, 1.5],
    };
    let [inputs, outputs] = check(Architecture::EdgeConv(colour))?;
    assert_eq!(inputs, expected([("noise", &[1, 10]), ("class_labels", &[1]), ("cfg_scale", &[1, 1])]));
    assert_eq!(outputs, expected([("output", &[1, 16, 24, 3])]));
    let [_, outputs] = check(Architecture::preset("nano").ok_or("no preset")?)?;
    assert_eq!(outputs, expected([("output", &[1, 28, 28, 1])]));
    Ok(())
}

#[test]
fn transformers() -> Result<(), Failure> {
    let [inputs, outputs] = check(Architecture::preset("dit-28").ok_or("no preset")?)?;
    let common: [(&str, &[usize]); 3] = [("class_labels", &[1]), ("style_indices", &[1, 8]), ("cfg_scale", &[1, 1])];
    assert_eq!(
        inputs,
        common.into_iter().chain([("noise", &[1, 28, 28, 1][..])]).map(|(n, s)| (n.into(), s.into())).collect()
    );
    assert_eq!(outputs, expected([("output", &[1, 28, 28, 1])]));
    let Some(Architecture::Dit(net)) = Architecture::preset("dit-32") else { return Err("no preset".into()) };
    // A latent, and no styles.
    let latent = Dit { size: 8, channels: 4, patch: 2, depth: 1, styles: 0, ..net };
    let [inputs, outputs] = check(Architecture::Dit(latent))?;
    assert_eq!(inputs, expected([("noise", &[1, 8, 8, 4]), ("class_labels", &[1]), ("cfg_scale", &[1, 1])]));
    assert_eq!(outputs, expected([("output", &[1, 8, 8, 4])]));
    Ok(())
}

#[test]
fn decoders_and_classifiers() -> Result<(), Failure> {
    let [inputs, outputs] = check(Architecture::preset("vae-decoder-toy").ok_or("no preset")?)?;
    let (latent, picture) = (&inputs["noise"], &outputs["output"]);
    assert_eq!((latent[3], picture[3], picture[1] % latent[1]), (4, 3, 0));
    let [inputs, outputs] = check(Architecture::preset("fashion-classifier").ok_or("no preset")?)?;
    assert_eq!(inputs, expected([("input", &[1, 28, 28, 1])]));
    assert_eq!(outputs, expected([("output", &[1, 10]), ("features", &[1, 64])]));
    Ok(())
}

#[test]
fn encoders_are_refused() -> Result<(), Failure> {
    let checkpoint = Checkpoint::random(Config::new(Architecture::preset("mae-28").ok_or("no preset")?), 7);
    assert!(export_onnx(&checkpoint.view(), "test").is_err_and(|e| e.to_string().contains("encoder")));
    Ok(())
}
