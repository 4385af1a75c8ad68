//! The published artifacts of the paper: `ema_params.msgpack` and `metadata.json` (Flax).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::msgpack::{Array, arrays};
use crate::{Architecture, CheckpointError, Config, Dit, LazyTensor, ResnetMae, map_file, save_lazily};

/// `metadata.json`; what else it holds is not needed.
#[derive(Deserialize)]
struct Metadata {
    kind: String,
    step: Option<u64>,
    ema_decay: Option<f64>,
    model_config: serde_json::Value,
}

/// `model_config` of a generator.
#[derive(Deserialize)]
struct GeneratorConfig {
    cond_dim: usize,
    num_classes: usize,
    noise_classes: usize,
    noise_coords: usize,
    input_size: usize,
    in_channels: usize,
    n_cls_tokens: usize,
    patch_size: usize,
    hidden_size: usize,
    depth: usize,
    num_heads: usize,
    mlp_ratio: f64,
    out_channels: usize,
    use_qknorm: bool,
    use_swiglu: bool,
    use_rope: bool,
    use_rmsnorm: bool,
}

/// `model_config` of a masked autoencoder.
#[derive(Deserialize)]
struct MaeConfig {
    in_channels: usize,
    base_channels: usize,
    patch_size: usize,
    layers: Vec<usize>,
    #[serde(default = "one")]
    input_patch_size: usize,
}

fn one() -> usize {
    1
}

/// Reads an artifact's directory (or the one that holds it as `params_ema`) and writes a checkpoint, one tensor at a time:
/// memory stays small however large the network.
///
/// # Errors
/// [`CheckpointError`] names the file, and the parameter or field.
pub fn import_flax(source: &Path, out: &Path) -> Result<Config, CheckpointError> {
    let directory = match source.join("params_ema") {
        inner if inner.is_dir() => inner,
        _ => source.to_owned(),
    };
    let read = |path: PathBuf, source| CheckpointError::Io { action: "read", path, source };
    let path = directory.join("metadata.json");
    let json = fs::read(&path).map_err(|e| read(path.clone(), e))?;
    let wrong = |problem: String| CheckpointError::Config { file: path.display().to_string(), problem };
    let metadata: Metadata = serde_json::from_slice(&json)
        .map_err(|e| wrong(format!("{e}; is it a published artifact's metadata.json?")))?;

    let path = directory.join("ema_params.msgpack");
    let file = map_file(&path)?;
    let damaged = |problem| CheckpointError::Weights { file: path.display().to_string(), problem };
    let arrays = arrays(&file).map_err(damaged)?;

    let architecture = architecture(&metadata, &arrays).map_err(wrong)?;
    architecture.validate().map_err(|problem| wrong(format!("model_config: {problem}")))?;
    let tensors = tensors(&architecture, &arrays).map_err(damaged)?;
    let mut config = Config::new(architecture);
    config.training = serde_json::json!({
        "imported": "Flax artifact", "steps": metadata.step, "ema": metadata.ema_decay,
        "model_config": metadata.model_config,
    });
    save_lazily(out, &config, &tensors)?;
    Ok(config)
}

fn architecture(metadata: &Metadata, arrays: &BTreeMap<String, Array>) -> Result<Architecture, String> {
    let config = metadata.model_config.clone();
    let wrong = |e: serde_json::Error| format!("model_config: {e}");
    match metadata.kind.as_str() {
        "gen" => {
            let config: GeneratorConfig = serde_json::from_value(config).map_err(wrong)?;
            for (field, set) in [
                ("use_qknorm", config.use_qknorm),
                ("use_swiglu", config.use_swiglu),
                ("use_rope", config.use_rope),
                ("use_rmsnorm", config.use_rmsnorm),
            ] {
                if !set {
                    return Err(format!("model_config: {field} is false; only true is supported"));
                }
            }
            if config.out_channels != config.in_channels {
                return Err("model_config: out_channels differs from in_channels, which is not supported".into());
            }
            Ok(Architecture::Dit(Dit {
                size: config.input_size,
                channels: config.in_channels,
                classes: config.num_classes,
                patch: config.patch_size,
                dim: config.hidden_size,
                depth: config.depth,
                heads: config.num_heads,
                mlp_ratio: config.mlp_ratio,
                context: config.n_cls_tokens,
                styles: config.noise_coords,
                style_values: config.noise_classes,
                cond_dim: config.cond_dim,
            }))
        }
        "mae" => {
            let config: MaeConfig = serde_json::from_value(config).map_err(wrong)?;
            let shape = |name: &str| arrays.get(name).map(|a| a.shape.as_slice());
            let Some(&[.., classes]) = shape("fc/kernel") else { return Err("there is no parameter fc/kernel".into()) };
            // Written down are the picture's channels or, in the first kernel, those after patches became channels.
            let squared = config.input_patch_size.pow(2).max(1);
            let channels = match shape("encoder/conv1/kernel") {
                Some(&[_, _, inputs, _]) if inputs % squared == 0 => inputs / squared,
                _ => config.in_channels,
            };
            // The network is convolutional; published ones see 32 x 32 patches.
            let size = 32 * config.input_patch_size;
            Ok(Architecture::ResnetMae(ResnetMae {
                height: size,
                width: size,
                channels,
                classes,
                input_patch: config.input_patch_size,
                mask_patch: config.patch_size,
                base: config.base_channels,
                blocks: config.layers,
            }))
        }
        other => Err(format!("kind is `{other}`; generators (`gen`) and autoencoders (`mae`) are read")),
    }
}

/// Our parameters in the artifact's arrays; all of ours must be there, and nothing else.
fn tensors<'a>(
    architecture: &Architecture,
    arrays: &'a BTreeMap<String, Array<'a>>,
) -> Result<Vec<LazyTensor<'a>>, String> {
    let mut tensors = Vec::new();
    let mut left: BTreeMap<&str, &Array> = arrays.iter().map(|(name, array)| (name.as_str(), array)).collect();
    for (name, shape) in architecture.parameters() {
        let path = match architecture {
            Architecture::Dit(_) => generator_path(&name),
            _ => autoencoder_path(&name, shape.len()),
        };
        let Some(array) = left.remove(path.as_str()) else {
            return Err(format!("parameter {path} is missing; metadata.json describes another network"));
        };
        let kernel = path.ends_with("/kernel");
        let found = array.weight_shape(kernel);
        if found != shape {
            return Err(format!("parameter {path} has shape {:?}; metadata.json asks for {shape:?}", array.shape));
        }
        if let Some(at) = array.numbers().iter().position(|x| !x.is_finite()) {
            return Err(format!("parameter {path} holds a number that is not finite at {at}"));
        }
        tensors.push(LazyTensor { name, shape, data: Box::new(move || array.weight(kernel)) });
    }
    match left.keys().next() {
        Some(path) => Err(format!("parameter {path} belongs to no layer that metadata.json describes")),
        None => Ok(tensors),
    }
}

/// Path of a transformer's parameter.
fn generator_path(name: &str) -> String {
    let (layer, part) = name.rsplit_once('.').unwrap_or((name, ""));
    let dense = |path: String| format!("{path}/Dense_0/{}", if part == "bias" { "bias" } else { "kernel" });
    let body = "LightningDiT_0";
    if let Some(rest) = layer.strip_prefix("blocks.") {
        let (block, layer) = rest.split_once('.').unwrap_or((rest, ""));
        let block = format!("{body}/blocks_{block}");
        return match layer {
            "modulation" => dense(format!("{block}/TorchLinear_0")),
            "norm1" => format!("{block}/RMSNorm_0/weight"),
            "attention.qkv" => dense(format!("{block}/Attention_0/TorchLinear_0")),
            "attention.query_norm" => format!("{block}/Attention_0/q_norm/weight"),
            "attention.key_norm" => format!("{block}/Attention_0/k_norm/weight"),
            "attention.out" => dense(format!("{block}/Attention_0/TorchLinear_1")),
            "norm2" => format!("{block}/RMSNorm_1/weight"),
            "mlp.gate" => dense(format!("{block}/SwiGLUFFN_0/TorchLinear_0")),
            "mlp.up" => dense(format!("{block}/SwiGLUFFN_0/TorchLinear_1")),
            _ => dense(format!("{block}/SwiGLUFFN_0/TorchLinear_2")),
        };
    }
    match layer {
        "class" => "Embed_0/embedding".into(),
        "guidance.linear1" => dense("TimestepEmbedder_0/TorchLinear_0".into()),
        "guidance.linear2" => dense("TimestepEmbedder_0/TorchLinear_1".into()),
        "guidance.norm" => "RMSNorm_0/weight".into(),
        "patch" => dense(format!("{body}/TorchLinear_0")),
        "position" => format!("{body}/pos_embed"),
        "context" => dense(format!("{body}/TorchLinear_1")),
        "context_position" => format!("{body}/cls_embed"),
        "final.modulation" => dense(format!("{body}/FinalLayer_0/TorchLinear_0")),
        "final.norm" => format!("{body}/FinalLayer_0/RMSNorm_0/weight"),
        "out" => dense(format!("{body}/FinalLayer_0/TorchLinear_1")),
        styles => format!("noise_embeds_{}/embedding", styles.trim_start_matches("styles.")),
    }
}

/// Path of a masked autoencoder's parameter of so many dimensions.
fn autoencoder_path(name: &str, dims: usize) -> String {
    let (layer, part) = name.rsplit_once('.').unwrap_or((name, ""));
    let part = match (part, dims) {
        ("bias", _) => "bias",
        (_, 1) => "scale",
        _ => "kernel",
    };
    let layer = match layer.strip_prefix("encoder.stages.") {
        Some(rest) => {
            let mut parts = rest.splitn(3, '.');
            let mut next = || parts.next().unwrap_or_default();
            format!("encoder.stages_{}.layers_{}.{}", next(), next(), next())
        }
        None if layer.starts_with("decoder.") => layer.replace("concat_norm", "concat_norm_fn"),
        None => layer.to_owned(),
    };
    format!("{}/{part}", layer.replace('.', "/"))
}
