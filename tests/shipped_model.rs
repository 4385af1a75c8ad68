//! What the repository ships keeps its promises.

use std::path::Path;
use std::process::Command;

/// The demonstration writes its files, its samples look like what they are meant to be, and quantization costs little.
#[test]
fn the_demonstration_tells_a_good_story() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let output = Command::new(env!("CARGO_BIN_EXE_driftlet"))
        .args(["demo", "--samples", "600", "--out"])
        .arg(directory.path())
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["samples.png", "report.html"] {
        assert!(directory.path().join(name).exists(), "{name}");
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(directory.path().join("report.json"))?)?;
    let number = |value: &serde_json::Value| value.as_f64().ok_or("not a number");
    let (frechet, untrained) = (number(&json["reference"]["frechet"])?, number(&json["untrained"])?);
    assert!(frechet < 0.1 * untrained, "{frechet} against {untrained}");
    assert!(number(&json["reference"]["class_accuracy"])? > 0.85);
    let candidates = json["candidates"].as_array().ok_or("no candidates")?;
    assert_eq!(candidates.len(), 2);
    for candidate in candidates {
        let (delta, low, high) =
            (number(&candidate["delta"])?, number(&candidate["delta_low"])?, number(&candidate["delta_high"])?);
        let covers_zero = low <= 0.0 && high >= 0.0;
        assert!(covers_zero || delta < 0.05 * frechet, "{candidate}");
    }
    Ok(())
}

/// Shipped checkpoints load, are small, and say how they came to be.
#[test]
fn checkpoints_are_whole_and_documented() -> Result<(), Box<dyn std::error::Error>> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let mut checked = 0;
    for entry in std::fs::read_dir(models)? {
        let path = entry?.path();
        let checkpoint = driftlet_checkpoint::Checkpoint::load(&path)?;
        assert_eq!(checkpoint.config.class_names.len(), checkpoint.config.architecture.classes());
        assert!(std::fs::metadata(path.join("weights.safetensors"))?.len() < 2 << 20);
        let about = std::fs::read_to_string(path.join("README.md"))?;
        for word in ["command", "seed", "steps", "licence"] {
            assert!(about.contains(word), "{}: README.md does not tell the {word}", path.display());
        }
        checked += 1;
    }
    assert_eq!(checked, 6);
    Ok(())
}

/// The cards of the generators tell the hash of the int8 pictures, and what they are for.
#[test]
fn cards_of_generators_hold() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let driftlet = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_driftlet")).args(arguments).output();
    let file = directory.path().join("model.drift");
    let file = file.to_str().ok_or("path")?;
    for name in ["fashion-nano", "fashion-micro", "fashion-small"] {
        let folder = models.join(name);
        let made = driftlet(&["quantize", folder.to_str().ok_or("path")?, "--precision", "int8", "--out", file])?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let hashes = String::from_utf8(driftlet(&["sample", file, "--count", "10", "--hash"])?.stdout)?;
        let all = hashes.lines().last().ok_or("no hash")?;
        let card = std::fs::read_to_string(folder.join("README.md"))?;
        assert!(all.ends_with("  all") && card.contains(all), "{name}: {all}");
        for word in ["| data |", "licence of the weights", "intended use", "Frechet", "Limits:"] {
            assert!(card.contains(word), "{name}: README.md does not tell: {word}");
        }
    }
    Ok(())
}
