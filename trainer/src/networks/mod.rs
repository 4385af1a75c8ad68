//! The networks of `driftlet-checkpoint` in Burn. Fields stand in the order of `Architecture::parameters`, so that
//! visiting a module gives its parameters in that order.

mod classifier;
mod convnext_v2;
mod edge_conv;
mod encoder;
mod layers;
mod weights;

pub use classifier::Classifier;
pub use convnext_v2::ConvNextV2;
pub use edge_conv::{EdgeConv, between_knots, one_hot};
pub use encoder::{Encoder, FeatureMap};
pub use weights::{average, export, import};
