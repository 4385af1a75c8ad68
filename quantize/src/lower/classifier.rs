//! The metric classifier: 3x3 convolutions, global average pooling (the features), a linear head (the logits).

use driftlet_checkpoint::{Checkpoint, Classifier};

use super::filter;
use crate::QuantizeError;
use crate::graph::{Graph, Op, Window};

pub fn lower<'a>(net: &Classifier, checkpoint: &'a Checkpoint) -> Result<Graph<'a>, QuantizeError> {
    let mut graph = Graph::default();
    let mut shape = [net.height, net.width, net.channels];
    let mut x = graph.push(Op::Input, &[], shape);
    for (i, layer) in net.layers.iter().enumerate() {
        let Ok(stride) = u8::try_from(layer.stride) else {
            return Err(QuantizeError::parameter(format!("config.json: layers.{i}.stride"), "must be below 256"));
        };
        let strided = |len: usize| (len - 1) / layer.stride + 1;
        shape = [strided(shape[0]), strided(shape[1]), layer.channels];
        let filter = filter(checkpoint, &format!("layers.{i}"), true);
        x = graph.push(Op::Conv2d { filter, window: Window { stride, ..Window::same(3) } }, &[x], shape);
    }
    let features = graph.push(Op::GlobalAvgPool, &[x], [1, 1, shape[2]]);
    let head = filter(checkpoint, "head", false);
    let logits = [1, 1, head.outputs];
    graph.output = graph.push(Op::Linear(head), &[features], logits);
    graph.features = Some(features);
    Ok(graph)
}
