//! `driftlet bench`: how fast a `.drift` file is on this machine, beside what the machine could do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use driftlet_checkpoint::map_file;
use driftlet_runtime::{Kernels, LineSampler, Model, OpInfo, Pool};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::bench::energy::Meter;
use crate::bench::memory::peak_resident;
use crate::bench::peak::{Peak, Products};
use crate::bench::timing::{Pictures, Steady, operators, steady};
use crate::model_file::{arena, hex, name_of};

/// Arguments of `driftlet bench`.
#[derive(clap::Args)]
#[command(
    after_help = "Times are in microseconds; the spread is that of the middle half, by the median. A peak is what the \
machine does in a loop of one instruction and nothing else, on as many threads, measured in turn with the pictures, in pieces \
as long as they are. The environment variable DRIFTLET_KERNEL chooses kernels by name.\n\
--json: name, sha256, precision, kernels, threads, macs, start {map_us, parse_us, first_image_us}, image {runs, median_us, \
min_us, spread}, gmacs_per_second, peaks [{instruction, gmacs_per_second, max}], peak_share (of the peaks of the operators' \
instructions, weighted by time), memory {file_bytes, arena_bytes, peak_resident_bytes}, energy_joules (per picture, of the \
whole machine; null where the system does not say), ops [{op, layer, output, kernels, instruction, macs, median_us, share, \
gmacs_per_second, peak_share}]; null where an operator has no MACs."
)]
pub struct Arguments {
    /// A .drift file of a generator
    model: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Threads that share the work of every operator
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
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
fn measure(Arguments { model: path, seconds, threads, .. }: &Arguments) -> Result<Value> {
    if path.is_dir() {
        bail!("{}: a checkpoint; make a .drift file of it with `driftlet quantize`", path.display());
    }
    let in_file = || path.display().to_string();
    let threads = usize::from(*threads);
    let pool = Pool::new(threads);
    let start = Instant::now();
    let file = map_file(path)?;
    let mapped = start.elapsed();
    let model = Model::parse(&file).with_context(in_file)?;
    let parsed = start.elapsed();
    let mut memory = arena(&model);
    let mut sampler = LineSampler::new(&model, &mut memory).with_context(in_file)?;
    sampler.set_workers(&pool);
    let chosen = sampler.kernels();
    let kernels = chosen.name();
    let mut pictures = Pictures::new(&model, &mut sampler).with_context(in_file)?;
    pictures.next();
    let first = start.elapsed();
    ensure!(
        model.verify_weights(),
        "{}: weights are damaged (checksum); copy or quantize the file again",
        path.display()
    );

    let ops: Vec<OpInfo> = (0..model.op_count()).map(|i| model.op_info(i)).collect();
    let instructions = Instructions::of(&ops, kernels);
    let length = Duration::from_secs_f64(*seconds);
    let steady = steady(&mut pictures, &instructions.peaks, threads, length);
    let times = operators(&mut pictures, model.op_count(), length / 4);
    let energy = energy(&mut pictures, length / 4);

    let rates: Vec<f64> = steady.peaks.iter().map(|rates| rates[rates.len() / 2]).collect();
    let macs = ops.iter().map(|op| op.macs).sum::<u64>();
    let median = steady.pictures.median();
    // How long the instructions alone would take.
    let least: f64 = ops.iter().zip(&instructions.of).filter_map(|(op, i)| Some(op.macs as f64 / rates[(*i)?])).sum();
    let peaks = instructions.peaks.iter().zip(&rates).zip(&steady.peaks).map(|((peak, rate), all)| {
        json!({
            "instruction": peak.name,
            "gmacs_per_second": round(rate * 1e-9),
            "max": all.last().map(|rate| round(rate * 1e-9)),
        })
    });
    Ok(json!({
        "name": name_of(path),
        "sha256": hex(&Sha256::digest(&file)),
        "precision": model.precision().name(),
        "kernels": kernels,
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
        "peaks": peaks.collect::<Vec<_>>(),
        "peak_share": round(least / median.as_secs_f64().max(1e-9)),
        "memory": {
            "file_bytes": file.len(),
            "arena_bytes": model.arena_len(),
            "peak_resident_bytes": peak_resident(),
        },
        "energy_joules": energy,
        "ops": listing(&model, &ops, &times, &instructions, (&rates, chosen)),
    }))
}

/// The instructions that a model's operators are made of.
struct Instructions {
    peaks: Vec<Peak>,
    /// For each operator with multiply-accumulates, its place among them.
    of: Vec<Option<usize>>,
}

impl Instructions {
    fn of(ops: &[OpInfo], kernels: &str) -> Self {
        let mut peaks: Vec<Peak> = Vec::new();
        let mut place = |op: &OpInfo| {
            if op.macs == 0 {
                return None;
            }
            let peak = Peak::of(Products::of(op), kernels);
            Some(peaks.iter().position(|known| known.name == peak.name).unwrap_or_else(|| {
                peaks.push(peak);
                peaks.len() - 1
            }))
        };
        let of = ops.iter().map(&mut place).collect();
        Self { peaks, of }
    }
}

fn microseconds(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e6)
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

fn listing(
    model: &Model,
    ops: &[OpInfo],
    times: &[Duration],
    instructions: &Instructions,
    (rates, kernels): (&[f64], Kernels),
) -> Vec<Value> {
    let metadata: Value = serde_json::from_slice(model.metadata()).unwrap_or_default();
    let total = times.iter().sum::<Duration>().as_secs_f64().max(1e-9);
    let rows = ops.iter().zip(times).zip(&instructions.of).enumerate();
    rows.map(|(i, ((op, &time), &instruction))| {
        json!({
            "op": op.kind.name(),
            "layer": metadata["layers"][i]["name"].as_str(),
            "output": op.output.shape,
            "kernels": model.op_kernels(i as u32, kernels).name(),
            "instruction": instruction.map(|i| instructions.peaks[i].name),
            "macs": op.macs,
            "median_us": microseconds(time),
            "share": round(time.as_secs_f64() / total),
            "gmacs_per_second": instruction.map(|_| round(rate(op.macs, time) * 1e-9)),
            "peak_share": instruction.map(|i| round(rate(op.macs, time) / rates[i])),
        })
    })
    .collect()
}

/// The same for people.
fn table(report: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let percent = |value: &Value| value.as_f64().map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share));
    println!(
        "{:>3}  {:20} {:>14} {:>12} {:>10} {:>7} {:>7} {:>8}  {:12}  layer",
        "", "op", "output", "MACs", "time", "share", "GMAC/s", "of peak", "kernels"
    );
    for (i, op) in list(&report["ops"]).iter().enumerate() {
        let shape: Vec<String> = list(&op["output"]).iter().map(Value::to_string).collect();
        println!(
            "{i:>3}  {:20} {:>14} {:>12} {:>10} {:>7} {:>7} {:>8}  {:12}  {}",
            op["op"].as_str().unwrap_or_default(),
            shape.join("x"),
            number(&op["macs"]),
            time(number(&op["median_us"])),
            percent(&op["share"]),
            op["gmacs_per_second"].as_f64().map_or_else(String::new, |rate| format!("{rate:.1}")),
            percent(&op["peak_share"]),
            op["kernels"].as_str().unwrap_or_default(),
            op["layer"].as_str().unwrap_or_default(),
        );
    }
    let (start, image, memory) = (&report["start"], &report["image"], &report["memory"]);
    println!("kernels   {}", report["kernels"].as_str().unwrap_or_default());
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
    println!("speed     {} GMAC/s, {} of the peak", report["gmacs_per_second"], percent(&report["peak_share"]));
    for peak in list(&report["peaks"]) {
        let (median, most) = (&peak["gmacs_per_second"], &peak["max"]);
        println!("peak      {median} GMAC/s, at most {most}: {}", peak["instruction"].as_str().unwrap_or_default());
    }
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
