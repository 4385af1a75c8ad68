//! Runs on data that the tests make: pictures in folders, latents.

use std::fs;
use std::path::Path;

use driftlet_trainer::{TrainError, TrainOptions, train};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn run(config: &Path, out: &Path) -> Result<(), TrainError> {
    let (config, out) = (config.into(), out.into());
    train(TrainOptions { config, out, backend: "flex".into(), resume: false, set: Vec::new() })
}

/// A generator of 16 x 16 samples of two classes.
fn config(data: &str, channels: usize) -> String {
    format!(
        r#"
data = {data}
steps = 2
[network]
type = "edge-conv"
height = 16
width = 16
channels = {channels}
classes = 2
noise_dim = 8
hidden = 8
base_channels = 4
stages = [{{ channels = 4, residual = 0 }}, {{ channels = 4, residual = 0 }}]
guidance_knots = [1.0, 2.0]
[log]
every = 1
review_samples = 4
[drift]
generated = 2
positives = 2
negatives = 1
features = ["pixels"]
"#
    )
}

#[test]
fn pictures_in_folders() -> Outcome {
    let directory = tempfile::tempdir()?;
    for (class, shade) in [("day", 200u8), ("night", 20)] {
        let folder = directory.path().join("pictures").join(class);
        fs::create_dir_all(&folder)?;
        for i in 0..12u8 {
            let pixels: Vec<u8> = (0..20 * 18 * 3).map(|p| shade.wrapping_add((p % 17) as u8 + i)).collect();
            let png = driftlet_data::grid_png(&pixels, [18, 20, 3], 1)?;
            fs::write(folder.join(format!("{i}.png")), png)?;
        }
    }
    let path = directory.path().join("c.toml");
    fs::write(&path, config("{ folder = \"pictures\", size = 16 }", 3))?;
    let out = directory.path().join("run");
    run(&path, &out)?;
    let checkpoint = driftlet_checkpoint::Checkpoint::load(&out.join("checkpoint"))?;
    assert_eq!(checkpoint.config.class_names, ["day", "night"]);
    assert_eq!(checkpoint.config.data, "pictures");
    // A network of another shape is refused by name.
    fs::write(&path, config("{ folder = \"pictures\", size = 16 }", 1))?;
    let message = run(&path, &directory.path().join("other")).expect_err("grey network").to_string();
    assert!(message.contains("[16, 16, 3]"), "{message}");
    Ok(())
}

#[test]
fn latents_from_a_file() -> Outcome {
    use safetensors::tensor::{Dtype, TensorView};
    let directory = tempfile::tempdir()?;
    let values: Vec<u8> = (0..24 * 16 * 16 * 4).flat_map(|i| ((i % 29) as f32 / 10.0 - 1.4).to_le_bytes()).collect();
    let labels: Vec<u8> = (0..24).map(|i| i % 2).collect();
    let latents = TensorView::new(Dtype::F32, vec![24, 16, 16, 4], &values)?;
    let labels = TensorView::new(Dtype::U8, vec![24], &labels)?;
    let file = safetensors::serialize([("latents", latents), ("labels", labels)], None)?;
    fs::write(directory.path().join("latents.safetensors"), file)?;
    let path = directory.path().join("c.toml");
    fs::write(&path, config("{ latents = \"latents.safetensors\", layout = \"nhwc\" }", 4))?;
    run(&path, &directory.path().join("run"))?;
    Ok(())
}

#[test]
fn unknown_data_is_named() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("c.toml");
    fs::write(&path, config("\"fashion\"", 1))?;
    let message = run(&path, &directory.path().join("run")).expect_err("no such data").to_string();
    assert!(message.contains("fashion-mnist") && message.contains("swiss-roll"), "{message}");
    Ok(())
}
