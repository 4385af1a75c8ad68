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
mod compare;
mod coverage;
mod error;
mod features;
mod frechet;
mod html;
mod psnr;
mod statistics;
mod table;

pub use bootstrap::{Interval, paired_difference};
pub use compare::{ComparedModel, Comparison, Generated, ReferenceModel, Settings, compare};
pub use coverage::{Coverage, coverage};
pub use error::MetricsError;
pub use features::{Features, extract};
pub use frechet::frechet_distance;
pub use html::{Grid, html};
pub use psnr::psnr;
pub use statistics::Statistics;
pub use table::table;
