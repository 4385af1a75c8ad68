//! `driftlet inspect`: what a `.drift` file holds and needs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use driftlet_runtime::format::OpKind;
use driftlet_runtime::{Bands, Kernels, Model, OpInfo};
use serde_json::{Value, json};

use crate::model_file::ModelFile;
use crate::targets::{Chip, Target, bytes, cost_kind, cost_terms};

/// Arguments of `driftlet inspect`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A .drift file, or a checkpoint directory (as f32)
    model: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Say whether the model fits a microcontroller, and estimate its instructions per picture: `cortex-m0`, `cortex-m4`, `cortex-m7`,
    /// `cortex-m55` or `riscv32`
    #[arg(long)]
    target: Option<String>,
    /// RAM of the chip that is left for pictures, as 256K
    #[arg(long, requires = "target", value_parser = bytes)]
    ram: Option<u64>,
    /// Flash of the chip that is left for model and runtime, as 1M
    #[arg(long, requires = "target", value_parser = bytes)]
    flash: Option<u64>,
}

/// Prints the listing.
pub fn run(arguments: &Arguments) -> Result<()> {
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    let kernels = Kernels::chosen().context("DRIFTLET_KERNEL names no kernels of this processor")?;
    let chip = Chip { ram: arguments.ram, flash: arguments.flash };
    let fit = match &arguments.target {
        Some(name) => Some(Target::named(name)?.fit(&model, file.bytes().len(), chip).context(file.name().to_owned())?),
        None => None,
    };
    if arguments.json {
        let mut listing = listing(&file, &model, kernels);
        if let Some(fit) = fit {
            listing["target"] = fit.json();
        }
        println!("{listing:#}");
    } else {
        table(&file, &model, kernels);
        if let Some(fit) = fit {
            print!("{fit}");
        }
    }
    Ok(())
}

fn ops<'m>(model: &'m Model) -> impl Iterator<Item = OpInfo> + 'm {
    (0..model.op_count()).map(|i| model.op_info(i))
}

fn listing(file: &ModelFile, model: &Model, kernels: Kernels) -> Value {
    let list: Vec<Value> = ops(model)
        .zip(0..)
        .map(|(op, i)| {
            json!({
                "op": op.kind.name(),
                "input": op.inputs[0].map(|v| v.shape),
                "output": op.output.shape,
                "type": format!("{:?}", op.output.dtype).to_lowercase(),
                "scale": op.output.scale(),
                "zero_point": op.output.zero_point,
                "arena_offset": op.output.offset,
                "inputs": op.inputs.iter().flatten().map(|v| v.shape).collect::<Vec<_>>(),
                "window_rows": (op.output.window > 0).then_some(op.output.window),
                "in_place": op.in_place,
                "scratch_bytes": op.scratch_len,
                "kernels": model.op_kernels(i, kernels).name(),
                "macs": op.macs,
                "cost": { "kind": cost_kind(&op), "terms": cost_terms(&op) },
                "weight_bytes": op.weight_len,
            })
        })
        .collect();
    let (weakest, strongest) = model.guidance_range();
    json!({
        "name": file.name(),
        "sha256": file.hash(),
        "precision": model.precision().name(),
        "bytes": file.bytes().len(),
        "weight_bytes": model.weight_len(),
        "arena_bytes": model.arena_len(),
        "bands": model.bands().map(|bands| json!({ "first_op": bands.first, "rows": bands.height })),
        "macs": model.macs(),
        "image": model.image_shape(),
        "noise": model.noise_len(),
        "classes": model.classes(),
        "guidance": [weakest.to_f32(), strongest.to_f32()],
        "metadata": metadata(model),
        "ops": list,
    })
}

/// What the quantizer wrote for people and tools.
fn metadata(model: &Model) -> Value {
    serde_json::from_slice(model.metadata()).unwrap_or(Value::Null)
}

fn table(file: &ModelFile, model: &Model, kernels: Kernels) {
    let metadata = metadata(model);
    println!(
        "{:>3}  {:28} {:>12} {:>12}  {:4} {:>12} {:>10} {:>7}  layer",
        "", "op", "input", "output", "type", "MACs", "weights", "SQNR"
    );
    for (i, op) in ops(model).enumerate() {
        let residual = matches!(op.kind, OpKind::Linear | OpKind::Conv2d) && op.inputs[1].is_some();
        let place = match (op.output.window, op.in_place) {
            (0, false) => String::new(),
            (0, true) => " (in place)".into(),
            (rows, false) => format!(" ({rows} rows)"),
            (rows, true) => format!(" ({rows} rows, in place)"),
        };
        let name = format!("{}{}{place}", op.kind.name(), if residual { " + residual" } else { "" });
        let shape = |s: [u32; 3]| format!("{}x{}x{}", s[0], s[1], s[2]);
        let input = op.inputs[0].map_or_else(String::new, |v| shape(v.shape));
        let dtype = format!("{:?}", op.output.dtype).to_lowercase();
        println!(
            "{i:>3}  {name:28} {input:>12} {:>12}  {dtype:4} {:>12} {:>10} {:>7}  {}",
            shape(op.output.shape),
            op.macs,
            op.weight_len,
            metadata["layers"][i]["sqnr"].as_f64().map_or_else(String::new, |ratio| format!("{ratio:.1}")),
            metadata["layers"][i]["name"].as_str().unwrap_or_default(),
        );
    }
    println!("precision {}", model.precision().name());
    println!("flash     {} bytes, of which weights {}", file.bytes().len(), model.weight_len());
    println!("arena     {} bytes{}", model.arena_len(), beside_bound(model, &metadata).unwrap_or_default());
    if let Some(bands) = bands(model, &metadata) {
        println!("bands     {bands}");
    }
    println!("in place  {} of {} operators", ops(model).filter(|op| op.in_place).count(), model.op_count());
    println!("scratch   {} bytes at most, within the arena", ops(model).map(|op| op.scratch_len).max().unwrap_or(0));
    println!("MACs      {}", model.macs());
    let portable = (0..model.op_count()).filter(|&i| model.op_kernels(i, kernels) == Kernels::PORTABLE).count();
    println!("kernels   {} on this machine; portable for {portable} of {} operators", kernels.name(), model.op_count());
    println!("sha256    {}", file.hash());
}

/// What runs in bands, and what the arena would be without them; `None` for a model of whole maps.
fn bands(model: &Model, metadata: &Value) -> Option<String> {
    let Bands { first, height } = model.bands()?;
    let whole = metadata["arena_whole"].as_u64().map(|bytes| format!(", where whole maps need {bytes}"));
    let last = model.op_count() - 1;
    Some(format!(
        "operators {first} to {last}, {height} rows of the picture at a time: arena {} bytes{}; pictures come line by line",
        model.arena_len(),
        whole.unwrap_or_default()
    ))
}

/// How the arena compares with the least that any plan needs; `None` for files that do not say.
fn beside_bound(model: &Model, metadata: &Value) -> Option<String> {
    let (bound, op) = (metadata["arena_bound"].as_u64()?, metadata["arena_bound_op"].as_u64()?);
    let ratio = model.arena_len() as f64 / bound.max(1) as f64;
    Some(format!(", {ratio:.3} times the least that these operators need ({bound}, at operator {op})"))
}
