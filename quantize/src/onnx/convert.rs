//! One operator of a graph as operators of ONNX.

use driftlet_runtime::format::{ConcatMode, ConvMode, Function, NormMode, PoolMode, ResizeMode};

use super::attention::{attention, rms_norm};
use super::network::{Name, Network, Parameter};
use super::proto::DataType;
use super::values::{Order, Values};
use crate::QuantizeError;
use crate::graph::{Filter, Graph, Layout, Node, Op, ValueId, Window};

/// Appends a node.
pub fn convert(graph: &Graph, node: &Node, network: &mut Network, values: &mut Values) -> Result<(), QuantizeError> {
    Converter { graph, network, values, node }.convert()
}

struct Converter<'c, 'g> {
    graph: &'c Graph<'g>,
    network: &'c mut Network,
    values: &'c mut Values,
    node: &'c Node<'g>,
}

impl<'g> Converter<'_, 'g> {
    fn convert(&mut self) -> Result<(), QuantizeError> {
        let shape @ [height, width, channels] = self.graph.values[self.node.output];
        let positions = height * width;
        match &self.node.op {
            Op::Noise => self.source("noise", "Standard normal numbers, or a latent"),
            Op::Input => self.source("input", "Pixels p as p / 127.5 - 1"),
            Op::ClassEmbedding(table) => {
                let class = self.network.input("class_labels", DataType::Int64, &[1], "The class");
                let table = self.numbers("class", &[table.len() / channels, channels], table);
                let row = self.network.node("Gather", &[&table, &class], &[("axis", Parameter::Int(0))]);
                self.set(Order::Rows, row);
            }
            Op::StyleEmbedding { tables, rows } => self.styles(&tables.concat(), tables.len(), *rows),
            Op::GuidanceEmbedding(table) => self.guidance(table),
            Op::Linear(filter) => self.linear(filter, positions),
            Op::Conv2d { filter, window } => self.conv(filter, window)?,
            Op::GlobalAvgPool => {
                let map = self.operand(0, Order::Map);
                let mean = self.network.node("GlobalAveragePool", &[&map], &[]);
                let row = self.network.reshaped(&mean, &[1, channels]);
                self.set(Order::Rows, row);
            }
            Op::Norm { mode: NormMode::Rms, epsilon, gain, shift, .. } => {
                let x = self.operand(0, Order::Rows);
                let gain = match gain {
                    Some(gain) => self.numbers("gain", &[channels], gain),
                    None => {
                        let row = self.operand(1, Order::Rows);
                        self.network.reshaped(&row, &[channels])
                    }
                };
                let y = rms_norm(self.network, &x, *epsilon, &gain);
                let shift = match shift {
                    Some(shift) => Some(self.numbers("shift", &[channels], shift)),
                    None => self.node.inputs[2].map(|shift| self.values.get(self.network, shift, Order::Rows)),
                };
                let y = self.plus(y, shift);
                self.set(Order::Rows, y);
            }
            Op::Norm { mode: NormMode::Group, groups, epsilon, gain: Some(gain), shift: Some(shift) } => {
                self.group_norm(*groups, *epsilon, gain, shift);
            }
            Op::Norm { .. } => return Err(QuantizeError::NotInOnnx("a normalization of this kind")),
            Op::Lookup(function) => {
                let order = self.order(0);
                let x = self.operand(0, order);
                let y = self.function(*function, x);
                self.set(order, y);
            }
            Op::Mul(function) => {
                let order = self.order(0);
                let (a, b) = (self.operand(0, order), self.operand(1, order));
                let a = self.function(*function, a);
                let y = self.network.node("Mul", &[&a, &b], &[]);
                self.set(order, y);
            }
            Op::Gate => {
                let [x, residual, factor] = [0, 1, 2].map(|i| self.operand(i, Order::Rows));
                let gated = self.network.node("Mul", &[&x, &factor], &[]);
                let y = self.network.node("Add", &[&residual, &gated], &[]);
                self.set(Order::Rows, y);
            }
            Op::Add(constant) => {
                let x = self.operand(0, Order::Rows);
                let summand = match constant {
                    Some(data) => self.numbers("position", &[data.len() / channels, channels], data),
                    None => self.operand(1, Order::Rows),
                };
                let y = self.network.node("Add", &[&x, &summand], &[]);
                self.set(Order::Rows, y);
            }
            Op::Attention(parameters) => {
                let operands = [0, 1, 2].map(|i| self.operand(i, Order::Rows));
                let name = self.name("attention");
                let y = attention(self.network, parameters, [positions, channels], operands, &name);
                self.set(Order::Rows, y);
            }
            Op::Concat(mode) => {
                let parts = [0, 1].map(|i| self.operand(i, Order::Rows));
                let axis = if *mode == ConcatMode::Positions { 0 } else { 1 };
                let y = self.network.node("Concat", &[&parts[0], &parts[1]], &[("axis", Parameter::Int(axis))]);
                self.set(Order::Rows, y);
            }
            Op::Slice { from } => {
                let x = self.operand(0, Order::Rows);
                let [from, to, axis] = [*from, from + positions, 0].map(|i| self.network.integers(&[i]));
                let y = self.network.node("Slice", &[&x, &from, &to, &axis], &[]);
                self.set(Order::Rows, y);
            }
            Op::Resize(ResizeMode::Nearest) => {
                let map = self.operand(0, Order::Map);
                let y = self.doubled(&map);
                self.set(Order::Map, y);
            }
            Op::Resize(_) => return Err(QuantizeError::NotInOnnx("bilinear resizing")),
            Op::Pool { mode, side, stride, padding } => {
                let map = self.operand(0, Order::Map);
                let kind = if *mode == PoolMode::Max { "MaxPool" } else { "AveragePool" };
                // Positions outside the map do not count by default.
                let parameters = [
                    ("kernel_shape", Parameter::Ints(&[*side as i64; 2])),
                    ("strides", Parameter::Ints(&[i64::from(*stride); 2])),
                    ("pads", Parameter::Ints(&[i64::from(*padding); 4])),
                ];
                let y = self.network.node(kind, &[&map], &parameters);
                self.set(Order::Map, y);
            }
            Op::SpaceToDepth { patch } => {
                let y = self.patches(*patch);
                self.set(Order::Rows, y);
            }
            Op::DepthToSpace { patch } => {
                let x = self.operand(0, Order::Rows);
                let [lines, columns] = [height / patch, width / patch];
                let x = self.network.reshaped(&x, &[lines, columns, *patch, patch * channels]);
                let x = self.network.transposed(&x, &[0, 2, 1, 3]);
                let y = self.network.reshaped(&x, &[1, shape[0], shape[1], shape[2]]);
                self.set(Order::Picture, y);
            }
            // The file gives pictures before they are rounded.
            Op::Pixels { .. } => {}
        }
        Ok(())
    }

    /// An operand in an order.
    fn operand(&mut self, index: usize, order: Order) -> Name {
        self.values.get(self.network, self.operand_id(index), order)
    }

    fn operand_id(&self, index: usize) -> ValueId {
        // The lowering gives every operator the operands that it reads.
        self.node.inputs[index].unwrap_or_default()
    }

    /// The order in which an operand was made.
    fn order(&self, index: usize) -> Order {
        self.values.first_order(self.operand_id(index))
    }

    fn set(&mut self, order: Order, name: Name) {
        self.values.set(self.node.output, order, name);
    }

    /// A name for numbers of this operator.
    fn name(&self, part: &str) -> String {
        match self.node.op.name() {
            "" => format!("values.{}.{part}", self.node.output),
            layer => format!("{layer}.{part}"),
        }
    }

    fn numbers(&mut self, part: &str, dims: &[usize], data: &[f32]) -> Name {
        let name = self.name(part);
        self.network.numbers(&name, dims, data)
    }

    /// Something that the caller gives: a vector, or a picture.
    fn source(&mut self, name: &str, what: &str) {
        let [height, width, channels] = self.graph.values[self.node.output];
        let (order, shape) = match height * width {
            1 => (Order::Rows, vec![1, channels]),
            _ => (Order::Picture, vec![1, height, width, channels]),
        };
        let name = self.network.input(name, DataType::Float, &shape, what);
        self.set(order, name);
    }

    /// The operand plus a row of each table.
    fn styles(&mut self, tables: &[f32], count: usize, rows: usize) {
        let channels = self.graph.values[self.node.output][2];
        let x = self.operand(0, Order::Rows);
        let indices = self.network.input("style_indices", DataType::Int64, &[1, count], "A row of each style table");
        // Rows are counted over all tables.
        let starts: Vec<usize> = (0..count).map(|table| table * rows).collect();
        let starts = self.network.integers(&starts);
        let indices = self.network.node("Add", &[&indices, &starts], &[]);
        let table = self.numbers("styles", &[count * rows, channels], tables);
        let chosen = self.network.node("Gather", &[&table, &indices], &[("axis", Parameter::Int(0))]);
        let axis = self.network.integers(&[1]);
        let sum = self.network.node("ReduceSum", &[&chosen, &axis], &[("keepdims", Parameter::Int(0))]);
        let y = self.network.node("Add", &[&x, &sum], &[]);
        self.set(Order::Rows, y);
    }

    /// The operand plus a row between two knots. The share of a knot is `relu(step - |strength - knot|) / step`.
    fn guidance(&mut self, table: &[f32]) {
        let channels = self.graph.values[self.node.output][2];
        let x = self.operand(0, Order::Rows);
        let strength = self.network.input("cfg_scale", DataType::Float, &[1, 1], "Strength of guidance");
        let (weakest, strongest) = self.graph.guidance;
        let [weakest, strongest] = [weakest, strongest].map(|q8| f32::from(q8) / 256.0);
        let count = table.len() / channels;
        let step = (strongest - weakest) / (count - 1) as f32;
        let knots: Vec<f32> = (0..count).map(|i| weakest + i as f32 * step).collect();
        let rows: Vec<f32> = table.iter().map(|x| x / step).collect();
        let [low, high, step] =
            [("weakest", weakest), ("strongest", strongest), ("step", step)].map(|(p, x)| self.numbers(p, &[], &[x]));
        let strength = self.network.node("Clip", &[&strength, &low, &high], &[]);
        let knots = self.numbers("knots", &[1, count], &knots);
        let distance = self.network.node("Sub", &[&strength, &knots], &[]);
        let distance = self.network.node("Abs", &[&distance], &[]);
        let share = self.network.node("Sub", &[&step, &distance], &[]);
        let share = self.network.node("Relu", &[&share], &[]);
        let table = self.numbers("guidance", &[count, channels], &rows);
        let y = self.network.node("Gemm", &[&share, &table, &x], &[]);
        self.set(Order::Rows, y);
    }

    fn linear(&mut self, filter: &Filter, positions: usize) {
        let x = self.operand(0, Order::Rows);
        let [height, width, channels] = self.graph.values[self.node.output];
        let residual = self.node.inputs[1];
        let spreads = filter.outputs != channels;
        if spreads && residual.is_none() {
            // A vector becomes a map: its weights are brought into the order of maps.
            let order = |x: &[f32], len: usize| -> Vec<f32> {
                let rows = (0..channels).flat_map(|c| (0..positions).map(move |p| p * channels + c));
                rows.flat_map(|row| x[row * len..][..len].iter().copied()).collect()
            };
            let y = self.gemm(&x, filter, &order(&filter.weight, filter.inputs), &order(&filter.bias, 1));
            let y = self.rectified(filter.relu, y);
            let map = self.network.reshaped(&y, &[1, channels, height, width]);
            return self.set(Order::Map, map);
        }
        let y = self.gemm(&x, filter, &filter.weight, &filter.bias);
        let y = if spreads { self.network.reshaped(&y, &[positions, channels]) } else { y };
        let residual = residual.map(|value| self.values.get(self.network, value, Order::Rows));
        let y = self.plus(y, residual);
        let y = self.rectified(filter.relu, y);
        self.set(Order::Rows, y);
    }

    /// Product of rows with weights `[outputs, terms]`, plus bias.
    fn gemm(&mut self, x: &str, filter: &Filter, weight: &[f32], bias: &[f32]) -> Name {
        let weight = self.numbers("weight", &[filter.outputs, filter.terms()], weight);
        let bias = self.numbers("bias", &[filter.outputs], bias);
        self.network.node("Gemm", &[x, &weight, &bias], &[("transB", Parameter::Int(1))])
    }

    fn conv(&mut self, filter: &Filter, window: &Window) -> Result<(), QuantizeError> {
        if window.mode != ConvMode::Dense {
            return Err(QuantizeError::NotInOnnx("a depthwise or transposed convolution"));
        }
        let residual = self.node.inputs[1];
        let squares = [usize::from(window.stride); 2] == filter.kernel && (window.padding, window.upsample) == (0, 1);
        if squares && filter.kernel != [1, 1] && residual.is_none() {
            // Squares that do not overlap are rows of a matrix.
            let x = self.patches(filter.kernel[0]);
            let y = self.gemm(&x, filter, &filter.inputs_last(), &filter.bias);
            let y = self.rectified(filter.relu, y);
            self.set(Order::Rows, y);
            return Ok(());
        }
        let mut x = self.operand(0, Order::Map);
        if window.upsample == 2 {
            x = self.doubled(&x);
        }
        let dims = [filter.outputs, filter.inputs, filter.kernel[0], filter.kernel[1]];
        let weight = self.numbers("weight", &dims, &taps_last(filter));
        let bias = self.numbers("bias", &[filter.outputs], &filter.bias);
        let stride = i64::from(window.stride);
        let [above, left] = filter.kernel.map(|taps| if taps == 1 { 0 } else { i64::from(window.padding) });
        let parameters = [
            ("kernel_shape", Parameter::Ints(&filter.kernel.map(|taps| taps as i64))),
            ("strides", Parameter::Ints(&[stride; 2])),
            ("pads", Parameter::Ints(&[above, left, above, left])),
        ];
        let y = self.network.node("Conv", &[&x, &weight, &bias], &parameters);
        let residual = residual.map(|value| self.values.get(self.network, value, Order::Map));
        let y = self.plus(y, residual);
        let y = self.rectified(filter.relu, y);
        self.set(Order::Map, y);
        Ok(())
    }

    /// Rows of the numbers of squares: row, column, channel.
    fn patches(&mut self, patch: usize) -> Name {
        let picture = self.operand(0, Order::Picture);
        let [height, width, channels] = self.graph.values[self.operand_id(0)];
        let [lines, columns] = [height / patch, width / patch];
        let x = self.network.reshaped(&picture, &[lines, patch, columns, patch * channels]);
        let x = self.network.transposed(&x, &[0, 2, 1, 3]);
        self.network.reshaped(&x, &[lines * columns, patch * patch * channels])
    }

    /// A map of twice the size, every position four times.
    fn doubled(&mut self, map: &str) -> Name {
        let scales = self.numbers("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
        let parameters = [
            ("mode", Parameter::Text("nearest")),
            ("coordinate_transformation_mode", Parameter::Text("asymmetric")),
            ("nearest_mode", Parameter::Text("floor")),
        ];
        self.network.node("Resize", &[map, "", &scales], &parameters)
    }

    fn group_norm(&mut self, groups: usize, epsilon: f32, gain: &[f32], shift: &[f32]) {
        let [height, width, channels] = self.graph.values[self.node.output];
        let map = self.operand(0, Order::Map);
        let grouped = self.network.reshaped(&map, &[1, groups, channels / groups * height * width]);
        let ones = self.numbers("ones", &[groups], &vec![1.0; groups]);
        let zeros = self.numbers("zeros", &[groups], &vec![0.0; groups]);
        let parameters = [("epsilon", Parameter::Float(epsilon))];
        let normalized = self.network.node("InstanceNormalization", &[&grouped, &ones, &zeros], &parameters);
        let normalized = self.network.reshaped(&normalized, &[1, channels, height, width]);
        let gain = self.numbers("gain", &[channels, 1, 1], gain);
        let shift = self.numbers("shift", &[channels, 1, 1], shift);
        let y = self.network.node("Mul", &[&normalized, &gain], &[]);
        let y = self.network.node("Add", &[&y, &shift], &[]);
        self.set(Order::Map, y);
    }

    fn plus(&mut self, x: Name, summand: Option<Name>) -> Name {
        match summand {
            Some(summand) => self.network.node("Add", &[&x, &summand], &[]),
            None => x,
        }
    }

    fn rectified(&mut self, relu: bool, x: Name) -> Name {
        if relu { self.network.node("Relu", &[&x], &[]) } else { x }
    }

    fn function(&mut self, function: Function, x: Name) -> Name {
        match function {
            Function::Identity => x,
            Function::Relu => self.network.node("Relu", &[&x], &[]),
            Function::Tanh => self.network.node("Tanh", &[&x], &[]),
            Function::Sigmoid => self.network.node("Sigmoid", &[&x], &[]),
            Function::Silu => {
                let share = self.network.node("Sigmoid", &[&x], &[]);
                self.network.node("Mul", &[&x, &share], &[])
            }
            Function::Gelu => self.network.node("Gelu", &[&x], &[]),
            Function::GeluTanh => self.network.node("Gelu", &[&x], &[("approximate", Parameter::Text("tanh"))]),
        }
    }
}

/// The weights as `[outputs, inputs, kernel, kernel]`.
fn taps_last(filter: &Filter) -> Vec<f32> {
    let taps = filter.taps();
    match filter.layout {
        Layout::TapsLast => filter.weight.to_vec(),
        Layout::InputsLast => {
            let rows = filter.weight.chunks_exact(filter.terms());
            let ordered = |row: &'_ [f32]| -> Vec<f32> {
                (0..filter.inputs)
                    .flat_map(|i| (0..taps).map(move |tap| tap * filter.inputs + i))
                    .map(|i| row[i])
                    .collect()
            };
            rows.flat_map(ordered).collect()
        }
    }
}
