//! An ONNX graph that grows: operators, and the numbers that they read.

use std::collections::BTreeMap;

use super::proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Name of a value in the file.
pub type Name = String;

/// A parameter of an operator.
#[derive(Clone, Copy)]
pub enum Parameter<'p> {
    Float(f32),
    Int(i64),
    Ints(&'p [i64]),
    Text(&'p str),
}

/// The graph of a file.
#[derive(Default)]
pub struct Network {
    graph: GraphProto,
    /// Lists of integers, shapes mostly, which many operators share.
    integers: BTreeMap<Vec<i64>, Name>,
    /// Tables that several operators read, by where they lie.
    tables: BTreeMap<usize, Name>,
}

impl Network {
    /// Appends an operator with one result.
    pub fn node(&mut self, op: &str, inputs: &[&str], parameters: &[(&str, Parameter)]) -> Name {
        let name = format!("{op}_{}", self.graph.node.len());
        self.push(op, inputs, vec![name.clone()], parameters);
        name
    }

    /// Gives a value another name.
    pub fn rename(&mut self, from: &str, to: &str) {
        let names = self.graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
        names.filter(|name| *name == from).for_each(|name| *name = to.into());
    }

    /// Halves of the last dimension.
    pub fn halves(&mut self, x: &str) -> [Name; 2] {
        let index = self.graph.node.len();
        let names = ["low", "high"].map(|half| format!("Split_{index}_{half}"));
        self.push("Split", &[x], names.to_vec(), &[("axis", Parameter::Int(-1)), ("num_outputs", Parameter::Int(2))]);
        names
    }

    fn push(&mut self, op: &str, inputs: &[&str], output: Vec<Name>, parameters: &[(&str, Parameter)]) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output,
            name: Some(format!("{op}_{}", self.graph.node.len())),
            op_type: Some(op.into()),
            attribute: parameters.iter().map(|&(name, parameter)| attribute(name, parameter)).collect(),
        });
    }

    /// Numbers of a name that nothing else has.
    pub fn numbers(&mut self, name: &str, dims: &[usize], data: &[f32]) -> Name {
        self.tensor(name.into(), DataType::Float, dims, bytemuck::cast_slice(data).to_vec())
    }

    /// Numbers that several operators read; `source` says which, and `make` makes them once.
    pub fn shared(&mut self, source: usize, name: &str, dims: &[usize], make: impl FnOnce() -> Vec<f32>) -> Name {
        if let Some(name) = self.tables.get(&source) {
            return name.clone();
        }
        let name = self.numbers(name, dims, &make());
        self.tables.insert(source, name.clone());
        name
    }

    /// A list of integers.
    pub fn integers(&mut self, list: &[usize]) -> Name {
        let list: Vec<i64> = list.iter().map(|&x| x as i64).collect();
        if let Some(name) = self.integers.get(&list) {
            return name.clone();
        }
        let name = format!("integers_{}", self.integers.len());
        let name = self.tensor(name, DataType::Int64, &[list.len()], bytemuck::cast_slice(&list).to_vec());
        self.integers.insert(list, name.clone());
        name
    }

    fn tensor(&mut self, name: Name, data_type: DataType, dims: &[usize], raw_data: Vec<u8>) -> Name {
        self.graph.initializer.push(TensorProto {
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: Some(data_type.into()),
            name: Some(name.clone()),
            raw_data: Some(raw_data),
        });
        name
    }

    /// The same numbers in another shape.
    pub fn reshaped(&mut self, x: &str, shape: &[usize]) -> Name {
        let shape = self.integers(shape);
        self.node("Reshape", &[x, &shape], &[])
    }

    /// The same numbers with their dimensions in another order.
    pub fn transposed(&mut self, x: &str, order: &[i64]) -> Name {
        self.node("Transpose", &[x], &[("perm", Parameter::Ints(order))])
    }

    /// What the caller gives, with a line for people.
    pub fn input(&mut self, name: &str, data_type: DataType, shape: &[usize], what: &str) -> Name {
        self.graph.input.push(value_info(name, data_type, shape, what));
        name.into()
    }

    /// What the caller gets.
    pub fn output(&mut self, name: &str, shape: &[usize], what: &str) {
        self.graph.output.push(value_info(name, DataType::Float, shape, what));
    }

    /// The graph as it goes to the file.
    pub fn finish(self, name: &str) -> GraphProto {
        GraphProto { name: Some(name.into()), ..self.graph }
    }
}

fn attribute(name: &str, parameter: Parameter) -> AttributeProto {
    let named = AttributeProto { name: Some(name.into()), ..AttributeProto::default() };
    let kind = |kind: AttributeType| Some(kind.into());
    match parameter {
        Parameter::Float(f) => AttributeProto { f: Some(f), r#type: kind(AttributeType::Float), ..named },
        Parameter::Int(i) => AttributeProto { i: Some(i), r#type: kind(AttributeType::Int), ..named },
        Parameter::Ints(ints) => AttributeProto { ints: ints.to_vec(), r#type: kind(AttributeType::Ints), ..named },
        Parameter::Text(text) => {
            AttributeProto { s: Some(text.as_bytes().to_vec()), r#type: kind(AttributeType::String), ..named }
        }
    }
}

fn value_info(name: &str, data_type: DataType, shape: &[usize], what: &str) -> ValueInfoProto {
    let dim = shape.iter().map(|&d| DimensionProto { dim_value: Some(d as i64) }).collect();
    let tensor_type = TensorTypeProto { elem_type: Some(data_type.into()), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
        doc_string: Some(what.into()),
    }
}
