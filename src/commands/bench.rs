//! `driftlet bench`: how fast a `.drift` file is on this machine, beside what the machine could do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use driftlet_checkpoint::map_file;
use driftlet_runtime::{Model, Sampler};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bench::energy::Meter;
use crate::bench::memory::peak_resident;
use crate::bench::peak::Peak;
use crate::bench::timing::{Pictures, Steady, operators, steady};
use crate::model_file::{arena, hex, name_of};

/// Arguments of `driftlet bench`.
#[derive(clap::Args)]
#[command(after_help = "Times are in microseconds; the spread is that of the middle half, by the median. The peak is \
what the machine does in a loop of the fastest suitable instruction and nothing else, measured in turn with the pictures, in pieces as long as they are. \
--json: name, sha256, precision, threads, macs, start {map_us, parse_us, first_image_us}, image {runs, median_us, min_us, \
spread}, gmacs_per_second, peak {instruction, gmacs_per_second, max}, peak_share (share of the peak, weighted by time), \
memory {file_bytes, arena_bytes, peak_resident_bytes}, energy_joules (per picture, of the whole machine; null where the \
system does not say), ops [{op, layer, output, kernel, macs, median_us, share, gmacs_per_second, peak_share}].")]
pub struct Arguments {
    /// A .drift file of a generator
    model: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// How long to make pictures, at least three
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0 to 3600".into()),
    }
}

/// Measures and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let report = measure(arguments)?;
    match arguments.json {
        true => println!("{report:#}"),
        false => table(&report),
    }
    Ok(())
}

/// The object that `--json` prints.
fn measure(Arguments { model: path, seconds, .. }: &Arguments) -> Result<Value> {
    if path.is_dir() {
        bail!("{}: a checkpoint; make a .drift file of it with `driftlet quantize`", path.display());
    }
    let in_file = || path.display().to_string();
    let start = Instant::now();
    let file = map_file(path)?;
    let mapped = start.elapsed();
    let model = Model::parse(&file).with_context(in_file)?;
    let parsed = start.elapsed();
    let mut memory = arena(&model);
    let mut sampler = Sampler::new(&model, &mut memory).with_context(in_file)?;
    let mut pictures = Pictures::new(&model, &mut sampler).with_context(in_file)?;
    pictures.next();
    let first = start.elapsed();
    ensure!(
        model.verify_weights(),
        "{}: weights are damaged (checksum); copy or quantize the file again",
        path.display()
    );

    let threads = 1;
    let peak = Peak::of(model.precision());
    let length = Duration::from_secs_f64(*seconds);
    let steady = steady(&mut pictures, peak, threads, length);
    let per_operator = operators(&mut pictures, model.op_count(), length / 4);
    let energy = energy(&mut pictures, length / 4);

    let peak_rate = steady.peaks[steady.peaks.len() / 2];
    let macs = (0..model.op_count()).map(|i| model.op_info(i).macs).sum::<u64>();
    let median = steady.pictures.median();
    let microseconds = |time: Duration| round(time.as_secs_f64() * 1e6);
    Ok(json!({
        "name": name_of(path),
        "sha256": hex(&Sha256::digest(&file)),
        "precision": model.precision().name(),
        "threads": threads,
        "macs": macs,
        "start": {
            "map_us": microseconds(mapped),
            "parse_us": microseconds(parsed - mapped),
            "first_image_us": microseconds(first - parsed),
        },
        "image": {
            "runs": steady.pictures.len(),
            "median_us": microseconds(median),
            "min_us": microseconds(steady.pictures.quantile(0.0)),
            "spread": round(spread(&steady)),
        },
        "gmacs_per_second": round(rate(macs, median) * 1e-9),
        "peak": {
            "instruction": peak.name,
            "gmacs_per_second": round(peak_rate * 1e-9),
            "max": steady.peaks.last().map(|rate| round(rate * 1e-9)),
        },
        "peak_share": round(rate(macs, median) / peak_rate),
        "memory": {
            "file_bytes": file.len(),
            "arena_bytes": model.arena_len(),
            "peak_resident_bytes": peak_resident(),
        },
        "energy_joules": energy,
        "ops": listing(&model, &per_operator, peak_rate),
    }))
}

/// Four significant digits.
fn round(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(x)
}

fn rate(macs: u64, time: Duration) -> f64 {
    macs as f64 / time.as_secs_f64().max(1e-9)
}

/// Width of the middle half of all times, by the median.
fn spread(steady: &Steady) -> f64 {
    let times = &steady.pictures;
    (times.quantile(0.75) - times.quantile(0.25)).as_secs_f64() / times.median().as_secs_f64().max(1e-9)
}

/// Joules of a picture.
fn energy(pictures: &mut Pictures, length: Duration) -> Option<f64> {
    let meter = Meter::start()?;
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < length || count == 0 {
        pictures.next();
        count += 1;
    }
    Some(round(meter.joules()? / f64::from(count)))
}

fn listing(model: &Model, times: &[Duration], peak: f64) -> Vec<Value> {
    let metadata: Value = serde_json::from_slice(model.metadata()).unwrap_or_default();
    let total = times.iter().sum::<Duration>().as_secs_f64().max(1e-9);
    let ops = (0..model.op_count()).map(|i| model.op_info(i)).zip(times).enumerate();
    ops.map(|(i, (op, &time))| {
        json!({
            "op": op.kind.name(),
            "layer": metadata["layers"][i]["name"].as_str(),
            "output": op.output.shape,
            "kernel": "portable",
            "macs": op.macs,
            "median_us": round(time.as_secs_f64() * 1e6),
            "share": round(time.as_secs_f64() / total),
            "gmacs_per_second": round(rate(op.macs, time) * 1e-9),
            "peak_share": round(rate(op.macs, time) / peak),
        })
    })
    .collect()
}

/// The same for people.
fn table(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let percent = |value: &Value| format!("{:.1} %", 100.0 * number(value));
    println!(
        "{:>3}  {:20} {:>14} {:>12} {:>10} {:>7} {:>8} {:>8}  {:28} layer",
        "", "op", "output", "MACs", "time", "share", "GMAC/s", "of peak", "kernel"
    );
    for (i, op) in report["ops"].as_array().into_iter().flatten().enumerate() {
        let shape: Vec<String> = op["output"].as_array().into_iter().flatten().map(Value::to_string).collect();
        let multiplies = op["macs"] != 0;
        println!(
            "{i:>3}  {:20} {:>14} {:>12} {:>10} {:>7} {:>8} {:>8}  {:28} {}",
            op["op"].as_str().unwrap_or_default(),
            shape.join("x"),
            number(&op["macs"]),
            time(number(&op["median_us"])),
            percent(&op["share"]),
            if multiplies { format!("{:.1}", number(&op["gmacs_per_second"])) } else { String::new() },
            if multiplies { percent(&op["peak_share"]) } else { String::new() },
            op["kernel"].as_str().unwrap_or_default(),
            op["layer"].as_str().unwrap_or_default(),
        );
    }
    let (start, image, peak, memory) = (&report["start"], &report["image"], &report["peak"], &report["memory"]);
    println!(
        "start     map {}, parse {}, first picture {}",
        time(number(&start["map_us"])),
        time(number(&start["parse_us"])),
        time(number(&start["first_image_us"])),
    );
    println!(
        "picture   {} (median of {}), at least {}, spread {}, {} thread{}",
        time(number(&image["median_us"])),
        image["runs"],
        time(number(&image["min_us"])),
        percent(&image["spread"]),
        report["threads"],
        if report["threads"] == 1 { "" } else { "s" },
    );
    println!(
        "speed     {:.2} GMAC/s: {} of {:.1} GMAC/s ({})",
        number(&report["gmacs_per_second"]),
        percent(&report["peak_share"]),
        number(&peak["gmacs_per_second"]),
        peak["instruction"].as_str().unwrap_or_default(),
    );
    let resident = memory["peak_resident_bytes"].as_u64().map(|bytes| format!(", at most {bytes} resident"));
    println!(
        "memory    file {} bytes, arena {}{}",
        memory["file_bytes"],
        memory["arena_bytes"],
        resident.unwrap_or_default()
    );
    match report["energy_joules"].as_f64() {
        Some(joules) => println!("energy    {joules} J per picture, of the whole machine"),
        None => println!("energy    not given by this system"),
    }
}

/// A time in a fitting unit.
fn time(microseconds: f64) -> String {
    match microseconds {
        t if t < 1e3 => format!("{t:.1} us"),
        t if t < 1e6 => format!("{:.2} ms", t * 1e-3),
        t => format!("{:.2} s", t * 1e-6),
    }
}
