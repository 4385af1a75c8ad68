//! A small generator of points in the plane.

use serde::{Deserialize, Serialize};

use super::{Initial, Interface, layer, positive};

/// Noise to a point, to see the method at work.
///
/// ```text
/// x = noise;  each layer: x = relu(W x + b);  y = W_out x + b_out
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mlp {
    /// Length of the noise vector.
    pub noise_dim: usize,
    /// Lengths of the inner vectors.
    pub hidden: Vec<usize>,
    /// Length of the result.
    pub outputs: usize,
}

impl Mlp {
    pub(super) fn toy() -> Self {
        Self { noise_dim: 8, hidden: vec![128, 128, 128], outputs: 2 }
    }

    pub(super) fn interface(&self) -> Interface {
        Interface { shape: [1, 1, self.outputs], noise_len: self.noise_dim, styles: (0, 1), guidance: (1.0, 1.0) }
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        let mut inputs = self.noise_dim;
        for (i, &width) in self.hidden.iter().enumerate() {
            layer(&mut list, &format!("layers.{i}"), vec![width, inputs]);
            inputs = width;
        }
        layer(&mut list, "out", vec![self.outputs, inputs]);
        list
    }

    pub(super) fn initial(name: &str, shape: &[usize]) -> Initial {
        match name.ends_with("bias") {
            true => Initial::Constant(0.0),
            false => Initial::rectified(shape),
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("noise_dim", self.noise_dim, 65536)?;
        positive("number of hidden layers", self.hidden.len(), 64)?;
        positive("outputs", self.outputs, 4096)?;
        for (i, &width) in self.hidden.iter().enumerate() {
            positive(&format!("hidden.{i}"), width, 16384)?;
        }
        Ok(())
    }
}
