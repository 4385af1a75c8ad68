//! Microcontrollers make the same pictures as the host, within the memory of a real chip.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// `firmware-demo/run` ends with this if something must be installed first.
const NOT_INSTALLED: i32 = 3;

/// The first number behind a label in the line that starts with `line`.
fn figure(output: &str, line: &str, label: &str) -> u64 {
    let text = output.lines().find(|l| l.starts_with(line)).unwrap_or_else(|| panic!("no line `{line}` in\n{output}"));
    let rest = text.split_once(label).unwrap_or_else(|| panic!("no `{label}` in `{text}`")).1;
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_else(|_| panic!("no number behind `{label}` in `{text}`"))
}

/// One program at a time: some share a target, and so a file.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a program, which compares its hashes with the host's; returns what it prints. Without QEMU or a cross compiler it says so,
/// and there is nothing to test, unless `DRIFTLET_REQUIRE_FIRMWARE` is set.
fn run(arguments: &[&str], model: Option<&Path>) -> Option<String> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-demo/run");
    let mut command = Command::new(script);
    command.args(arguments).env("DRIFTLET", env!("CARGO_BIN_EXE_driftlet"));
    command.envs(model.map(|model| ("DRIFTLET_MODEL", model)));
    let result = command.output().expect("the script starts");
    let (output, errors) = (String::from_utf8_lossy(&result.stdout), String::from_utf8_lossy(&result.stderr));
    if result.status.code() == Some(NOT_INSTALLED) && std::env::var_os("DRIFTLET_REQUIRE_FIRMWARE").is_none() {
        eprintln!("skipped: {errors}");
        return None;
    }
    assert!(result.status.success(), "{output}\n{errors}");
    Some(output.into_owned())
}

/// Runs the demonstration and holds it to the limits of the first release.
fn run_on(board: &str, model: Option<&Path>) -> Option<String> {
    let output = run(&[board], model)?;
    assert!(output.contains("equal: 11 hashes"), "ten pictures and their common hash:\n{output}");

    assert!(figure(&output, "instructions per picture", "picture") > 0);
    let (flash, model) = (figure(&output, "flash", "flash"), figure(&output, "flash", "model"));
    assert!(model < 256 * 1024, "model takes {model} bytes");
    assert!(flash > model && flash < 1024 * 1024, "flash {flash} bytes");
    assert_eq!(figure(&output, "flash", "constants") + model, flash);
    let parts = ["arena", "other statics", "stack"].map(|part| figure(&output, "RAM", part));
    assert!(parts.iter().all(|&bytes| bytes > 0), "{parts:?}");
    assert!(parts[0] < 64 * 1024, "arena {} bytes", parts[0]);
    assert_eq!(parts.iter().sum::<u64>(), figure(&output, "RAM", "RAM"));
    // Statics are listed one by one; between them there may be a few bytes.
    let listed: u64 =
        output.lines().filter(|line| line.starts_with("static ")).map(|line| figure(line, "", "static")).sum();
    assert!(listed <= parts[0] + parts[1] && listed + 16 > parts[0] + parts[1], "{listed} bytes listed of {parts:?}");
    Some(output)
}

/// What `driftlet inspect --target` estimates is near what is counted. If kernels have changed, `firmware-demo/costs` measures again.
fn near_estimate(target: &str, output: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-demo/target/mps2-an386/model.drift");
    let inspected = Command::new(env!("CARGO_BIN_EXE_driftlet"))
        .arg("inspect")
        .arg(file)
        .args(["--target", target])
        .output()
        .expect("the command starts");
    let estimate = figure(&String::from_utf8_lossy(&inspected.stdout), "estimate", "estimate");
    let counted = figure(output, "instructions per picture", "picture");
    println!("{target}: estimated {estimate}, counted {counted}");
    assert!(estimate.abs_diff(counted) * 8 < counted, "{target}: estimated {estimate}, counted {counted}");
}

#[test]
fn pictures_of_every_board_equal_the_hosts() {
    for (board, target) in [
        ("mps2-an386", "cortex-m4"),
        ("mps2-an500", "cortex-m7"),
        ("mps3-an547", "cortex-m55"),
        ("rp2040", "cortex-m0"),
        ("virt", "riscv32"),
    ] {
        if let Some(output) = run_on(board, None) {
            near_estimate(target, &output);
        }
    }
    // And in bands, row by row, from less than a third of the arena.
    let directory = tempfile::tempdir().expect("a directory");
    let model = directory.path().join("bands.drift");
    let quantized = Command::new(env!("CARGO_BIN_EXE_driftlet"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["quantize", "models/fashion-micro", "--precision", "int8", "--ram-limit", "18K", "--out"])
        .arg(&model)
        .status();
    assert!(quantized.expect("the command starts").success());
    run_on("mps2-an386", Some(&model));
    // And with no more of the runtime than the shipped model needs, optimized for size.
    if let Some(small) = run(&["mps2-an386", "--small"], None) {
        assert!(small.contains("equal: 11 hashes"), "{small}");
    }
}

/// A task that has to run every 500,000 instructions does, if the picture beside it is made in pieces; and does not if it is
/// made by whole operators, so that the count means something.
#[test]
fn a_picture_in_pieces_lets_a_task_meet_its_deadlines() {
    let Some(output) = run(&["mps2-an386", "--embassy"], None) else { return };
    assert!(output.contains("equal: 2 hashes"), "{output}");
    let [whole, pieces] = ["whole operators: the other", "pieces: the other"]
        .map(|line| ["ran", "deadlines"].map(|label| figure(&output, line, label)));
    assert!(whole[1] > 5, "whole operators leave time: {output}");
    assert_eq!(pieces[1], 0, "{output}");
    assert!(pieces[0] > 10, "{output}");
    assert!(figure(&output, "pieces: ", "longest") < 1_000_000, "{output}");
}
