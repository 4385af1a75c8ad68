//! Single-precision kernels, with single- or half-precision weights. The order of every sum is fixed, and products and
//! sums are rounded separately, so results agree across targets.

mod add;
mod attention;
mod concat;
mod conv;
mod elementwise;
mod embed;
mod function;
pub mod lanes;
mod lookup;
mod norm;
mod pool;
mod resize;
#[cfg(test)]
mod testing;
mod weight;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use add::{add, add_weights, gate};
pub use attention::{Attention, Rotary, attention, scratch_len as attention_scratch_len};
pub use concat::concat;
pub use conv::{Residual, Weights, conv};
pub use embed::{embed_styles, interpolate};
pub use lookup::{lookup, mul};
pub use norm::{Norm, norm};
pub use pool::{Window, global_avg_pool, pool};
pub use resize::{resize_bilinear, stretch};
pub use weight::{Weight, widen};
