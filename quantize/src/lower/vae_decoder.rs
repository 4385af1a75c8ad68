//! The decoder of latent diffusion's autoencoder; `driftlet_checkpoint::VaeDecoder` has the equations.
//!
//! The order of operators keeps few maps alive: a shortcut runs before the block that it goes around, so that the block's
//! first normalization may work in its input's place; each activation works in place, and each sum in its residual's.

use std::borrow::Cow;

use driftlet_checkpoint::{CheckpointView, VaeDecoder};
use driftlet_runtime::format::{Function, NormMode};

use super::filter;
use crate::QuantizeError;
use crate::graph::{Attention, Filter, Graph, Op, ValueId, Window};

/// A file of the decoder alone: its noise is the latent.
pub fn lower<'a>(net: &VaeDecoder, checkpoint: &'a CheckpointView) -> Result<Graph<'a>, QuantizeError> {
    let mut graph = Graph::default();
    graph.output = graph.push(Op::Noise, &[], [net.height, net.width, net.latent_channels]);
    append(&mut graph, net, checkpoint)?;
    Ok(graph)
}

/// Decodes the output of a graph, whatever the size of its map.
pub fn append<'a>(
    graph: &mut Graph<'a>,
    net: &VaeDecoder,
    checkpoint: &'a CheckpointView,
) -> Result<(), QuantizeError> {
    let shape = graph.values[graph.output];
    if shape[2] != net.latent_channels {
        let problem = format!(
            "the decoder takes latents of {} channels, but the generator makes {}; give the decoder that it was trained for",
            net.latent_channels, shape[2]
        );
        return Err(QuantizeError::parameter("config.json: architecture.latent_channels", problem));
    }
    let mut decoder = Decoder { graph, net, checkpoint };
    let latent = decoder.graph.output;
    let x = decoder.layer(unscaled(net, checkpoint), latent, None, 1);
    let x = decoder.conv("conv_in", x, None, 1);
    let x = decoder.resnet("mid_block.resnets.0", x);
    let x = decoder.attention("mid_block.attentions.0", x);
    let mut x = decoder.resnet("mid_block.resnets.1", x);
    let blocks = net.up_blocks().len();
    for b in 0..blocks {
        for r in 0..=net.layers_per_block {
            x = decoder.resnet(&format!("up_blocks.{b}.resnets.{r}"), x);
        }
        if b + 1 < blocks {
            x = decoder.conv(&format!("up_blocks.{b}.upsamplers.0.conv"), x, None, 2);
        }
    }
    let x = decoder.norm("conv_norm_out", x);
    let x = decoder.silu(x);
    graph.output = decoder.conv("conv_out", x, None, 1);
    let picture = graph.values[graph.output];
    graph.pixels =
        matches!(picture[2], 1 | 3).then(|| graph.push(Op::Pixels { tanh: false }, &[graph.output], picture));
    Ok(())
}

/// The first layer, with the scale of latents in its weights.
fn unscaled<'a>(net: &VaeDecoder, checkpoint: &'a CheckpointView) -> Filter<'a> {
    let filter = filter(checkpoint, "post_quant_conv", false);
    let weight = filter.weight.iter().map(|&w| (f64::from(w) / net.scaling_factor) as f32).collect();
    Filter { weight: Cow::Owned(weight), ..filter }
}

/// A graph that grows.
struct Decoder<'g, 'a> {
    graph: &'g mut Graph<'a>,
    net: &'g VaeDecoder,
    checkpoint: &'a CheckpointView<'a>,
}

impl<'a> Decoder<'_, 'a> {
    /// A convolution that keeps the size of the upsampled map, plus a residual.
    fn layer(&mut self, filter: Filter<'a>, x: ValueId, residual: Option<ValueId>, upsample: u8) -> ValueId {
        let [height, width, _] = self.graph.values[x];
        let shape = [height * usize::from(upsample), width * usize::from(upsample), filter.outputs];
        let window = Window { upsample, ..Window::same(filter.kernel[0]) };
        let operands: Vec<ValueId> = [x].into_iter().chain(residual).collect();
        self.graph.push(Op::Conv2d { filter, window }, &operands, shape)
    }

    fn conv(&mut self, name: &str, x: ValueId, residual: Option<ValueId>, upsample: u8) -> ValueId {
        self.layer(filter(self.checkpoint, name, false), x, residual, upsample)
    }

    fn norm(&mut self, name: &str, x: ValueId) -> ValueId {
        let numbers = |part: &str| Some(Cow::Borrowed(&self.checkpoint.tensor(&format!("{name}.{part}")).data[..]));
        let norm = Op::Norm {
            mode: NormMode::Group,
            groups: self.net.norm_num_groups,
            epsilon: VaeDecoder::EPSILON as f32,
            gain: numbers("weight"),
            shift: numbers("bias"),
        };
        self.graph.push(norm, &[x], self.graph.values[x])
    }

    fn silu(&mut self, x: ValueId) -> ValueId {
        self.graph.push(Op::Lookup(Function::Silu), &[x], self.graph.values[x])
    }

    fn resnet(&mut self, name: &str, x: ValueId) -> ValueId {
        let part = |part: &str| format!("{name}.{part}");
        let channels = self.checkpoint.tensor(&part("conv1.weight")).shape[0];
        let residual =
            if self.graph.values[x][2] == channels { x } else { self.conv(&part("conv_shortcut"), x, None, 1) };
        let y = self.norm(&part("norm1"), x);
        let y = self.silu(y);
        let y = self.conv(&part("conv1"), y, None, 1);
        let y = self.norm(&part("norm2"), y);
        let y = self.silu(y);
        self.conv(&part("conv2"), y, Some(residual), 1)
    }

    fn attention(&mut self, name: &str, x: ValueId) -> ValueId {
        let shape = self.graph.values[x];
        let y = self.norm(&format!("{name}.group_norm"), x);
        let linear = |decoder: &mut Self, part: &str, operands: &[ValueId]| {
            let filter = filter(decoder.checkpoint, &format!("{name}.{part}"), false);
            decoder.graph.push(Op::Linear(filter), operands, shape)
        };
        let [query, key, value] = ["to_q", "to_k", "to_v"].map(|part| linear(self, part, &[y]));
        let attention = Op::Attention(Attention { heads: 1, gains: None, epsilon: 0.0, rotary: None });
        let mixed = self.graph.push(attention, &[query, key, value], shape);
        linear(self, "to_out.0", &[mixed, x])
    }
}
