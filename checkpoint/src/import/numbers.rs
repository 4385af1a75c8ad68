//! Numbers as other people's files store them.

use half::{bf16, f16};

/// How a number is stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    Bf16,
}

impl Kind {
    /// Reads numbers one after another.
    pub fn numbers(self, bytes: &[u8]) -> Vec<f32> {
        let pairs = || bytes.as_chunks::<2>().0.iter();
        match self {
            Self::F32 => bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Self::F16 => pairs().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Self::Bf16 => pairs().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        }
    }
}
