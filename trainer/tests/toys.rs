//! The method in the plane: from every start the generator reaches the data.

use std::fs;

use driftlet_trainer::{TrainOptions, train};

const CONFIG: &str = r#"
preset = "toy"
data = "gaussian-mixture"
seed = 2
steps = 250
[optimizer]
learning_rate = 2e-3
beta_2 = 0.99
weight_decay = 0.0
warmup_steps = 10
ema = 0.9
[log]
every = 50
review_every = 50
checkpoint_every = 250
[field]
affinity_floor = 0.0
[toy]
generated = 128
positives = 128
starts = ["middle", "far", "collapsed"]
"#;

#[test]
fn every_start_reaches_the_data() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let (config, out) = (directory.path().join("c.toml"), directory.path().join("run"));
    fs::write(&config, CONFIG)?;
    train(TrainOptions { config, out: out.clone(), backend: "flex".into(), resume: false, set: Vec::new() })?;
    for start in ["middle", "far", "collapsed"] {
        let log = fs::read_to_string(out.join(start).join("log.jsonl"))?;
        let lines = log.lines().map(serde_json::from_str::<serde_json::Value>).collect::<Result<Vec<_>, _>>()?;
        let distances: Vec<f64> = lines.iter().filter_map(|line| line["energy_distance"].as_f64()).collect();
        let (first, last) = (distances[0], distances[distances.len() - 1]);
        // Before the first step all points are at one place; the data has a radius of 0.8.
        assert!(first > 0.3, "{start}: {distances:?}");
        assert!(last < 0.05, "{start}: {distances:?}");
    }
    let animation = fs::read(out.join("evolution.gif"))?;
    assert!(animation.starts_with(b"GIF89a") && animation.len() > 10_000);
    Ok(())
}
