//! Inception-v3 as the Frechet inception distance uses it: the network of the pytorch-fid weight file
//! (`pt_inception-2015-12-05-*.pth`), a port of the TensorFlow graph of Heusel et al. (2017).
//!
//! It differs from torchvision's Inception-v3: mean pools count no position outside the map, and the last block pools by the
//! largest number. Pictures of any size are resized to 299 x 299 (bilinear, half-pixel centres, no smoothing). A batch
//! normalization is folded into the convolution before it. Grey pictures stand for three equal channels.

use std::borrow::Cow;
use std::collections::BTreeMap;

use driftlet_checkpoint::Tensor;
use driftlet_runtime::format::{ConcatMode, PoolMode, ResizeMode};

use crate::QuantizeError;
use crate::graph::{Filter, Graph, Layout, Op, ValueId, Window};

/// Classes of the weight file.
const CLASSES: usize = 1008;
/// Side of the pictures that the network was trained on.
const SIDE: usize = 299;
/// Added to the variances of the batch normalizations.
const EPSILON: f64 = 1e-3;

/// Names and shapes of the weights, under the names of pytorch-fid.
pub fn inception_parameters() -> Vec<(String, Vec<usize>)> {
    let mut network = Builder::new(None, [SIDE, SIDE, 3]);
    network.build();
    network.parameters
}

/// The network for pictures `[height, width, channels]` of 1 or 3 channels: 2048 features, and the logits of 1008 classes.
///
/// # Errors
/// [`QuantizeError::Parameter`] for pictures of another number of channels, and for weights of another network.
pub fn inception(weights: &BTreeMap<String, Tensor>, picture: [usize; 3]) -> Result<Graph<'static>, QuantizeError> {
    if !matches!(picture[2], 1 | 3) {
        let problem = format!("pictures have {} channels; Inception-v3 takes 1 or 3", picture[2]);
        return Err(QuantizeError::parameter("pictures", problem));
    }
    for (name, shape) in inception_parameters() {
        let fits = |tensor: &Tensor| tensor.shape == shape && tensor.data.len() == shape.iter().product::<usize>();
        if !weights.get(&name).is_some_and(fits) {
            return Err(QuantizeError::parameter(
                name,
                "is missing or has another shape; give pytorch-fid's weight file",
            ));
        }
    }
    let mut network = Builder::new(Some(weights), picture);
    network.build();
    Ok(network.graph)
}

/// A graph that grows; without weights it only lists what they have to be.
struct Builder<'w> {
    weights: Option<&'w BTreeMap<String, Tensor>>,
    parameters: Vec<(String, Vec<usize>)>,
    graph: Graph<'static>,
    picture: [usize; 3],
}

/// A kernel that reaches over the border by half its length.
const PADDED: bool = true;
/// A kernel that stays within the map.
const INSIDE: bool = false;

impl<'w> Builder<'w> {
    fn new(weights: Option<&'w BTreeMap<String, Tensor>>, picture: [usize; 3]) -> Self {
        Self { weights, parameters: Vec::new(), graph: Graph::default(), picture }
    }

    fn build(&mut self) {
        let picture = self.graph.push(Op::Input, &[], self.picture);
        let stretch = Op::Resize(ResizeMode::Stretch);
        let x = self.graph.push(stretch, &[picture], [SIDE, SIDE, self.picture[2]]);
        let x = self.conv("Conv2d_1a_3x3", x, 32, [3, 3], 2, INSIDE);
        let x = self.conv("Conv2d_2a_3x3", x, 32, [3, 3], 1, INSIDE);
        let x = self.conv("Conv2d_2b_3x3", x, 64, [3, 3], 1, PADDED);
        let x = self.pool(PoolMode::Max, x, 2, INSIDE);
        let x = self.conv("Conv2d_3b_1x1", x, 80, [1, 1], 1, INSIDE);
        let x = self.conv("Conv2d_4a_3x3", x, 192, [3, 3], 1, INSIDE);
        let mut x = self.pool(PoolMode::Max, x, 2, INSIDE);
        for (block, pooled) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
            x = self.squares(block, x, pooled);
        }
        x = self.smaller("Mixed_6a", x);
        for (block, width) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
            x = self.lines(block, x, width);
        }
        x = self.smallest("Mixed_7a", x);
        for (block, mode) in [("Mixed_7b", PoolMode::Average), ("Mixed_7c", PoolMode::Max)] {
            x = self.widest(block, x, mode);
        }
        let width = self.graph.values[x][2];
        let features = self.graph.push(Op::GlobalAvgPool, &[x], [1, 1, width]);
        self.graph.features = Some(features);
        let head = self.head(width);
        self.graph.output = self.graph.push(Op::Linear(head), &[features], [1, 1, CLASSES]);
    }

    /// Convolutions of 1, 3 and 5 positions a side.
    fn squares(&mut self, block: &str, x: ValueId, pooled: usize) -> ValueId {
        let name = |part: &str| format!("{block}.{part}");
        let one = self.conv(&name("branch1x1"), x, 64, [1, 1], 1, INSIDE);
        let five = self.conv(&name("branch5x5_1"), x, 48, [1, 1], 1, INSIDE);
        let five = self.conv(&name("branch5x5_2"), five, 64, [5, 5], 1, PADDED);
        let three = self.conv(&name("branch3x3dbl_1"), x, 64, [1, 1], 1, INSIDE);
        let three = self.conv(&name("branch3x3dbl_2"), three, 96, [3, 3], 1, PADDED);
        let three = self.conv(&name("branch3x3dbl_3"), three, 96, [3, 3], 1, PADDED);
        let mean = self.pool(PoolMode::Average, x, 1, PADDED);
        let mean = self.conv(&name("branch_pool"), mean, pooled, [1, 1], 1, INSIDE);
        self.concat(&[one, five, three, mean])
    }

    /// Halves the map.
    fn smaller(&mut self, block: &str, x: ValueId) -> ValueId {
        let name = |part: &str| format!("{block}.{part}");
        let three = self.conv(&name("branch3x3"), x, 384, [3, 3], 2, INSIDE);
        let twice = self.conv(&name("branch3x3dbl_1"), x, 64, [1, 1], 1, INSIDE);
        let twice = self.conv(&name("branch3x3dbl_2"), twice, 96, [3, 3], 1, PADDED);
        let twice = self.conv(&name("branch3x3dbl_3"), twice, 96, [3, 3], 2, INSIDE);
        let most = self.pool(PoolMode::Max, x, 2, INSIDE);
        self.concat(&[three, twice, most])
    }

    /// Rows and columns of seven positions.
    fn lines(&mut self, block: &str, x: ValueId, width: usize) -> ValueId {
        let name = |part: &str| format!("{block}.{part}");
        let one = self.conv(&name("branch1x1"), x, 192, [1, 1], 1, INSIDE);
        let once = self.conv(&name("branch7x7_1"), x, width, [1, 1], 1, INSIDE);
        let once = self.conv(&name("branch7x7_2"), once, width, [1, 7], 1, PADDED);
        let once = self.conv(&name("branch7x7_3"), once, 192, [7, 1], 1, PADDED);
        let twice = self.conv(&name("branch7x7dbl_1"), x, width, [1, 1], 1, INSIDE);
        let twice = self.conv(&name("branch7x7dbl_2"), twice, width, [7, 1], 1, PADDED);
        let twice = self.conv(&name("branch7x7dbl_3"), twice, width, [1, 7], 1, PADDED);
        let twice = self.conv(&name("branch7x7dbl_4"), twice, width, [7, 1], 1, PADDED);
        let twice = self.conv(&name("branch7x7dbl_5"), twice, 192, [1, 7], 1, PADDED);
        let mean = self.pool(PoolMode::Average, x, 1, PADDED);
        let mean = self.conv(&name("branch_pool"), mean, 192, [1, 1], 1, INSIDE);
        self.concat(&[one, once, twice, mean])
    }

    /// Halves the map again.
    fn smallest(&mut self, block: &str, x: ValueId) -> ValueId {
        let name = |part: &str| format!("{block}.{part}");
        let three = self.conv(&name("branch3x3_1"), x, 192, [1, 1], 1, INSIDE);
        let three = self.conv(&name("branch3x3_2"), three, 320, [3, 3], 2, INSIDE);
        let seven = self.conv(&name("branch7x7x3_1"), x, 192, [1, 1], 1, INSIDE);
        let seven = self.conv(&name("branch7x7x3_2"), seven, 192, [1, 7], 1, PADDED);
        let seven = self.conv(&name("branch7x7x3_3"), seven, 192, [7, 1], 1, PADDED);
        let seven = self.conv(&name("branch7x7x3_4"), seven, 192, [3, 3], 2, INSIDE);
        let most = self.pool(PoolMode::Max, x, 2, INSIDE);
        self.concat(&[three, seven, most])
    }

    /// Rows and columns of three positions, side by side.
    fn widest(&mut self, block: &str, x: ValueId, mode: PoolMode) -> ValueId {
        let name = |part: &str| format!("{block}.{part}");
        let one = self.conv(&name("branch1x1"), x, 320, [1, 1], 1, INSIDE);
        let once = self.conv(&name("branch3x3_1"), x, 384, [1, 1], 1, INSIDE);
        let row = self.conv(&name("branch3x3_2a"), once, 384, [1, 3], 1, PADDED);
        let column = self.conv(&name("branch3x3_2b"), once, 384, [3, 1], 1, PADDED);
        let twice = self.conv(&name("branch3x3dbl_1"), x, 448, [1, 1], 1, INSIDE);
        let twice = self.conv(&name("branch3x3dbl_2"), twice, 384, [3, 3], 1, PADDED);
        let second_row = self.conv(&name("branch3x3dbl_3a"), twice, 384, [1, 3], 1, PADDED);
        let second_column = self.conv(&name("branch3x3dbl_3b"), twice, 384, [3, 1], 1, PADDED);
        let pooled = self.pool(mode, x, 1, PADDED);
        let pooled = self.conv(&name("branch_pool"), pooled, 192, [1, 1], 1, INSIDE);
        self.concat(&[one, row, column, second_row, second_column, pooled])
    }

    /// A convolution with its batch normalization and relu.
    fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        kernel: [usize; 2],
        stride: u8,
        padded: bool,
    ) -> ValueId {
        let [height, width, channels] = self.graph.values[x];
        // Those of the weight file: grey pictures have one channel for three.
        let inputs = if self.parameters.is_empty() { 3 } else { channels };
        let shape = vec![outputs, inputs, kernel[0], kernel[1]];
        self.parameters.push((format!("{name}.conv.weight"), shape));
        for part in NORM {
            self.parameters.push((format!("{name}.bn.{part}"), vec![outputs]));
        }
        let (weight, bias) = match self.weights {
            Some(weights) => folded(weights, name, if inputs == channels { 1 } else { inputs }),
            None => (Vec::new(), Vec::new()),
        };
        let filter = Filter {
            name: name.into(),
            weight: Cow::Owned(weight),
            layout: Layout::TapsLast,
            bias: Cow::Owned(bias),
            outputs,
            kernel,
            inputs: channels,
            relu: true,
        };
        let longest = kernel[0].max(kernel[1]);
        let padding = if padded { longest / 2 } else { 0 };
        let size = |len: usize, taps: usize| {
            let padding = if taps == 1 { 0 } else { padding };
            (len + 2 * padding - taps) / usize::from(stride) + 1
        };
        let shape = [size(height, kernel[0]), size(width, kernel[1]), outputs];
        let window = Window { stride, padding: padding as u8, ..Window::same(longest) };
        self.graph.push(Op::Conv2d { filter, window }, &[x], shape)
    }

    /// A pool of three positions a side.
    fn pool(&mut self, mode: PoolMode, x: ValueId, stride: u8, padded: bool) -> ValueId {
        let [height, width, channels] = self.graph.values[x];
        let padding = u8::from(padded);
        let size = |len: usize| (len + 2 * usize::from(padding) - 3) / usize::from(stride) + 1;
        self.graph.push(Op::Pool { mode, side: 3, stride, padding }, &[x], [size(height), size(width), channels])
    }

    /// Channels one after another.
    fn concat(&mut self, parts: &[ValueId]) -> ValueId {
        let mut all = parts[0];
        for &part in &parts[1..] {
            let [height, width, channels] = self.graph.values[all];
            let shape = [height, width, channels + self.graph.values[part][2]];
            all = self.graph.push(Op::Concat(ConcatMode::Channels), &[all, part], shape);
        }
        all
    }

    fn head(&mut self, inputs: usize) -> Filter<'static> {
        self.parameters.push(("fc.weight".into(), vec![CLASSES, inputs]));
        self.parameters.push(("fc.bias".into(), vec![CLASSES]));
        let part = |name: &str| Cow::Owned(self.weights.map_or(Vec::new(), |weights| weights[name].data.clone()));
        Filter {
            name: "fc".into(),
            weight: part("fc.weight"),
            layout: Layout::TapsLast,
            bias: part("fc.bias"),
            outputs: CLASSES,
            kernel: [1, 1],
            inputs,
            relu: false,
        }
    }
}

/// Tensors of a batch normalization.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Weights and bias of a convolution with its batch normalization; so many input channels become one.
fn folded(weights: &BTreeMap<String, Tensor>, name: &str, channels: usize) -> (Vec<f32>, Vec<f32>) {
    let filters = &weights[&format!("{name}.conv.weight")];
    let [gain, shift, mean, variance] = NORM.map(|part| &weights[&format!("{name}.bn.{part}")].data);
    let terms = filters.data.len() / gain.len();
    let (mut weight, mut bias) = (Vec::with_capacity(filters.data.len() / channels), Vec::with_capacity(gain.len()));
    for (o, filter) in filters.data.chunks_exact(terms).enumerate() {
        let scale = f64::from(gain[o]) / (f64::from(variance[o]) + EPSILON).sqrt();
        let merged = terms / channels;
        weight.extend((0..merged).map(|term| {
            let sum: f64 = (0..channels).map(|c| f64::from(filter[c * merged + term])).sum();
            (scale * sum) as f32
        }));
        bias.push((f64::from(shift[o]) - scale * f64::from(mean[o])) as f32);
    }
    (weight, bias)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_as_many_as_published() {
        // 23,834,568 of torchvision's Inception-v3 without its side branch for 1000 classes are 21,785,568 without the last
        // layer; with 1008 classes, and the running means and variances of 17,216 channels.
        let parameters = inception_parameters();
        let count: usize = parameters.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        let channels: usize =
            parameters.iter().filter(|(name, _)| name.ends_with("running_mean")).map(|(_, shape)| shape[0]).sum();
        assert_eq!(parameters.len(), 94 * 5 + 2);
        assert_eq!(count - 2 * channels, 21_785_568 + 2049 * CLASSES);
    }

    #[test]
    fn weights_of_another_network_are_named() {
        let message = inception(&BTreeMap::new(), [8, 8, 3]).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("Conv2d_1a_3x3.conv.weight") && message.contains("pytorch-fid"), "{message}");
        let message = inception(&BTreeMap::new(), [8, 8, 4]).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("4 channels"), "{message}");
    }
}
