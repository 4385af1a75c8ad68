//! What integers lose, as the file says itself.

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::{Options, Precision, quantize};
use driftlet_runtime::Model;

/// Before training the modulations of a transformer are zero: values without any range beside others that have one.
#[test]
fn values_that_are_zero_cost_the_others_nothing() -> Result<(), Box<dyn std::error::Error>> {
    let checkpoint = Checkpoint::random(Config::new(Architecture::preset("dit-28").ok_or("no preset")?), 3);
    let options = Options { calibration_samples: Some(4), ..Options::new("fresh", Precision::Int8) };
    let file = AVec::<u8>::from_slice(64, &quantize(&checkpoint, &options)?);
    let metadata: serde_json::Value = serde_json::from_slice(Model::parse(&file)?.metadata())?;
    let layers = metadata["layers"].as_array().ok_or("no layers")?;
    let ratios: Vec<f64> = layers.iter().filter_map(|layer| layer["sqnr"].as_f64()).collect();
    assert!(ratios.len() > layers.len() / 2, "{ratios:?}");
    assert!(ratios.iter().all(|&ratio| ratio > 40.0), "{ratios:?}");
    Ok(())
}
