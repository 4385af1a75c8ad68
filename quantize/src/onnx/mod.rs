//! A network as an ONNX file in f32, for other engines.
//!
//! Pictures keep the shape that users know, `[1, height, width, channels]`. In between a value lies as its operators want
//! it, and is turned once where they differ: convolutions read `[1, channels, height, width]`, everything else reads rows,
//! `[positions, channels]`.

mod attention;
mod convert;
mod network;
mod proto;
#[cfg(test)]
mod tests;
mod values;

use driftlet_checkpoint::CheckpointView;
use prost::Message;

use crate::QuantizeError;
use crate::graph::{Graph, Op};
use crate::lower::lower;
use convert::convert;
use network::Network;
use proto::{ModelProto, OperatorSetIdProto};
use values::Values;

/// Set of operators: the first with `RMSNormalization`.
const OPSET: i64 = 23;
/// Version of the file format that brought it.
const IR_VERSION: i64 = 11;
/// Readers refuse longer files.
const MAX_LEN: usize = (1 << 31) - 1;

/// Makes the bytes of an ONNX file in f32 of a generator, decoder or classifier. Inputs and outputs carry the names that
/// `driftlet sample --inputs` gives them; a picture at a time:
///
/// | input | type | shape | what |
/// | --- | --- | --- | --- |
/// | `noise` | f32 | `[1, n]` or `[1, height, width, channels]` | standard normal numbers, or a latent |
/// | `class_labels` | i64 | `[1]` | the class |
/// | `style_indices` | i64 | `[1, styles]` | a row of each style table |
/// | `cfg_scale` | f32 | `[1, 1]` | strength of guidance |
/// | `input` | f32 | `[1, height, width, channels]` | pixels `p` of a classifier as `p / 127.5 - 1` |
///
/// | output | type | shape | what |
/// | --- | --- | --- | --- |
/// | `output` | f32 | `[1, height, width, channels]` or `[1, n]` | the picture in `[-1, 1]` before rounding, a latent, or logits |
/// | `features` | f32 | `[1, n]` | features of a classifier |
///
/// A network has those of the inputs that it reads.
///
/// # Errors
/// [`QuantizeError`] for networks that are not made into graphs, and for files beyond 2 GB.
pub fn export_onnx(checkpoint: &CheckpointView, name: &str) -> Result<Vec<u8>, QuantizeError> {
    let model = model(&lower(checkpoint)?, name)?;
    if model.encoded_len() > MAX_LEN {
        return Err(QuantizeError::TooLarge("an ONNX file holds at most 2 GB"));
    }
    Ok(model.encode_to_vec())
}

/// The file of a graph.
fn model(graph: &Graph, name: &str) -> Result<ModelProto, QuantizeError> {
    let (mut network, mut values) = (Network::default(), Values::new(graph));
    for node in &graph.nodes {
        convert(graph, node, &mut network, &mut values)?;
    }
    let tanh = graph.nodes.iter().any(|node| matches!(node.op, Op::Pixels { tanh: true }));
    if tanh {
        values.function(&mut network, graph.output, "Tanh");
    }
    let what = if graph.pixels.is_some() { "The picture in [-1, 1] before rounding" } else { "The raw result" };
    values.give(&mut network, graph.output, "output", what);
    if let Some(features) = graph.features {
        values.give(&mut network, features, "features", "Features");
    }
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        producer_name: Some("driftlet".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(network.finish(name)),
    })
}
