//! The drifting field, by name and number.

use serde::{Deserialize, Serialize};

use crate::drift;
use crate::drift::{Kernel, Normalization};

/// See [`drift::Field`]; the paper's where left out.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    pub temperatures: Vec<f64>,
    pub kernel: Kernel,
    pub normalization: Normalization,
    pub affinity_floor: f64,
    /// Temperatures that start higher.
    pub annealing: Option<Annealing>,
}

impl Default for Field {
    fn default() -> Self {
        let drift::Field { temperatures, kernel, normalization, affinity_floor } = drift::Field::default();
        Self { temperatures, kernel, normalization, affinity_floor, annealing: None }
    }
}

/// Temperatures are multiplied by a factor that falls geometrically from `start` to 1 (arXiv 2603.09936).
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Annealing {
    pub start: f64,
    pub steps: u64,
}

impl Field {
    /// The field of a step.
    pub fn at(&self, step: u64) -> drift::Field {
        let factor = self
            .annealing
            .map_or(1.0, |Annealing { start, steps }| start.powf(1.0 - (step as f64 / steps as f64).min(1.0)));
        drift::Field {
            temperatures: self.temperatures.iter().map(|t| t * factor).collect(),
            kernel: self.kernel,
            normalization: self.normalization,
            affinity_floor: self.affinity_floor,
        }
    }

    /// The field that is wrong, if one is.
    pub fn check(&self) -> Result<(), String> {
        if self.temperatures.is_empty() || !self.temperatures.iter().all(|&t| t > 0.0) {
            return Err("field.temperatures must be positive numbers, at least one".into());
        }
        if self.affinity_floor.is_nan() || self.affinity_floor < 0.0 {
            return Err("field.affinity_floor must not be negative".into());
        }
        match self.annealing {
            Some(Annealing { start, steps }) if !(start > 0.0 && steps > 0) => {
                Err("field.annealing: start and steps must be positive".into())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_fall_to_their_own() {
        let field = Field { annealing: Some(Annealing { start: 4.0, steps: 10 }), ..Field::default() };
        let first = |step| field.at(step).temperatures[0];
        assert!((first(0) - 0.08).abs() < 1e-12);
        assert!((first(5) - 0.04).abs() < 1e-12);
        assert!((first(10) - 0.02).abs() < 1e-12 && first(99) == first(10));
    }
}
