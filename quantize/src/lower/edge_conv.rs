//! The edge convolutional generator: an embedding of noise, class and guidance, a small base map, and stages of 3x3
//! convolutions, each but the first on a nearest-upsampled map.

use std::borrow::Cow;

use driftlet_checkpoint::{Checkpoint, EdgeConv};

use super::filter;
use crate::QuantizeError;
use crate::graph::{Graph, Op, ValueId, Window};

pub fn lower<'a>(net: &EdgeConv, checkpoint: &'a Checkpoint) -> Result<Graph<'a>, QuantizeError> {
    let mut graph = Graph { classes: net.classes, guidance: guidance_range(&net.guidance_knots)?, ..Graph::default() };
    let hidden = [1, 1, net.hidden];
    let table = |name: &str| Cow::Borrowed(&checkpoint.tensor(name).data[..]);

    let noise = graph.push(Op::Noise, &[], [1, 1, net.noise_dim]);
    let class = graph.push(Op::ClassEmbedding(table("class.weight")), &[], hidden);
    let condition = graph.push(Op::GuidanceEmbedding(table("guidance.weight")), &[class], hidden);
    let embedding = graph.push(Op::Linear(filter(checkpoint, "noise", true)), &[noise, condition], hidden);

    let doublings = net.stages.len() - 1;
    let (mut height, mut width) = (net.height >> doublings, net.width >> doublings);
    let base = [height, width, net.base_channels];
    let mut x = graph.push(Op::Linear(filter(checkpoint, "base", true)), &[embedding], base);

    let conv = |graph: &mut Graph<'a>, inputs: &[ValueId], name: &str, upsample, shape| -> ValueId {
        let window = Window { upsample, ..Window::same(3) };
        graph.push(Op::Conv2d { filter: filter(checkpoint, name, name != "out"), window }, inputs, shape)
    };
    for (s, stage) in net.stages.iter().enumerate() {
        let upsample = if s == 0 { 1 } else { 2 };
        (height, width) = (height * usize::from(upsample), width * usize::from(upsample));
        let shape = [height, width, stage.channels];
        x = conv(&mut graph, &[x], &format!("stages.{s}.conv"), upsample, shape);
        for r in 0..stage.residual {
            x = conv(&mut graph, &[x, x], &format!("stages.{s}.residual.{r}"), 1, shape);
        }
    }
    let image = [height, width, net.channels];
    graph.output = conv(&mut graph, &[x], "out", 1, image);
    graph.pixels = Some(graph.push(Op::Pixels { tanh: true }, &[graph.output], image));
    Ok(graph)
}

/// The guidance knots as a range in 1/256: the runtime interpolates between rows a power of two apart.
fn guidance_range(knots: &[f32]) -> Result<(u16, u16), QuantizeError> {
    let error = |problem: String| QuantizeError::parameter("config.json: architecture.guidance_knots", problem);
    let q8 = |knot: f32| (knot * 256.0).round() as u16;
    let [first, second, ..] = *knots else { return Err(error("needs at least two knots".into())) };
    let step = q8(second).saturating_sub(q8(first));
    let even = knots.iter().enumerate().all(|(i, &k)| k * 256.0 == f32::from(q8(first)) + i as f32 * f32::from(step));
    if !(even && step.is_power_of_two() && step <= 1 << 14) {
        return Err(error(format!("{knots:?} do not lie evenly 2^n / 256 apart; train with knots like 1, 1.5, 2, ..")));
    }
    Ok((q8(first), q8(knots[knots.len() - 1])))
}
