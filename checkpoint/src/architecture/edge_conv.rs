//! The convolutional generator for edge devices.

use serde::{Deserialize, Serialize};

use super::{Interface, layer, positive};

/// A class-conditional convolutional generator that a microcontroller can hold.
///
/// ```text
/// h = relu(W_noise e + b_noise + class[c] + guidance(a))         guidance: piecewise linear between rows, clamped
/// x = relu(W_base h + b_base)                                    [height / 2^(stages-1), .., base_channels]
/// each stage: x = upsample(x) except in the first;  x = relu(conv3x3(x) + b)
///             `residual` times: x = relu(x + conv3x3(x) + b)
/// y = tanh(conv3x3(x) + b)                                       in [-1, 1]
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeConv {
    /// Height of the picture.
    pub height: usize,
    /// Width of the picture.
    pub width: usize,
    /// Channels of the picture: 1 or 3.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Length of the noise vector.
    pub noise_dim: usize,
    /// Length of the joint embedding of noise, class and guidance.
    pub hidden: usize,
    /// Channels of the base map.
    pub base_channels: usize,
    /// Stages, each but the first of twice the size of the one before.
    pub stages: Vec<Stage>,
    /// Guidance strengths that have a row of their own, evenly spaced.
    pub guidance_knots: Vec<f32>,
}

/// One resolution of the generator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Channels of its maps.
    pub channels: usize,
    /// Residual convolutions after the first one.
    pub residual: usize,
}

impl EdgeConv {
    fn fashion(hidden: usize, base_channels: usize, stages: &[(usize, usize)]) -> Self {
        Self {
            height: 28,
            width: 28,
            channels: 1,
            classes: 10,
            noise_dim: 64,
            hidden,
            base_channels,
            stages: stages.iter().map(|&(channels, residual)| Stage { channels, residual }).collect(),
            guidance_knots: vec![1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0],
        }
    }

    /// About 210,000 weights for 28 x 28 pictures: int8 fits 256 KB of flash and 64 KB of RAM.
    pub(super) fn micro() -> Self {
        Self::fashion(80, 24, &[(64, 1), (48, 1), (24, 0)])
    }

    /// About 81,000 weights for 28 x 28 pictures: below 100 KB in int8.
    pub(super) fn nano() -> Self {
        Self { noise_dim: 48, ..Self::fashion(56, 12, &[(40, 1), (32, 1), (14, 0)]) }
    }

    /// [`Self::micro`] with more residual convolutions: about 275,000 weights.
    pub(super) fn small() -> Self {
        Self::fashion(80, 24, &[(64, 2), (48, 2), (24, 1)])
    }

    /// Height and width of the base map.
    pub fn base_size(&self) -> (usize, usize) {
        let doublings = self.stages.len().saturating_sub(1);
        (self.height >> doublings, self.width >> doublings)
    }

    pub(super) fn interface(&self) -> Interface {
        let knots = &self.guidance_knots;
        let guidance = (knots.first().copied().unwrap_or(1.0), knots.last().copied().unwrap_or(1.0));
        let shape = [self.height, self.width, self.channels];
        Interface { shape, noise_len: self.noise_dim, styles: (0, 1), guidance }
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = Vec::new();
        layer(&mut list, "noise", vec![self.hidden, self.noise_dim]);
        list.push(("class.weight".into(), vec![self.classes, self.hidden]));
        list.push(("guidance.weight".into(), vec![self.guidance_knots.len(), self.hidden]));
        let (height, width) = self.base_size();
        layer(&mut list, "base", vec![height * width * self.base_channels, self.hidden]);
        let mut inputs = self.base_channels;
        for (s, stage) in self.stages.iter().enumerate() {
            layer(&mut list, &format!("stages.{s}.conv"), vec![stage.channels, inputs, 3, 3]);
            for r in 0..stage.residual {
                layer(&mut list, &format!("stages.{s}.residual.{r}"), vec![stage.channels, stage.channels, 3, 3]);
            }
            inputs = stage.channels;
        }
        layer(&mut list, "out", vec![self.channels, inputs, 3, 3]);
        list
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("channels", self.channels, 4)?;
        positive("classes", self.classes, 65536)?;
        positive("noise_dim", self.noise_dim, 65536)?;
        positive("hidden", self.hidden, 16384)?;
        positive("base_channels", self.base_channels, 4096)?;
        positive("number of stages", self.stages.len(), 10)?;
        let whole = 1 << (self.stages.len() - 1);
        for (field, size) in [("height", self.height), ("width", self.width)] {
            positive(field, size, 4096)?;
            if size % whole != 0 {
                return Err(format!(
                    "{field} is {size}; with {} stages it must be a multiple of {whole}",
                    self.stages.len()
                ));
            }
        }
        for (s, stage) in self.stages.iter().enumerate() {
            positive(&format!("stages.{s}.channels"), stage.channels, 4096)?;
            if stage.residual > 64 {
                return Err(format!("stages.{s}.residual is {}; it must be at most 64", stage.residual));
            }
        }
        let knots = &self.guidance_knots;
        let rising = knots.windows(2).all(|pair| pair[0] < pair[1]);
        if !(2..=4096).contains(&knots.len()) || !rising || knots[0] < 0.0 || knots[knots.len() - 1] >= 256.0 {
            return Err(format!("guidance_knots {knots:?} must be two or more rising numbers in 0..256"));
        }
        Ok(())
    }
}
