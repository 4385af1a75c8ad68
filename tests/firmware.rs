//! The microcontroller makes the same pictures as the host, within the memory of a real chip.

use std::path::Path;
use std::process::Command;

/// The last number behind a label in a line.
fn figure(output: &str, line: &str, label: &str) -> Option<u64> {
    let line = output.lines().find(|l| l.starts_with(line))?;
    let rest = &line[line.find(label)? + label.len()..];
    rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn pictures_of_a_cortex_m4_equal_the_hosts() {
    let installed = |program: &str| Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    let required = std::env::var_os("DRIFTLET_REQUIRE_FIRMWARE").is_some();
    if !installed("qemu-system-arm") {
        assert!(!required, "qemu-system-arm is missing; run scripts/setup");
        eprintln!("skipped: qemu-system-arm is missing; scripts/setup installs it");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let result = Command::new(root.join("firmware-demo/run")).arg("mps2-an386").output().expect("the script starts");
    let output = String::from_utf8_lossy(&result.stdout);
    if result.status.code() == Some(3) && !required {
        eprintln!("skipped: {}", String::from_utf8_lossy(&result.stderr));
        return;
    }
    assert!(result.status.success(), "{output}\n{}", String::from_utf8_lossy(&result.stderr));
    assert!(output.contains("equal: 11 hashes"), "{output}");
    let flash = figure(&output, "flash", "flash").expect("a figure for flash");
    let model = figure(&output, "flash", "model").expect("a figure for the model");
    let ram = figure(&output, "RAM", "RAM").expect("a figure for RAM");
    assert!(model > 0 && model < 256 * 1024, "model takes {model} bytes");
    assert!(flash > model && flash < 1024 * 1024, "flash {flash} bytes");
    assert!(ram > 0 && ram < 64 * 1024, "RAM {ram} bytes");
}
