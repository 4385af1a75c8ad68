//! Channels of 8-bit activations brought to a common range: a factor per channel, which the layer before divides out and
//! the layers behind multiply in.
//!
//! All channels of a value share one step, so a channel whose numbers are small has few integers. Between layers that are
//! positively homogeneous the factors cancel exactly: cross-layer equalization (Nagel et al., ICCV 2019). Where a normalization
//! writes the value its gain and shift divide them out, be they constants or, as in adaLN, made by linear layers: SmoothQuant (Xiao et
//! al., ICML 2023). Nothing of it is left in the file but other integers.

use std::borrow::Cow;
use std::sync::Arc;

use crate::calibrate::Calibration;
use crate::graph::{Filter, Graph, Node, Numbers, Op, ValueId};

/// No channel is stretched by more.
const LARGEST_STRETCH: f64 = 1024.0;

/// Factors of the channels of every value: `real = factor[channel] * balanced`. No factors stand for ones.
/// Clones share them.
#[derive(Clone, Debug)]
pub struct Balance(Arc<Vec<Vec<f64>>>);

impl Balance {
    /// All factors one.
    pub fn none(graph: &Graph) -> Self {
        Self(Arc::new(vec![Vec::new(); graph.values.len()]))
    }

    /// Factors for the values named, each channel's peak to the power of `strength`; values that have to share factors, or
    /// can have none, decide for all that they are tied to.
    pub fn new(graph: &Graph, calibration: &Calibration, narrow: &[bool], strength: f64) -> Self {
        let mut balance = vec![Vec::new(); graph.values.len()];
        for tied in ties(graph) {
            let channels = graph.values[tied[0]][2];
            if strength == 0.0 || !tied.iter().any(|&v| narrow[v]) {
                continue;
            }
            let mut peaks = vec![0f64; channels];
            for &value in tied.iter().filter(|&&v| narrow[v]) {
                peaks.iter_mut().zip(calibration.peaks(value)).for_each(|(max, peak)| *max = max.max(peak));
            }
            let largest = peaks.iter().fold(0f64, |max, &peak| max.max(peak));
            if largest > 0.0 {
                // The same on every machine, unlike the system's power.
                let factor = |peak: f64| libm::pow((peak / largest).max(1.0 / LARGEST_STRETCH), strength);
                let factors: Vec<f64> = peaks.into_iter().map(factor).collect();
                tied.iter().for_each(|&value| balance[value] = factors.clone());
            }
        }
        Self(Arc::new(balance))
    }

    /// Factors of a value's channels; none where all are one.
    pub fn of(&self, value: ValueId) -> &[f64] {
        &self.0[value]
    }

    /// Numbers of a value's channels, in its balanced units.
    pub fn divide<'n>(&self, value: ValueId, numbers: &'n [f32]) -> Numbers<'n> {
        match self.of(value) {
            [] => Cow::Borrowed(numbers),
            factors => numbers.iter().zip(factors.iter().cycle()).map(|(&x, f)| (f64::from(x) / f) as f32).collect(),
        }
    }

    /// The weights of a layer, `[outputs, kernel, kernel, inputs]`, from balanced inputs to balanced outputs.
    pub fn weights<'n>(&self, graph: &Graph, node: &Node, filter: &'n Filter) -> Numbers<'n> {
        let inputs = node.inputs[0].map_or(&[][..], |v| self.of(v));
        let outputs = self.of(node.output);
        let mut weights = filter.inputs_last();
        if inputs.is_empty() && outputs.is_empty() {
            return weights;
        }
        let depthwise = node.op.depthwise();
        let channels = graph.values[node.output][2];
        for (o, row) in weights.to_mut().chunks_exact_mut(filter.terms()).enumerate() {
            let divisor = outputs.get(o % channels).unwrap_or(&1.0);
            for (t, w) in row.iter_mut().enumerate() {
                let input = if depthwise { o } else { t % filter.inputs };
                *w = (f64::from(*w) * inputs.get(input).unwrap_or(&1.0) / divisor) as f32;
            }
        }
        weights
    }

    /// The factor of one channel.
    pub fn factor(&self, value: ValueId, channel: usize) -> f64 {
        self.0[value].get(channel).copied().unwrap_or(1.0)
    }
}

/// Values that can have factors, those together that have to have the same.
fn ties(graph: &Graph) -> Vec<Vec<ValueId>> {
    let mut group: Vec<usize> = (0..graph.values.len()).collect();
    let mut blocked = vec![true; graph.values.len()];
    // A value may have factors if whatever writes it can divide them out ..
    for node in &graph.nodes {
        blocked[node.output] = match &node.op {
            Op::Linear(_) | Op::Conv2d { .. } | Op::Mul(_) | Op::Attention(_) => false,
            Op::Norm { gain, .. } => gain.is_none() && node.inputs[1].is_none(),
            _ => true,
        };
    }
    // .. and whatever reads it can multiply them in, or hand them on.
    for node in &graph.nodes {
        for (place, &value) in node.inputs.iter().enumerate().filter_map(|(i, v)| Some((i, v.as_ref()?))) {
            let hands_on = match (&node.op, place) {
                (Op::Linear(_) | Op::Conv2d { .. }, _) => continue,
                (Op::Mul(_), 1) | (Op::Attention(_), 2) | (Op::Norm { .. }, 1 | 2) => true,
                _ => false,
            };
            if hands_on && graph.values[value][2] == graph.values[node.output][2] {
                let (from, to) = (group[value], group[node.output]);
                group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
            } else {
                blocked[value] = true;
            }
        }
    }
    for value in [Some(graph.output), graph.pixels, graph.features].into_iter().flatten() {
        blocked[value] = true;
    }
    let members = |g: usize| (0..group.len()).filter(|&v| group[v] == g).collect::<Vec<_>>();
    (0..group.len()).map(members).filter(|tied| !tied.is_empty() && tied.iter().all(|&v| !blocked[v])).collect()
}

#[cfg(test)]
mod tests {
    use driftlet_checkpoint::{Architecture, Checkpoint, Config};

    use super::*;
    use crate::{QuantizeError, lower};

    /// Values of a preset that can have factors, by the kind of operator that writes them.
    fn writers(preset: &str) -> Result<Vec<(usize, &'static str)>, QuantizeError> {
        let architecture = Architecture::preset(preset).ok_or(QuantizeError::Unsupported("preset"))?;
        let checkpoint = Checkpoint::random(Config::new(architecture), 1);
        let view = checkpoint.view();
        let graph = lower::lower(&view)?;
        let name = |v: ValueId| match graph.nodes[v].op {
            Op::Conv2d { .. } => "conv2d",
            Op::Linear(_) => "linear",
            Op::Norm { .. } => "norm",
            Op::Mul(_) => "mul",
            Op::Attention(_) => "attention",
            _ => "other",
        };
        Ok(ties(&graph).into_iter().map(|tied| (tied.len(), name(tied[tied.len() - 1]))).collect())
    }

    #[test]
    fn convolutions_have_factors_of_their_own_and_norms_share_theirs_with_gains() -> Result<(), QuantizeError> {
        // All but the raw picture, which nothing behind could multiply.
        let nano = writers("nano")?;
        assert!(nano.iter().all(|&(tied, _)| tied == 1), "{nano:?}");
        assert_eq!(nano.iter().filter(|(_, name)| *name == "conv2d").count(), 5);
        let transformer = writers("dit-28")?;
        let count = |tied, name| transformer.iter().filter(|&&group| group == (tied, name)).count();
        // Gain, shift and norm; values and attention; the factor and the product of the perceptron.
        assert!(count(3, "norm") > 0 && count(2, "attention") > 0 && count(2, "mul") > 0, "{transformer:?}");
        assert_eq!(transformer.iter().filter(|(_, name)| *name == "other").count(), 0);
        Ok(())
    }
}
