//! From a checkpoint to a graph: one module per architecture.

mod classifier;
mod edge_conv;

use driftlet_checkpoint::{Architecture, Checkpoint};

use crate::QuantizeError;
use crate::graph::{Filter, Graph};

/// Builds the graph of a checkpoint.
pub fn lower(checkpoint: &Checkpoint) -> Result<Graph, QuantizeError> {
    match &checkpoint.config.architecture {
        Architecture::EdgeConv(architecture) => edge_conv::lower(architecture, checkpoint),
        Architecture::Classifier(architecture) => classifier::lower(architecture, checkpoint),
        Architecture::Encoder(_) | Architecture::ResnetMae(_) => Err(QuantizeError::Unsupported("encoder")),
        Architecture::ConvNextV2(_) => Err(QuantizeError::Unsupported("ConvNeXt-V2 encoder")),
        Architecture::VaeDecoder(_) => Err(QuantizeError::Unsupported("latent decoder")),
        Architecture::Mlp(_) => Err(QuantizeError::Unsupported("mlp")),
        Architecture::Dit(_) => Err(QuantizeError::Unsupported("transformer")),
    }
}

/// The layer `name` of a checkpoint: `name.weight` `[out, in]` or `[out, in, k, k]` and `name.bias` `[out]`.
fn filter(checkpoint: &Checkpoint, name: &str, relu: bool) -> Filter {
    let weight = checkpoint.tensor(&format!("{name}.weight"));
    let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
    let kernel = weight.shape.get(2).copied().unwrap_or(1);
    let taps = kernel * kernel;
    let mut reordered = Vec::with_capacity(weight.data.len());
    for output in weight.data.chunks_exact(inputs * taps) {
        for tap in 0..taps {
            reordered.extend((0..inputs).map(|input| output[input * taps + tap]));
        }
    }
    let bias = checkpoint.tensor(&format!("{name}.bias")).data.clone();
    Filter { name: name.into(), weight: reordered, bias, outputs, kernel, inputs, relu }
}
