//! Whole runs: resuming, refusing, stopping. They need Fashion-MNIST and are skipped without it.

use std::fs;
use std::path::{Path, PathBuf};

use driftlet_checkpoint::Checkpoint;
use driftlet_trainer::{TrainError, TrainOptions, train};

type Failure = Box<dyn std::error::Error>;
type Outcome = Result<(), Failure>;

const GENERATOR: &str = r#"
preset = "nano"
data = "fashion-mnist"
seed = 4
steps = 4

[optimizer]
learning_rate = 1e-3

[log]
every = 1
review_every = 2
checkpoint_every = 2
review_samples = 20

[drift]
generated = 3
positives = 4
negatives = 2
features = ["pixels4x4", "patches4x4"]
"#;

/// A directory with a configuration, or `None` without the data.
fn workshop(config: &str) -> Result<Option<(tempfile::TempDir, PathBuf)>, Failure> {
    if let Err(error) = driftlet_data::fashion_mnist(None, driftlet_data::Split::Test) {
        eprintln!("skipped: {error}");
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config.toml");
    fs::write(&path, config)?;
    Ok(Some((directory, path)))
}

fn run(config: &Path, out: &Path, resume: bool, set: &[&str]) -> Result<(), TrainError> {
    train(TrainOptions {
        config: config.into(),
        out: out.into(),
        backend: "flex".into(),
        resume,
        set: set.iter().map(|s| s.to_string()).collect(),
    })
}

/// Steps with their losses and gradient norms.
fn losses(out: &Path) -> Result<Vec<(u64, f64, f64)>, Failure> {
    let lines = fs::read_to_string(out.join("log.jsonl"))?;
    let lines = lines.lines().map(serde_json::from_str::<serde_json::Value>).collect::<Result<Vec<_>, _>>()?;
    let figures =
        |l: &serde_json::Value| Some((l["step"].as_u64()?, l["loss"].as_f64()?, l["gradient_norm"].as_f64()?));
    Ok(lines.iter().filter_map(figures).collect())
}

#[test]
fn a_resumed_run_is_the_unbroken_run() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let (whole, broken) = (directory.path().join("whole"), directory.path().join("broken"));
    run(&config, &whole, false, &[])?;
    run(&config, &broken, false, &["steps=2"])?;
    // What a run wrote after its last checkpoint is repeated, not doubled.
    let mut log = fs::read_to_string(broken.join("log.jsonl"))?;
    log.push_str("{\"step\":3,\"loss\":1.0,\"gradient_norm\":1.0}\n");
    fs::write(broken.join("log.jsonl"), log)?;
    run(&config, &broken, true, &[])?;
    assert_eq!(losses(&whole)?.len(), 4);
    assert_eq!(losses(&whole)?, losses(&broken)?);
    assert_eq!(
        Checkpoint::load(&whole.join("checkpoint"))?.tensors,
        Checkpoint::load(&broken.join("checkpoint"))?.tensors
    );
    assert!(whole.join("samples/step-000002.png").exists());
    let events = fs::read_dir(&whole)?.filter_map(Result::ok).map(|entry| entry.file_name());
    assert!(events.into_iter().any(|name| name.to_string_lossy().starts_with("events.out.tfevents")));
    Ok(())
}

#[test]
fn runs_are_not_mixed_up() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let out = directory.path().join("run");
    let message = |result: Result<(), TrainError>| result.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message(run(&config, &out, true, &[])).contains("no run to resume"));
    run(&config, &out, false, &["steps=1"])?;
    assert!(message(run(&config, &out, false, &[])).contains("--resume"));
    assert!(message(run(&config, &out, true, &["seed=5"])).contains("another configuration"));
    let state = out.join("state.safetensors");
    let torn = fs::read(&state)?;
    fs::write(&state, &torn[..torn.len() / 2])?;
    assert!(message(run(&config, &out, true, &[])).contains("state.safetensors"));
    Ok(())
}

#[test]
fn numbers_that_overflow_stop_the_run_and_keep_the_checkpoint() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let out = directory.path().join("run");
    let set = ["steps=50", "optimizer.learning_rate=1e30", "optimizer.warmup_steps=0", "log.checkpoint_every=1"];
    let error = run(&config, &out, false, &set).expect_err("an overflow");
    assert!(matches!(error, TrainError::NotFinite { .. }), "{error}");
    Checkpoint::load(&out.join("checkpoint"))?;
    Ok(())
}

/// Classes of a step worked off in parts, samples encoded anew: other ways to the same kind of step.
#[test]
fn other_ways_through_a_step_train_too() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let (plain, saving) = (directory.path().join("plain"), directory.path().join("saving"));
    run(&config, &plain, false, &["steps=2"])?;
    run(&config, &saving, false, &["steps=2", "drift.cache=false"])?;
    for ((_, a, norm_a), (_, b, norm_b)) in losses(&plain)?.into_iter().zip(losses(&saving)?) {
        assert!((a - b).abs() < 1e-4 * a && (norm_a - norm_b).abs() < 1e-3 * norm_a, "{a} {b}, {norm_a} {norm_b}");
    }
    let parts = directory.path().join("parts");
    run(&config, &parts, false, &["steps=2", "drift.classes=5", "drift.accumulate=2", "optimizer.ema=[0.1, 0.99]"])?;
    assert!(losses(&parts)?.iter().all(|(_, loss, norm)| loss.is_finite() && *norm > 0.0));
    assert_ne!(
        Checkpoint::load(&parts.join("checkpoint"))?.tensors,
        Checkpoint::load(&parts.join("checkpoint-ema-0.99"))?.tensors
    );
    Ok(())
}

/// Devices share the parts of a step and add them up in the same order: how many there are changes nothing, and may change
/// when a run is resumed.
#[test]
fn several_devices_are_one() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let (one, three) = (directory.path().join("one"), directory.path().join("three"));
    let parts = ["drift.classes=7", "drift.accumulate=4", "drift.cache=false"];
    run(&config, &one, false, &parts)?;
    run(&config, &three, false, &[&parts[..], &["steps=2", "devices=2"]].concat())?;
    run(&config, &three, true, &[&parts[..], &["devices=3"]].concat())?;
    assert_eq!(losses(&one)?.len(), 4);
    assert_eq!(losses(&one)?, losses(&three)?);
    let weights = |out: &Path| Checkpoint::load(&out.join("checkpoint")).map(|checkpoint| checkpoint.tensors);
    assert_eq!(weights(&one)?, weights(&three)?);
    let error = run(&config, &directory.path().join("idle"), false, &["devices=2"]).expect_err("one part for two");
    assert!(error.to_string().contains("drift.accumulate"), "{error}");
    Ok(())
}

/// Half precision changes loss and gradient a little, and nothing but a little, in a step of several parts too.
#[test]
fn half_precision_stays_close() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let (single, half) = (directory.path().join("single"), directory.path().join("half"));
    let parts = ["steps=2", "drift.classes=4", "drift.accumulate=4"];
    run(&config, &single, false, &parts)?;
    run(&config, &half, false, &[&parts[..], &["precision=bf16"]].concat())?;
    for ((_, a, norm_a), (_, b, norm_b)) in losses(&single)?.into_iter().zip(losses(&half)?) {
        assert!(a != b && (a - b).abs() < 0.05 * a, "{a} {b}");
        assert!((norm_a - norm_b).abs() < 0.15 * norm_a, "{norm_a} {norm_b}");
    }
    Ok(())
}

/// Weights of 4 bits change the loss, not what a checkpoint can hold: steps far smaller than theirs are kept, and go on when a
/// run is resumed.
#[test]
fn weights_of_four_bits_are_trained_for() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let (plain, rounded, broken) =
        (directory.path().join("plain"), directory.path().join("rounded"), directory.path().join("broken"));
    run(&config, &plain, false, &["steps=2"])?;
    run(&config, &rounded, false, &["steps=2", "weight_bits=4"])?;
    for ((_, a, _), (_, b, norm)) in losses(&plain)?.into_iter().zip(losses(&rounded)?) {
        assert!(a != b && (a - b).abs() < 0.2 * a && norm > 0.0, "{a} {b} {norm}");
    }
    run(&config, &broken, false, &["steps=1", "weight_bits=4"])?;
    run(&config, &broken, true, &["steps=2", "weight_bits=4"])?;
    let weights = |out: &Path| Checkpoint::load(&out.join("checkpoint")).map(|checkpoint| checkpoint.tensors);
    assert_eq!(weights(&rounded)?, weights(&broken)?);
    let (plain, rounded) = (weights(&plain)?, weights(&rounded)?);
    for (name, tensor) in &rounded {
        let far = tensor.data.iter().zip(&plain[name].data).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(far < 5e-3, "{name} is rounded itself, by {far}");
    }
    assert_ne!(plain, rounded);
    Ok(())
}

/// The paper's networks at a small size.
#[test]
fn transformers_and_masked_autoencoders_train() -> Outcome {
    const AUTOENCODER: &str = r#"
preset = "mae-28"
data = "fashion-mnist"
steps = 2
[log]
every = 1
review_samples = 20
[encoder]
batch = 4
augment = "crop"
mask = 0.5
fine_tune_steps = 1
cross_entropy = 0.1
"#;
    let Some((directory, config)) = workshop(AUTOENCODER)? else { return Ok(()) };
    run(&config, &directory.path().join("encoder"), false, &["network.base=8"]).expect_err("a preset and a network");
    run(&config, &directory.path().join("encoder"), false, &[])?;
    let transformer = GENERATOR.replace("\"nano\"", "\"dit-28\"").replace(
        "features = [\"pixels4x4\", \"patches4x4\"]",
        "features = [\"rms\", \"locations@2\", \"means\", \"deviations2x2\"]\nencoders = [\"encoder/checkpoint\"]\ncache = false",
    );
    fs::write(&config, transformer)?;
    let out = directory.path().join("transformer");
    run(&config, &out, false, &["steps=2", "drift.generated=2", "drift.classes=2", "log.review_samples=10"])?;
    assert_eq!(losses(&out)?.len(), 2);
    Checkpoint::load(&out.join("checkpoint"))?;
    Ok(())
}

#[test]
fn an_unknown_backend_is_named() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let options = TrainOptions {
        config,
        out: directory.path().join("run"),
        backend: "abacus".into(),
        resume: false,
        set: Vec::new(),
    };
    let message = train(options).expect_err("no such backend").to_string();
    assert!(message.contains("abacus") && message.contains("flex"), "{message}");
    Ok(())
}

#[test]
fn decoders_are_not_trained() -> Outcome {
    let Some((directory, config)) = workshop(GENERATOR)? else { return Ok(()) };
    let error = run(&config, &directory.path().join("run"), false, &["preset=vae-decoder-toy"]);
    let message = error.expect_err("not trained").to_string();
    assert!(message.contains("driftlet import"), "{message}");
    Ok(())
}

#[test]
fn classifiers_and_encoders_train() -> Outcome {
    const LOG: &str = "data = \"fashion-mnist\"\nsteps = 2\n[log]\nevery = 1\nreview_samples = 20\n";
    for (head, section) in [
        ("preset = \"fashion-classifier\"\n", "[classifier]\nbatch = 4\n"),
        (
            "preset = \"fashion-encoder\"\n",
            "[encoder]\nbatch = 4\nmask = 0.5\nfine_tune_steps = 1\ncross_entropy = 0.1\n",
        ),
    ] {
        let Some((directory, config)) = workshop(&[head, LOG, section].concat())? else { return Ok(()) };
        let out = directory.path().join("run");
        run(&config, &out, false, &[])?;
        assert_eq!(losses(&out)?.len(), 2);
        assert!(fs::read_to_string(out.join("log.jsonl"))?.contains("test_accuracy"));
        Checkpoint::load(&out.join("checkpoint"))?;
    }
    Ok(())
}
