//! Integer kernels: 8-bit weights, 8- or 16-bit values, exact sums, one fixed-point rounding. See `docs/arithmetic.md`.
//!
//! Sizes, bits and scales are those that the parse admits; on them nothing overflows, and nothing panics.

mod add;
mod attention;
mod concat;
mod conv;
mod embed;
mod fixed;
mod lookup;
mod nibbles;
mod norm;
mod operand;
mod pool;
mod resize;
mod root;
mod share;
#[cfg(test)]
mod testing;

pub use add::{add, gate};
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
pub use attention::lanes::Lanes;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use attention::wasm::Simd128;
#[cfg(target_arch = "x86_64")]
pub use attention::x86::{Lanes256, Lanes512};
pub use attention::{
    Attention, HeadNorm, MAX_HEAD, MAX_OUTPUT_SHIFT, MAX_TOKENS, Projection, Rotary, attention,
    chosen as attention_kernels, scratch_len as attention_scratch_len,
};
pub use concat::{Place, requantize};
pub use conv::{Epilogue, Rescale, Residual, Weights, conv};
pub use embed::{Position, embed_styles, interpolate};
pub use fixed::{Int, Scale, Scales};
pub use lookup::{Table, lookup, mul};
pub use nibbles::expand;
pub use norm::{Kind as NormKind, Norm, norm};
pub use operand::{Ints, IntsMut, Operand, Output};
pub use pool::global_avg_pool;
pub use resize::bilinear;
pub use root::{Length, Normalizer};
