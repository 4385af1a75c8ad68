//! The networks of `driftlet-checkpoint` in Burn. Fields stand in the order of `Architecture::parameters`, so that
//! visiting a module gives its parameters in that order.

mod classifier;
mod convnext_v2;
mod dit;
mod edge_conv;
mod encoder;
mod feature_encoder;
mod generator;
mod layers;
mod mlp;
mod precision;
mod resnet_mae;
mod rounding;
mod weights;

pub use classifier::Classifier;
pub use convnext_v2::ConvNextV2;
pub use dit::Dit;
pub use edge_conv::{EdgeConv, between_knots, one_hot};
pub use encoder::{Encoder, FeatureMap};
pub use feature_encoder::{FeatureEncoder, NamedMap};
pub use generator::{Generator, Inputs};
pub use mlp::Mlp;
pub use precision::in_precision;
pub use resnet_mae::ResnetMae;
pub use rounding::in_four_bits;
pub use weights::{average, export, import};
