//! What quantization cost: Frechet distances of generated pictures with confidence intervals, and reports.
//!
//! ```
//! use driftlet_metrics::{Statistics, frechet_distance};
//!
//! # fn main() -> Result<(), driftlet_metrics::MetricsError> {
//! let a = Statistics::of(&[0.0, 1.0, 2.0, 3.0], 1)?;
//! let b = Statistics::of(&[1.0, 2.0, 3.0, 4.0], 1)?;
//! assert!((frechet_distance(&a, &b)? - 1.0).abs() < 1e-9);
//! # Ok(()) }
//! ```

mod bootstrap;
mod collected;
mod collected_file;
mod compare;
mod comparison;
mod coverage;
mod differences;
mod error;
mod features;
mod frechet;
mod html;
mod inception_score;
mod infinity;
mod kid;
mod moments;
mod npy;
mod plot;
mod psnr;
mod real;
mod sensitivity;
mod ssim;
mod statistics;
mod summary;
mod table;
mod tree;
mod vectors;
mod vectors_file;

pub use bootstrap::{Interval, Resamples, paired_difference};
pub use collected::{About, Collected, Identity, Layer, SHOWN, Shard, samples_of};
pub use compare::{Settings, compare};
pub use comparison::{ComparedModel, Comparison, Difference, ReferenceModel, SeedFloor};
pub use coverage::{Coverage, coverage};
pub use error::MetricsError;
pub use features::{Features, extract};
pub use frechet::{Target, frechet_distance};
pub use html::{Grid, Page, html};
pub use inception_score::inception_score;
pub use kid::{Kid, kernel_distance};
pub use moments::Moments;
pub use npy::npy;
pub use psnr::psnr;
pub use real::{Memorization, Real};
pub use sensitivity::{LayerCost, Pictures, Sensitivity, sensitivity};
pub use ssim::ssim;
pub use statistics::Statistics;
pub use table::table;
pub use vectors_file::{DataVectors, VectorsAbout};
