//! Training that is killed while it writes, and training without room to write: nothing is lost.
#![cfg(all(unix, feature = "train"))]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

type Failure = Box<dyn std::error::Error>;
type Outcome = Result<(), Failure>;

/// Writes its state after every step, so that a kill often meets a write.
const CONFIG: &str = r#"
preset = "toy"
data = "checkerboard"
seed = 6
steps = 60
[log]
every = 1
review_every = 1000
checkpoint_every = 1
[toy]
generated = 16
positives = 16
starts = ["middle"]
"#;

fn train(config: &Path, out: &Path, resume: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftlet"));
    command.arg("train").arg(config).arg("--out").arg(out).args(["--backend", "flex"]);
    command.args(resume.then_some("--resume")).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Steps with their losses.
fn losses(out: &Path) -> Result<Vec<(u64, f64)>, Failure> {
    let text = fs::read_to_string(out.join("middle/log.jsonl"))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(lines.filter_map(|line| Some((line["step"].as_u64()?, line["loss"].as_f64()?))).collect())
}

#[test]
fn a_killed_run_goes_on_as_if_nothing_had_happened() -> Outcome {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("c.toml");
    fs::write(&config, CONFIG)?;
    let (whole, broken) = (directory.path().join("whole"), directory.path().join("broken"));
    assert!(train(&config, &whole, false).status()?.success());

    let state = broken.join("middle/state.safetensors");
    for round in 0..6 {
        let mut child = train(&config, &broken, state.exists()).spawn()?;
        let before = fs::metadata(&state).and_then(|m| m.modified()).ok();
        // Once it has begun to save, kill it a little later each time.
        while fs::metadata(&state).and_then(|m| m.modified()).ok() == before && child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(3 * round));
        child.kill()?;
        child.wait()?;
    }
    let end = train(&config, &broken, true).output()?;
    assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));
    assert_eq!(losses(&whole)?.len(), 60);
    assert_eq!(losses(&whole)?, losses(&broken)?);
    let weights = |out: &Path| fs::read(out.join("middle/checkpoint/weights.safetensors"));
    assert_eq!(weights(&whole)?, weights(&broken)?);
    // What a kill left half-written is gone.
    let leftovers = fs::read_dir(broken.join("middle"))?.filter_map(Result::ok).map(|e| e.file_name());
    assert!(leftovers.into_iter().all(|name| !name.to_string_lossy().ends_with(".tmp")));
    Ok(())
}

#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() -> Outcome {
    let directory = tempfile::tempdir()?;
    let config = directory.path().join("c.toml");
    fs::write(&config, CONFIG.replace("steps = 60", "steps = 5"))?;
    let out = directory.path().join("run");
    assert!(train(&config, &out, false).status()?.success());
    let state = fs::read(out.join("middle/state.safetensors"))?;

    // No file may grow beyond 100 KiB: to a writer that is a disk without room.
    fs::write(&config, CONFIG)?;
    let command = format!(
        "trap '' XFSZ; ulimit -f 100; exec {} train {} --out {} --backend flex --resume",
        env!("CARGO_BIN_EXE_driftlet"),
        config.display(),
        out.display()
    );
    let full = Command::new("bash").args(["-c", &command]).output()?;
    let message = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot write"), "{message}");
    assert_eq!(fs::read(out.join("middle/state.safetensors"))?, state);

    let end = train(&config, &out, true).output()?;
    assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));
    assert_eq!(losses(&out)?.len(), 60);
    Ok(())
}
