//! The edge convolutional generator: an embedding of noise, class and guidance, a small base map, and stages of 3x3
//! convolutions, each but the first on a nearest-upsampled map.

use driftlet_checkpoint::{Checkpoint, EdgeConv};

use super::filter;
use crate::QuantizeError;
use crate::graph::{Graph, Op, ValueId};

pub fn lower(net: &EdgeConv, checkpoint: &Checkpoint) -> Result<Graph, QuantizeError> {
    let mut graph = Graph { classes: net.classes, guidance: guidance_range(&net.guidance_knots)?, ..Graph::default() };
    let hidden = [1, 1, net.hidden];
    let table = |name: &str| checkpoint.tensor(name).data.clone();

    let noise = graph.push(Op::Noise, None, None, [1, 1, net.noise_dim]);
    let class = graph.push(Op::ClassEmbedding(table("class.weight")), None, None, hidden);
    let condition = graph.push(Op::GuidanceEmbedding(table("guidance.weight")), Some(class), None, hidden);
    let embedding = graph.push(Op::Linear(filter(checkpoint, "noise", true)), Some(noise), Some(condition), hidden);

    let doublings = net.stages.len() - 1;
    let (mut height, mut width) = (net.height >> doublings, net.width >> doublings);
    let base = [height, width, net.base_channels];
    let mut x = graph.push(Op::Linear(filter(checkpoint, "base", true)), Some(embedding), None, base);

    let conv = |graph: &mut Graph, x, residual, name: &str, upsample, shape| -> ValueId {
        let op = Op::Conv2d { filter: filter(checkpoint, name, name != "out"), stride: 1, upsample, padding: 1 };
        graph.push(op, Some(x), residual, shape)
    };
    for (s, stage) in net.stages.iter().enumerate() {
        let upsample = if s == 0 { 1 } else { 2 };
        (height, width) = (height * usize::from(upsample), width * usize::from(upsample));
        let shape = [height, width, stage.channels];
        x = conv(&mut graph, x, None, &format!("stages.{s}.conv"), upsample, shape);
        for r in 0..stage.residual {
            x = conv(&mut graph, x, Some(x), &format!("stages.{s}.residual.{r}"), 1, shape);
        }
    }
    let image = [height, width, net.channels];
    graph.output = conv(&mut graph, x, None, "out", 1, image);
    graph.pixels = Some(graph.push(Op::Pixels { tanh: true }, Some(graph.output), None, image));
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
