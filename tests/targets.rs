//! `driftlet inspect --target`: whether a model fits a chip, and what to do if not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn driftlet(arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_driftlet")).current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output()
}

fn quantized(directory: &Path, name: &str, options: &[&str]) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let out = directory.join(name);
    let path = out.to_str().ok_or("a path of other characters")?;
    let arguments = ["quantize", "models/fashion-nano", "--calibration-samples", "4", "--out", path];
    let done = driftlet(&[&arguments, options].concat())?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(out)
}

/// The `target` of the JSON.
fn inspect(file: &Path, options: &[&str]) -> Result<Value, Box<dyn std::error::Error>> {
    let done = driftlet(&[&["inspect", file.to_str().ok_or("path")?, "--json"], options].concat())?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(serde_json::from_slice::<Value>(&done.stdout)?["target"].take())
}

#[test]
fn inspect_says_what_fits_and_what_helps() -> Outcome {
    let directory = tempfile::tempdir()?;
    let file = quantized(directory.path(), "nano.drift", &["--precision", "int8"])?;
    for target in ["cortex-m0", "cortex-m4", "cortex-m7", "cortex-m55", "riscv32"] {
        let free = inspect(&file, &["--target", target])?;
        assert_eq!(free["fits"], Value::Null, "nothing was said of the chip");
        let number = |field: &str, part: &str| free[field][part].as_u64().ok_or(format!("{field} {part}"));
        let (ram, flash) = (number("ram", "needed")?, number("flash", "needed")?);
        assert_eq!(ram, number("ram", "arena")? + number("ram", "stack")? + number("ram", "statics")?);
        assert_eq!(flash, std::fs::metadata(&file)?.len() + number("flash", "code")?);
        assert!(free["instructions"].as_u64().is_some_and(|count| count > 1_000_000), "{free}");

        let verdict = |ram: u64, flash: u64| {
            inspect(&file, &["--target", target, "--ram", &ram.to_string(), "--flash", &flash.to_string()])
        };
        assert_eq!(verdict(ram, flash)?["fits"], true);
        let short = verdict(ram - 1, flash)?;
        assert_eq!((&short["fits"], &short["ram"]["missing"]), (&false.into(), &1.into()));
        let remedies = short["remedies"].to_string();
        // What the arena may take at most.
        let limit = format!("--ram-limit {}`", number("ram", "arena")? - 1);
        assert!(remedies.contains(&limit) && remedies.contains("--activations 8"), "{remedies}");
        let short = verdict(ram, flash - 1)?;
        assert_eq!((&short["fits"], &short["flash"]["missing"]), (&false.into(), &1.into()));
        assert!(!short["remedies"].to_string().contains("--ram-limit"), "{short}");
    }
    // The remedies help: the same chip is large enough then.
    let free = inspect(&file, &["--target", "cortex-m4"])?;
    let ram = free["ram"]["needed"].as_u64().ok_or("ram")? * 3 / 4;
    let limit = free["ram"]["arena"].as_u64().ok_or("arena")? - (free["ram"]["needed"].as_u64().ok_or("ram")? - ram);
    for remedy in [&["--ram-limit", &limit.to_string()][..], &["--activations", "8"]] {
        let smaller = quantized(directory.path(), "smaller.drift", &[&["--precision", "int8"], remedy].concat())?;
        assert_eq!(
            inspect(&smaller, &["--target", "cortex-m4", "--ram", &ram.to_string()])?["fits"],
            true,
            "{remedy:?}"
        );
    }
    Ok(())
}

#[test]
fn inspect_refuses_what_it_cannot_judge() -> Outcome {
    let directory = tempfile::tempdir()?;
    let float = quantized(directory.path(), "float.drift", &["--precision", "f32"])?;
    let float = float.to_str().ok_or("path")?;
    for (arguments, says) in [
        (vec!["inspect", float, "--target", "cortex-m4"], "--precision int8"),
        (vec!["inspect", float, "--target", "z80"], "cortex-m0, cortex-m4"),
        (vec!["inspect", float, "--target", "cortex-m4", "--ram", "much"], "256K"),
        (vec!["inspect", float, "--ram", "256K"], "--target"),
    ] {
        let done = driftlet(&arguments)?;
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success() && errors.contains(says), "{arguments:?}: {errors}");
    }
    Ok(())
}
