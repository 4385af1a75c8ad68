//! The command line: what it makes, and what it says when it cannot.

use std::path::Path;
use std::process::{Command, Output};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn driftlet(arguments: &[&str], directory: &Path) -> Result<Output, std::io::Error> {
    Command::new(env!("CARGO_BIN_EXE_driftlet")).args(arguments).current_dir(directory).output()
}

fn succeed(arguments: &[&str], directory: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let output = driftlet(arguments, directory)?;
    if !output.status.success() {
        return Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn fail(arguments: &[&str], directory: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let output = driftlet(arguments, directory)?;
    assert!(!output.status.success(), "{arguments:?} succeeded");
    let message = String::from_utf8(output.stderr)?;
    assert!(!message.contains("panicked"), "{arguments:?}: {message}");
    Ok(message)
}

/// A directory with a checkpoint `c` and an int8 model `m.drift`.
fn workshop() -> Result<tempfile::TempDir, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    succeed(&["init", "--preset", "nano", "--seed", "3", "--out", "c"], directory.path())?;
    succeed(&["quantize", "c", "--precision", "int8", "--out", "m.drift"], directory.path())?;
    Ok(directory)
}

#[test]
fn inspect_gives_stable_json() -> Outcome {
    let directory = workshop()?;
    let text = succeed(&["inspect", "m.drift", "--json"], directory.path())?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(json["precision"], "int8");
    assert_eq!(json["classes"], 10);
    assert_eq!(json["image"], serde_json::json!([28, 28, 1]));
    assert_eq!(json["bytes"].as_u64(), Some(std::fs::metadata(directory.path().join("m.drift"))?.len()));
    assert!(json["arena_bytes"].as_u64().is_some_and(|n| n > 0 && n < 65536));
    assert_eq!(json["sha256"].as_str().map(str::len), Some(64));
    let kernels = driftlet_runtime::Kernels::best().name();
    for op in json["ops"].as_array().ok_or("no operators")? {
        assert!(op["kernels"] == kernels || op["kernels"] == "portable" && op["op"] != "conv2d", "{op}");
    }
    Ok(())
}

#[test]
fn a_limit_of_memory_changes_no_picture() -> Outcome {
    let directory = workshop()?;
    let quantize = ["quantize", "c", "--precision", "int8", "--out", "b.drift", "--ram-limit"];
    succeed(&[&quantize[..], &["16K"]].concat(), directory.path())?;
    let hashes = |file| succeed(&["sample", file, "--hash", "--count", "10"], directory.path());
    assert_eq!(hashes("b.drift")?, hashes("m.drift")?);
    let json: serde_json::Value = serde_json::from_str(&succeed(&["inspect", "b.drift", "--json"], directory.path())?)?;
    assert!(json["arena_bytes"].as_u64().is_some_and(|bytes| bytes <= 16 << 10));
    let first = json["bands"]["first_op"].as_u64().ok_or("no bands")? as usize;
    let ops = json["ops"].as_array().ok_or("no operators")?;
    for (i, op) in ops.iter().enumerate() {
        assert_eq!(op["window_rows"].as_u64().is_some(), i >= first, "operator {i}");
    }
    assert!(succeed(&["inspect", "b.drift"], directory.path())?.contains("where whole maps need"));
    succeed(&["bench", "b.drift", "--seconds", "0"], directory.path())?;
    let message = fail(&[&quantize[..], &["1K"]].concat(), directory.path())?;
    assert!(message.contains("needs") && message.contains("more than the limit of 1024"), "{message}");
    assert!(fail(&[&quantize[..], &["little"]].concat(), directory.path())?.contains("32K"));
    Ok(())
}

#[test]
fn samples_depend_on_the_seed_alone() -> Outcome {
    let directory = workshop()?;
    let hash = |arguments: &[&str]| succeed(&[&["sample", "m.drift", "--hash"], arguments].concat(), directory.path());
    let ten = hash(&["--count", "10", "--seed", "5"])?;
    assert_eq!(ten, hash(&["--count", "10", "--seed", "5"])?);
    let tail = hash(&["--count", "1", "--seed", "8", "--class", "3"])?;
    assert_eq!(ten.lines().nth(3), tail.lines().next());
    succeed(&["sample", "m.drift", "--count", "3", "--out", "a.npy"], directory.path())?;
    let array = std::fs::read(directory.path().join("a.npy"))?;
    assert!(array.starts_with(b"\x93NUMPY") && array.len() == 128 + 3 * 784, "{} bytes", array.len());
    succeed(&["sample", "c", "--count", "30", "--out", "a.png"], directory.path())?;
    assert!(std::fs::read(directory.path().join("a.png"))?.starts_with(b"\x89PNG"));
    Ok(())
}

#[test]
fn given_noise_is_used() -> Outcome {
    use safetensors::tensor::{Dtype, SafeTensors, TensorView};
    let directory = workshop()?;
    let noise: Vec<u8> = (0..2 * 48).flat_map(|i| ((i % 17) as f32 / 8.0 - 1.0).to_le_bytes()).collect();
    let labels: Vec<u8> = [4i32, 7].iter().flat_map(|l| l.to_le_bytes()).collect();
    let inputs = [
        ("noise", TensorView::new(Dtype::F32, vec![2, 48], &noise)?),
        ("class_labels", TensorView::new(Dtype::I32, vec![2], &labels)?),
    ];
    std::fs::write(directory.path().join("in.safetensors"), safetensors::serialize(inputs, None)?)?;
    let mut outputs = Vec::new();
    for model in ["c", "m.drift"] {
        succeed(&["sample", model, "--inputs", "in.safetensors", "--out", "out.safetensors"], directory.path())?;
        let bytes = std::fs::read(directory.path().join("out.safetensors"))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let view = file.tensor("output")?;
        assert_eq!(view.shape(), [2, 28, 28, 1]);
        outputs.push(view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect::<Vec<f32>>());
    }
    let error: f32 = outputs[0].iter().zip(&outputs[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < 0.1, "f32 and int8 differ by {error}");
    Ok(())
}

#[test]
fn compare_writes_what_scripts_rely_on() -> Outcome {
    let directory = workshop()?;
    let arguments =
        ["compare", "c", "m.drift", "--samples", "200", "--resamples", "20", "--json", "r.json", "--html", "r.html"];
    succeed(&arguments, directory.path())?;
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(directory.path().join("r.json"))?)?;
    assert!(json["reference"]["frechet"].is_f64() && json["floor"].is_f64());
    assert_eq!(json["samples"], 200);
    let candidate = &json["candidates"][0];
    for field in ["frechet", "delta", "delta_low", "delta_high", "psnr", "ssim", "class_accuracy", "inception_score"] {
        assert!(candidate[field].is_f64(), "{field}");
    }
    assert_eq!((&candidate["name"], &candidate["precision"]), (&"m".into(), &"int8".into()));
    assert!(candidate["bytes"].is_u64() && candidate["hash"].is_string());
    let layers = candidate["sensitivity"]["layers"].as_array().ok_or("no costs of operators")?;
    let last = layers.last().ok_or("no operators")?;
    assert!(last["psnr_alone"].is_f64() && last["frechet_until"].is_f64() && layers.len() > 5, "{last}");
    assert!(candidate["delta_low"].as_f64() <= candidate["delta_high"].as_f64());
    let page = std::fs::read_to_string(directory.path().join("r.html"))?;
    assert!(page.contains("integer runtime itself") && page.contains("What each operator costs the pictures"));
    Ok(())
}

#[test]
fn shards_become_one_run() -> Outcome {
    let directory = workshop()?;
    let compare = |more: &[&str]| {
        let arguments = [&["compare", "c", "m.drift", "--samples", "700", "--resamples", "20"], more].concat();
        succeed(&arguments, directory.path())
    };
    compare(&["--out", "whole.stats", "--json", "whole.json"])?;
    for part in ["0/3", "1/3", "2/3"] {
        compare(&["--shard", part, "--out", &format!("part{}.stats", &part[..1])])?;
    }
    let merge = ["stats", "merge", "part2.stats", "part0.stats", "part1.stats", "--out", "merged.stats"];
    succeed(&merge, directory.path())?;
    let read = |name: &str| std::fs::read(directory.path().join(name));
    assert!(read("merged.stats")? == read("whole.stats")?);
    let from = ["compare", "--from", "merged.stats", "--resamples", "20", "--json", "merged.json", "--html", "m.html"];
    let text = succeed(&from, directory.path())?;
    assert!(text.contains("class accuracy") && text.contains("700 paired samples"), "{text}");
    assert_eq!(read("merged.json")?, read("whole.json")?);

    // Statistics of one of the models, as others exchange them, are what it is at a distance of 0 from.
    succeed(&["stats", "merge", "whole.stats", "--npz", "first.npz"], directory.path())?;
    let from =
        ["compare", "--from", "whole.stats", "--resamples", "20", "--reference-stats", "first.npz", "--json", "f.json"];
    succeed(&from, directory.path())?;
    let json: serde_json::Value = serde_json::from_slice(&read("f.json")?)?;
    assert!(json["reference"]["frechet"].as_f64() < Some(1e-6) && json["floor"].is_null(), "{json}");

    for (arguments, expected) in [
        (&["compare", "--from", "part1.stats"][..], "merge it with the other shards"),
        (&["stats", "merge", "part0.stats", "part2.stats", "--out", "x"], "samples 256 to 511 are missing"),
        (&["stats", "merge", "part0.stats", "part0.stats", "--out", "x"], "twice"),
        (&["stats", "merge", "part0.stats", "m.drift", "--out", "x"], "m.drift"),
        (&["compare", "c", "m.drift", "--samples", "700", "--shard", "3/3", "--out", "x"], "0/4 to 3/4"),
        (&["compare", "c"], "one more .drift file"),
        (&["compare", "--from", "whole.stats", "--reference-stats", "m.drift"], "m.drift"),
        (&["compare", "--from", "whole.stats", "--features", "inception=m.drift"], "m.drift"),
        (&["compare", "--from", "whole.stats", "--test-vectors", "m.drift"], "driftlet stats --vectors"),
        (&["compare", "--from", "whole.stats", "--train-vectors", "whole.stats"], "whole.stats: `driftlet`"),
        (&["compare", "c", "m.drift", "--features", "inception"], "pt_inception-2015-12-05"),
        (&["stats", "--data", "absent", "--npz", "x.npz"], "absent"),
        (&["stats", "--npz", "x.npz"], "--data"),
    ] {
        let message = fail(arguments, directory.path())?;
        assert!(message.contains(expected), "{arguments:?} says: {message}");
    }
    Ok(())
}

#[test]
fn mistakes_name_the_file_and_the_remedy() -> Outcome {
    let directory = workshop()?;
    let path = directory.path();
    std::fs::write(path.join("text.drift"), "hello")?;
    let mut torn = std::fs::read(path.join("m.drift"))?;
    torn.truncate(torn.len() - 7);
    std::fs::write(path.join("torn.drift"), &torn)?;
    let mut damaged = std::fs::read(path.join("m.drift"))?;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(path.join("damaged.drift"), &damaged)?;
    for (arguments, expected) in [
        (&["inspect", "absent.drift"][..], &["absent.drift", "cannot read"][..]),
        (&["inspect", "text.drift"], &["text.drift", "driftlet quantize"]),
        (&["inspect", "torn.drift"], &["torn.drift", "copy it again"]),
        (&["inspect", "damaged.drift"], &["damaged.drift", "weights are damaged"]),
        (&["init", "--preset", "huge", "--out", "x"], &["huge", "micro"]),
        (&["quantize", "absent", "--precision", "f16", "--out", "x"], &["absent/config.json"]),
        (&["quantize", "c", "--precision", "f16", "--without", "fit", "--out", "x"], &["--without", "int8"]),
        (&["quantize", "c", "--precision", "int8", "--budget", "1KB", "--out", "x"], &["budget"]),
        (
            &["quantize", "c", "--budget", "90KB", "--features", "c", "--out", "x"],
            &["statistics-train", "driftlet stats"],
        ),
        (&["quantize", "c", "--precision", "int8", "--explain", "--out", "x"], &["--budget"]),
        (&["sample", "m.drift", "--class", "10", "--out", "x.png"], &["class 10", "0 to 9"]),
        (&["sample", "m.drift", "--class", "boat", "--out", "x.png"], &["boat"]),
        (&["sample", "m.drift", "--guidance", "9", "--out", "x.png"], &["guidance 9", "1 to 4"]),
        (&["sample", "m.drift", "--out", "x.bmp"], &["x.bmp", ".png or .npy"]),
        (&["sample", "m.drift", "--inputs", "text.drift", "--out", "x"], &["text.drift", "safetensors"]),
    ] {
        let message = fail(arguments, path)?;
        for part in expected {
            assert!(message.contains(part), "{arguments:?} says: {message}");
        }
    }
    Ok(())
}

#[test]
fn weights_of_four_bits_and_a_budget_make_smaller_files() -> Outcome {
    let directory = workshop()?;
    let path = directory.path();
    let made = |options: &[&str]| -> Result<(u64, String), Box<dyn std::error::Error>> {
        let text = succeed(&[&["quantize", "c", "--precision", "int8", "--out", "x.drift"], options].concat(), path)?;
        Ok((std::fs::metadata(path.join("x.drift"))?.len(), text))
    };
    let (eight, four) = (made(&[])?.0, made(&["--weights", "4"])?.0);
    assert!(four < eight * 7 / 10, "{four} of {eight}");
    let limit = (four + eight) / 2;
    let (mixed, text) = made(&["--budget", &limit.to_string(), "--explain"])?;
    assert!(mixed <= limit && mixed > four, "{mixed} of {limit}");
    for reason in ["stages.0.conv", "first or last layer"] {
        assert!(text.contains(reason), "{text}");
    }
    Ok(())
}

#[test]
fn the_decoder_of_diffusers_is_imported() -> Outcome {
    let directory = workshop()?;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vae_toy");
    let source = golden.display().to_string();
    let text = succeed(&["import", &source, "--out", "decoder"], directory.path())?;
    assert_eq!(text, "decoder: 101975 weights\n");
    let file = golden.join("diffusion_pytorch_model.safetensors").display().to_string();
    succeed(&["import", &file, "--out", "again"], directory.path())?;
    let weights = |name: &str| std::fs::read(directory.path().join(name).join("weights.safetensors"));
    assert_eq!(weights("decoder")?, weights("again")?);

    let message = fail(&["import", "c", "--out", "other"], directory.path())?;
    assert!(message.contains("c/config.json") && message.contains("_class_name"), "{message}");
    Ok(())
}

#[test]
fn export_writes_what_onnx_readers_take() -> Outcome {
    let directory = workshop()?;
    let text = succeed(&["export", "c", "--onnx", "c.onnx"], directory.path())?;
    let bytes = std::fs::read(directory.path().join("c.onnx"))?;
    assert_eq!(text, format!("c.onnx: {} bytes\n", bytes.len()));
    // Field 1, the version of the format, and names of inputs.
    assert!(bytes.starts_with(&[8, 11]));
    for name in ["noise", "class_labels", "cfg_scale", "output"] {
        assert!(bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
    let message = fail(&["export", "m.drift", "--onnx", "x.onnx"], directory.path())?;
    assert!(message.contains("m.drift"), "{message}");
    Ok(())
}

#[test]
fn bench_gives_stable_json() -> Outcome {
    let directory = workshop()?;
    let text = succeed(&["bench", "m.drift", "--json", "--seconds", "0", "--threads", "2"], directory.path())?;
    let json: serde_json::Value = serde_json::from_str(&text)?;
    for field in ["/start/map_us", "/start/parse_us", "/start/first_image_us", "/image/median_us", "/image/min_us"] {
        assert!(json.pointer(field).is_some_and(|time| time.as_f64() > Some(0.0)), "{field}");
    }
    assert!(json["image"]["runs"].as_u64() >= Some(3) && json["image"]["spread"].is_f64());
    assert_eq!((&json["precision"], &json["threads"]), (&"int8".into(), &2.into()));
    assert_eq!(json["memory"]["file_bytes"].as_u64(), Some(std::fs::metadata(directory.path().join("m.drift"))?.len()));
    let peaks = json["peaks"].as_array().ok_or("no peaks")?;
    assert!(peaks.iter().all(|p| p["instruction"].is_string() && p["gmacs_per_second"].as_f64() > Some(0.0)), "{text}");
    assert!(json["peak_share"].as_f64() > Some(0.0) && json["gmacs_per_second"].as_f64() > Some(0.0), "{text}");
    assert!(json["kernels"].is_string() && json.get("energy_joules").is_some());
    let ops = json["ops"].as_array().ok_or("no operators")?;
    let sum = |key: &str| ops.iter().filter_map(|op| op[key].as_f64()).sum::<f64>();
    assert!((sum("share") - 1.0).abs() < 0.01);
    assert_eq!(Some(sum("macs")), json["macs"].as_f64());
    assert!(ops.iter().filter(|op| op["macs"] != 0).all(|op| op["kernels"] == json["kernels"]), "{text}");
    let table = succeed(&["bench", "m.drift", "--seconds", "0"], directory.path())?;
    assert!(table.contains("first picture") && table.contains("stages.1.residual.0"), "{table}");
    let message = fail(&["bench", "c"], directory.path())?;
    assert!(message.contains("driftlet quantize"), "{message}");
    Ok(())
}

/// A reader that has seen enough ends the program without a panic.
#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_panic() -> Outcome {
    let directory = workshop()?;
    let mut child = Command::new(env!("CARGO_BIN_EXE_driftlet"))
        .args(["sample", "m.drift", "--count", "5000", "--hash"])
        .current_dir(directory.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    // Closed before the first line is written.
    drop(child.stdout.take());
    let output = child.wait_with_output()?;
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!message.contains("panicked"), "{message}");
    Ok(())
}
