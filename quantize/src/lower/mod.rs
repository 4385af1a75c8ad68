//! From a checkpoint to a graph: one module per architecture.

mod classifier;
mod dit;
mod edge_conv;
mod vae_decoder;

use std::borrow::Cow;

use driftlet_checkpoint::{Architecture, CheckpointView};

use crate::QuantizeError;
use crate::graph::{Filter, Graph, Layout, Op};

/// Builds the graph of a checkpoint.
pub fn lower<'a>(checkpoint: &'a CheckpointView) -> Result<Graph<'a>, QuantizeError> {
    match &checkpoint.config.architecture {
        Architecture::EdgeConv(architecture) => edge_conv::lower(architecture, checkpoint),
        Architecture::Dit(architecture) => dit::lower(architecture, checkpoint),
        Architecture::Classifier(architecture) => classifier::lower(architecture, checkpoint),
        Architecture::Encoder(_) | Architecture::ResnetMae(_) => Err(QuantizeError::Unsupported("encoder")),
        Architecture::ConvNextV2(_) => Err(QuantizeError::Unsupported("ConvNeXt-V2 encoder")),
        Architecture::VaeDecoder(architecture) => vae_decoder::lower(architecture, checkpoint),
        Architecture::Mlp(_) => Err(QuantizeError::Unsupported("mlp")),
    }
}

/// Builds one graph of a generator of latents and the decoder that makes pictures of them.
pub fn lower_with_decoder<'a>(
    generator: &'a CheckpointView,
    decoder: &'a CheckpointView,
) -> Result<Graph<'a>, QuantizeError> {
    let Architecture::VaeDecoder(net) = &decoder.config.architecture else {
        return Err(QuantizeError::parameter("config.json: architecture", "the decoder's checkpoint is not a decoder"));
    };
    let mut graph = lower(generator)?;
    if graph.nodes.iter().any(|node| matches!(node.op, Op::Input | Op::Pixels { .. })) {
        let problem = "the generator's checkpoint makes no latents; only those need a decoder";
        return Err(QuantizeError::parameter("config.json: architecture", problem));
    }
    vae_decoder::append(&mut graph, net, decoder)?;
    Ok(graph)
}

/// The layer `name` of a checkpoint: `name.weight` `[out, in]` or `[out, in, k, k]` and `name.bias` `[out]`.
fn filter<'a>(checkpoint: &'a CheckpointView, name: &str, relu: bool) -> Filter<'a> {
    let weight = checkpoint.tensor(&format!("{name}.weight"));
    let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
    Filter {
        name: name.into(),
        weight: Cow::Borrowed(&weight.data),
        layout: Layout::TapsLast,
        bias: Cow::Borrowed(&checkpoint.tensor(&format!("{name}.bias")).data),
        outputs,
        kernel: [2, 3].map(|axis| weight.shape.get(axis).copied().unwrap_or(1)),
        inputs,
        relu,
    }
}

/// Part `index` of a linear layer whose outputs are `count` equal parts.
fn part<'a>(checkpoint: &'a CheckpointView, name: &str, index: usize, count: usize) -> Filter<'a> {
    let whole = filter(checkpoint, name, false);
    let outputs = whole.outputs / count;
    let rows = |numbers: Cow<'a, [f32]>, len: usize| match numbers {
        Cow::Borrowed(all) => Cow::Borrowed(&all[index * len..][..len]),
        Cow::Owned(all) => Cow::Owned(all[index * len..][..len].to_vec()),
    };
    Filter {
        name: format!("{name}[{index}]"),
        weight: rows(whole.weight, outputs * whole.inputs),
        bias: rows(whole.bias, outputs),
        outputs,
        ..whole
    }
}
