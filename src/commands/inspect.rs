//! `driftlet inspect`: what a `.drift` file holds and needs.

use std::path::PathBuf;

use anyhow::Result;
use driftlet_runtime::format::OpKind;
use driftlet_runtime::{Model, OpInfo};
use serde_json::{Value, json};

use crate::model_file::ModelFile;

/// Arguments of `driftlet inspect`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A .drift file, or a checkpoint directory (as f32)
    model: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Prints the listing.
pub fn run(arguments: &Arguments) -> Result<()> {
    let file = ModelFile::open(&arguments.model)?;
    let model = file.model()?;
    if arguments.json {
        println!("{:#}", listing(&file, &model));
    } else {
        table(&file, &model);
    }
    Ok(())
}

fn ops<'m>(model: &'m Model) -> impl Iterator<Item = OpInfo> + 'm {
    (0..model.op_count()).map(|i| model.op_info(i))
}

fn listing(file: &ModelFile, model: &Model) -> Value {
    let list: Vec<Value> = ops(model)
        .map(|op| {
            json!({
                "op": op.kind.name(),
                "input": op.inputs[0].map(|v| v.shape),
                "output": op.output.shape,
                "type": format!("{:?}", op.output.dtype).to_lowercase(),
                "scale": op.output.scale(),
                "zero_point": op.output.zero_point,
                "arena_offset": op.output.offset,
                "inputs": op.inputs.iter().flatten().map(|v| v.shape).collect::<Vec<_>>(),
                "in_place": op.in_place,
                "scratch_bytes": op.scratch_len,
                "macs": op.macs,
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
        "macs": ops(model).map(|op| op.macs).sum::<u64>(),
        "image": model.image_shape(),
        "noise": model.noise_len(),
        "classes": model.classes(),
        "guidance": [weakest.to_f32(), strongest.to_f32()],
        "metadata": serde_json::from_slice::<Value>(model.metadata()).unwrap_or(Value::Null),
        "ops": list,
    })
}

fn table(file: &ModelFile, model: &Model) {
    println!("{:>3}  {:18} {:>12} {:>12}  {:4} {:>12} {:>10}", "", "op", "input", "output", "type", "MACs", "weights");
    for (i, op) in ops(model).enumerate() {
        let residual = matches!(op.kind, OpKind::Linear | OpKind::Conv2d) && op.inputs[1].is_some();
        let name = format!("{}{}", op.kind.name(), if residual { " + residual" } else { "" });
        let shape = |s: [u32; 3]| format!("{}x{}x{}", s[0], s[1], s[2]);
        let input = op.inputs[0].map_or_else(String::new, |v| shape(v.shape));
        let dtype = format!("{:?}", op.output.dtype).to_lowercase();
        println!(
            "{i:>3}  {name:18} {input:>12} {:>12}  {dtype:4} {:>12} {:>10}",
            shape(op.output.shape),
            op.macs,
            op.weight_len
        );
    }
    println!("precision {}", model.precision().name());
    println!("flash     {} bytes, of which weights {}", file.bytes().len(), model.weight_len());
    println!("arena     {} bytes", model.arena_len());
    println!("MACs      {}", ops(model).map(|op| op.macs).sum::<u64>());
    println!("sha256    {}", file.hash());
}
