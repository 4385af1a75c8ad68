//! Decoders of autoencoders as the library diffusers stores them: `config.json` and safetensors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;

use super::numbers::Kind;
use crate::lazy::CONFIG;
use crate::{Architecture, CheckpointError, Config, LazyTensor, VaeDecoder, map_file, save_lazily};

/// Name of the weights beside `config.json`.
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
/// What the encoder's tensors begin with; they are passed over.
const ENCODER: [&str; 2] = ["encoder.", "quant_conv."];
/// Where the attention's tensors are.
const ATTENTION: &str = "mid_block.attentions.0.";
/// Names of the attention's layers today, and in older files.
const RENAMED: [(&str, &str); 4] = [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")];

/// `config.json`; what else it holds is not needed. A field that is not there has the default of diffusers.
#[derive(Deserialize)]
#[serde(default)]
struct AutoencoderConfig {
    #[serde(rename = "_class_name")]
    class_name: String,
    out_channels: usize,
    latent_channels: usize,
    block_out_channels: Vec<usize>,
    up_block_types: Vec<String>,
    layers_per_block: usize,
    norm_num_groups: usize,
    act_fn: String,
    sample_size: usize,
    scaling_factor: f64,
    shift_factor: Option<f64>,
    latents_mean: Option<serde_json::Value>,
    latents_std: Option<serde_json::Value>,
    use_post_quant_conv: bool,
    mid_block_add_attention: bool,
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self {
            class_name: String::new(),
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            up_block_types: vec![UP_BLOCK.into()],
            layers_per_block: 1,
            norm_num_groups: 32,
            act_fn: "silu".into(),
            sample_size: 32,
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: None,
            latents_std: None,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

/// The only kind of up block: without attention.
const UP_BLOCK: &str = "UpDecoderBlock2D";

/// Reads the decoder of an `AutoencoderKL` and writes it as a checkpoint, one tensor at a time: memory stays small however
/// large the network. The source is a directory with `config.json` and `diffusion_pytorch_model.safetensors`, or another
/// file of safetensors beside such a `config.json`. Numbers are f32, f16 or bf16. The encoder is passed over.
///
/// # Errors
/// [`CheckpointError`] names the file, and the field or tensor.
pub fn import_diffusers(source: &Path, out: &Path) -> Result<Config, CheckpointError> {
    let (path, weights) = match source.is_dir() {
        true => (source.join(CONFIG), source.join(WEIGHTS)),
        false => (source.with_file_name(CONFIG), source.to_owned()),
    };
    let wrong = |problem: String| CheckpointError::Config { file: path.display().to_string(), problem };
    if path.canonicalize().is_ok_and(|from| out.join(CONFIG).canonicalize().is_ok_and(|to| to == from)) {
        return Err(wrong("the checkpoint would replace it; write to another directory".into()));
    }
    let json = fs::read(&path).map_err(|source| CheckpointError::Io { action: "read", path: path.clone(), source })?;
    let unreadable = |e: serde_json::Error| wrong(format!("{e}; is it the config.json of diffusers' AutoencoderKL?"));
    let json: serde_json::Value = serde_json::from_slice(&json).map_err(unreadable)?;
    let net = decoder(serde_json::from_value(json.clone()).map_err(unreadable)?).map_err(wrong)?;
    let architecture = Architecture::VaeDecoder(net);
    architecture.validate().map_err(wrong)?;

    let file = map_file(&weights)?;
    let damaged = |problem| CheckpointError::Weights { file: weights.display().to_string(), problem };
    let views = SafeTensors::deserialize(&file)
        .map_err(|e| damaged(format!("torn, or not a safetensors file ({e}); download it again")))?;
    let tensors = tensors(architecture.parameters(), &views).map_err(damaged)?;
    let mut config = Config::new(architecture);
    config.training = serde_json::json!({ "imported": "decoder of diffusers' AutoencoderKL", "config": json });
    save_lazily(out, &config, &tensors)?;
    Ok(config)
}

/// The decoder that a configuration describes; the error names the field.
fn decoder(config: AutoencoderConfig) -> Result<VaeDecoder, String> {
    let only = |field: &str, found: &str, known: &str| match found == known {
        true => Ok(()),
        false => Err(format!("{field} is `{found}`; only `{known}` is supported")),
    };
    only("_class_name", &config.class_name, "AutoencoderKL")?;
    only("act_fn", &config.act_fn, "silu")?;
    for (b, kind) in config.up_block_types.iter().enumerate() {
        only(&format!("up_block_types.{b}"), kind, UP_BLOCK)?;
    }
    for (field, set) in [
        ("use_post_quant_conv", config.use_post_quant_conv),
        ("mid_block_add_attention", config.mid_block_add_attention),
    ] {
        only(field, &set.to_string(), "true")?;
    }
    for (field, given) in [
        ("shift_factor", config.shift_factor.is_some_and(|shift| shift != 0.0)),
        ("latents_mean", config.latents_mean.is_some()),
        ("latents_std", config.latents_std.is_some()),
    ] {
        if given {
            return Err(format!("{field} is given; only latents that are scaled by scaling_factor are supported"));
        }
    }
    let (blocks, kinds) = (config.block_out_channels.len(), config.up_block_types.len());
    if blocks != kinds {
        return Err(format!("block_out_channels has {blocks} numbers, up_block_types {kinds}; give one per block"));
    }
    // Too many blocks are refused by the architecture.
    let whole = 1 << blocks.clamp(1, 16).saturating_sub(1);
    if !config.sample_size.is_multiple_of(whole) {
        return Err(format!(
            "sample_size is {}; with {blocks} blocks it must be a multiple of {whole}",
            config.sample_size
        ));
    }
    Ok(VaeDecoder {
        height: config.sample_size / whole,
        width: config.sample_size / whole,
        latent_channels: config.latent_channels,
        out_channels: config.out_channels,
        block_out_channels: config.block_out_channels,
        layers_per_block: config.layers_per_block,
        norm_num_groups: config.norm_num_groups,
        scaling_factor: config.scaling_factor,
    })
}

/// Our parameters among the file's tensors; all of ours must be there, and nothing else but the encoder.
fn tensors<'a>(parameters: Vec<(String, Vec<usize>)>, file: &SafeTensors<'a>) -> Result<Vec<LazyTensor<'a>>, String> {
    let encoder = |name: &str| ENCODER.iter().any(|part| name.starts_with(part));
    let mut left: BTreeMap<String, TensorView<'a>> =
        file.tensors().into_iter().filter(|(name, _)| !encoder(name)).collect();
    let mut tensors = Vec::new();
    for (name, shape) in parameters {
        let (stored, before) = stored_names(&name);
        let found = [Some(&stored), before.as_ref()].into_iter().flatten().find(|name| left.contains_key(*name));
        let Some((path, view)) = found.and_then(|name| left.remove_entry(name)) else {
            let also = before.map(|name| format!(" (or {name})")).unwrap_or_default();
            return Err(format!("tensor {stored}{also} is missing; config.json asks for it, with shape {shape:?}"));
        };
        // Older files have the attention's layers as 1x1 convolutions.
        let as_convolution = before.is_some() && shape.len() == 2 && view.shape() == [&shape[..], &[1, 1]].concat();
        if view.shape() != shape && !as_convolution {
            return Err(format!("tensor {path} has shape {:?}; config.json asks for {shape:?}", view.shape()));
        }
        let kind = match view.dtype() {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            other => return Err(format!("tensor {path} has type {other:?}; store it as F32, F16 or BF16")),
        };
        let bytes: &'a [u8] = view.data();
        if let Some((at, number)) = kind.numbers(bytes).into_iter().enumerate().find(|(_, number)| !number.is_finite())
        {
            return Err(format!("tensor {path} holds {number} at {at}; download the file again"));
        }
        tensors.push(LazyTensor { name, shape, data: Box::new(move || Cow::Owned(kind.numbers(bytes))) });
    }
    match left.first_key_value() {
        Some((path, view)) => {
            let shape = view.shape();
            Err(format!("tensor {path}, of shape {shape:?}, belongs to no layer that config.json describes"))
        }
        None => Ok(tensors),
    }
}

/// What a parameter is called in the file, and what it was called before, if that differs.
fn stored_names(name: &str) -> (String, Option<String>) {
    if name.starts_with("post_quant_conv.") {
        return (name.to_owned(), None);
    }
    let renamed = name.strip_prefix(ATTENTION).and_then(|rest| {
        let (layer, part) = rest.rsplit_once('.')?;
        let (_, before) = RENAMED.into_iter().find(|(today, _)| *today == layer)?;
        Some(format!("decoder.{ATTENTION}{before}.{part}"))
    });
    (format!("decoder.{name}"), renamed)
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};
    use serde_json::{Value, json};

    use super::*;
    use crate::Checkpoint;

    type Failure = Box<dyn std::error::Error>;
    type Outcome = Result<(), Failure>;
    type Change<'a> = &'a dyn Fn(&mut Stored);
    type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

    fn net() -> VaeDecoder {
        VaeDecoder {
            height: 2,
            width: 2,
            latent_channels: 2,
            out_channels: 1,
            block_out_channels: vec![4, 8],
            layers_per_block: 1,
            norm_num_groups: 2,
            scaling_factor: 0.5,
        }
    }

    fn config() -> Value {
        json!({
            "_class_name": "AutoencoderKL", "_diffusers_version": "0.4.2", "act_fn": "silu", "in_channels": 1,
            "out_channels": 1, "latent_channels": 2, "block_out_channels": [4, 8], "layers_per_block": 1,
            "norm_num_groups": 2, "sample_size": 4, "scaling_factor": 0.5, "shift_factor": null,
            "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
            "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
        })
    }

    /// Numbers that f16 and bf16 hold exactly, and a bit of encoder.
    fn stored(kind: Dtype) -> Stored {
        let of = |shape: Vec<usize>| {
            let numbers = (0..shape.iter().product::<usize>()).map(|i| (i % 128) as f32 / 64.0);
            let data = match kind {
                Dtype::F16 => numbers.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
                Dtype::BF16 => numbers.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
                _ => numbers.flat_map(f32::to_le_bytes).collect(),
            };
            (kind, shape, data)
        };
        let decoder = Architecture::VaeDecoder(net()).parameters().into_iter();
        let mut tensors: Stored = decoder.map(|(name, shape)| (stored_names(&name).0, of(shape))).collect();
        tensors.insert("encoder.conv_in.weight".into(), of(vec![4, 1, 3, 3]));
        tensors.insert("quant_conv.bias".into(), of(vec![4]));
        tensors
    }

    /// The attention's layers under their older names, as linear layers or as 1x1 convolutions.
    fn older(tensors: Stored, convolutions: bool) -> Stored {
        let rename = |(name, (kind, mut shape, data)): (String, (Dtype, Vec<usize>, Vec<u8>))| {
            let before = name.strip_prefix("decoder.").and_then(|name| stored_names(name).1);
            if convolutions && before.is_some() && shape.len() == 2 {
                shape.extend([1, 1]);
            }
            (before.unwrap_or(name), (kind, shape, data))
        };
        tensors.into_iter().map(rename).collect()
    }

    fn write(directory: &Path, config: &Value, tensors: &Stored) -> Outcome {
        fs::write(directory.join(CONFIG), serde_json::to_vec(config)?)?;
        let views: Result<Vec<_>, _> = tensors
            .iter()
            .map(|(name, (kind, shape, data))| TensorView::new(*kind, shape.clone(), data).map(|view| (name, view)))
            .collect();
        fs::write(directory.join(WEIGHTS), safetensors::serialize(views?, None)?)?;
        Ok(())
    }

    fn refusal(directory: &Path) -> String {
        let result = import_diffusers(directory, &directory.join("out"));
        result.err().map_or_else(|| "accepted".into(), |e| e.to_string())
    }

    #[test]
    fn all_types_and_spellings_give_the_same_checkpoint() -> Outcome {
        let directory = tempfile::tempdir()?;
        let out = directory.path().join("out");
        for tensors in
            [stored(Dtype::F32), stored(Dtype::F16), older(stored(Dtype::F32), false), older(stored(Dtype::BF16), true)]
        {
            write(directory.path(), &config(), &tensors)?;
            for source in [directory.path(), &directory.path().join(WEIGHTS)] {
                import_diffusers(source, &out)?;
                let checkpoint = Checkpoint::load(&out)?;
                assert_eq!(checkpoint.config.architecture, Architecture::VaeDecoder(net()));
                for (name, shape) in checkpoint.config.architecture.parameters() {
                    let tensor = checkpoint.tensor(&name);
                    assert_eq!(tensor.shape, shape, "{name}");
                    let counted = |(i, &x): (usize, &f32)| x == (i % 128) as f32 / 64.0;
                    assert!(tensor.data.iter().enumerate().all(counted), "{name}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn wrong_tensors_are_named() -> Outcome {
        let directory = tempfile::tempdir()?;
        let refused = |change: &dyn Fn(&mut Stored)| -> Result<String, Failure> {
            let mut tensors = stored(Dtype::F32);
            change(&mut tensors);
            write(directory.path(), &config(), &tensors)?;
            let message = refusal(directory.path());
            assert!(message.contains(WEIGHTS), "{message}");
            Ok(message)
        };
        let query = "decoder.mid_block.attentions.0.to_q.weight";
        let older = "decoder.mid_block.attentions.0.query.weight";
        let norm = "decoder.conv_norm_out.weight";
        let expectations: [(Change, String); 9] = [
            (&|t| drop(t.remove("post_quant_conv.bias")), "post_quant_conv.bias is missing; config.json asks".into()),
            (
                &|t| drop(t.remove(query)),
                format!("{query} (or {older}) is missing; config.json asks for it, with shape [8"),
            ),
            (
                &|t| t.extend([("decoder.x".into(), (Dtype::U8, vec![1], vec![0]))]),
                "decoder.x, of shape [1], bel".into(),
            ),
            (
                &|t| t.extend([("loss.x".into(), (Dtype::U8, vec![0], vec![]))]),
                "loss.x, of shape [0], belongs to".into(),
            ),
            (
                &|t| t.extend([(older.into(), t[query].clone())]),
                format!("{older}, of shape [8, 8], belongs to no layer"),
            ),
            (
                &|t| t.extend([(norm.into(), (Dtype::F32, vec![2], vec![0; 8]))]),
                format!("{norm} has shape [2]; config"),
            ),
            (
                &|t| t.extend([(norm.into(), (Dtype::F32, vec![4, 1, 1], vec![0; 16]))]),
                format!("{norm} has shape [4, 1, 1]"),
            ),
            (
                &|t| t.extend([(norm.into(), (Dtype::I32, vec![4], vec![0; 16]))]),
                format!("{norm} has type I32; store it"),
            ),
            (&|t| t.extend([(norm.into(), (Dtype::F32, vec![4], vec![255; 16]))]), format!("{norm} holds NaN at 0")),
        ];
        for (change, expected) in expectations {
            let message = refused(change)?;
            assert!(message.contains(&expected), "{message}");
        }
        assert!(!directory.path().join("out").exists());
        Ok(())
    }

    #[test]
    fn other_autoencoders_are_refused_by_the_field() -> Outcome {
        let directory = tempfile::tempdir()?;
        for (field, value, expected) in [
            ("_class_name", json!("AutoencoderTiny"), "_class_name is `AutoencoderTiny`; only `AutoencoderKL`"),
            ("_class_name", Value::Null, "config.json: invalid type: null"),
            ("act_fn", json!("gelu"), "act_fn is `gelu`"),
            ("up_block_types", json!(["UpDecoderBlock2D", "AttnUpDecoderBlock2D"]), "up_block_types.1 is `Attn"),
            ("up_block_types", json!(["UpDecoderBlock2D"]), "block_out_channels has 2 numbers, up_block_types 1"),
            ("use_post_quant_conv", json!(false), "use_post_quant_conv is `false`"),
            ("mid_block_add_attention", json!(false), "mid_block_add_attention is `false`"),
            ("shift_factor", json!(0.1), "shift_factor is given"),
            ("latents_mean", json!([0.0, 0.1]), "latents_mean is given"),
            ("sample_size", json!(3), "sample_size is 3; with 2 blocks it must be a multiple of 2"),
            ("sample_size", json!(-1), "config.json: invalid value"),
            ("norm_num_groups", json!(3), "it must be a multiple of norm_num_groups, 3"),
            ("latent_channels", json!(1u64 << 60), "latent_channels is 1152921504606846976; it must be 1 to"),
            ("scaling_factor", json!(0), "scaling_factor is 0"),
        ] {
            let mut config = config();
            config[field] = value;
            write(directory.path(), &config, &stored(Dtype::F32))?;
            let message = refusal(directory.path());
            assert!(message.contains(expected) && message.contains(CONFIG), "{message}");
        }
        let mut many = config();
        many["block_out_channels"] = json!(vec![4; 100]);
        many["up_block_types"] = json!(vec![UP_BLOCK; 100]);
        many["sample_size"] = json!(1 << 20);
        write(directory.path(), &many, &stored(Dtype::F32))?;
        assert!(refusal(directory.path()).contains("number of block_out_channels is 100"));
        Ok(())
    }

    #[test]
    fn fields_that_are_not_there_have_their_defaults() -> Outcome {
        // As the first release of the fine-tuned decoder: no scaling_factor.
        let json = json!({ "_class_name": "AutoencoderKL", "block_out_channels": [128, 256, 512, 512],
            "layers_per_block": 2, "sample_size": 256, "up_block_types": vec![UP_BLOCK; 4] });
        let published = Architecture::VaeDecoder(decoder(serde_json::from_value(json)?)?);
        assert_eq!(Some(published), Architecture::preset("sd-vae-decoder"));
        Ok(())
    }

    #[test]
    fn damage_is_refused() -> Outcome {
        let directory = tempfile::tempdir()?;
        write(directory.path(), &config(), &stored(Dtype::F16))?;
        let path = directory.path().join(WEIGHTS);
        let whole = fs::read(&path)?;
        for len in (0..whole.len()).step_by(97) {
            fs::write(&path, &whole[..len])?;
            assert!(refusal(directory.path()).contains(WEIGHTS), "{len} bytes");
        }
        // Bytes of the header: never a panic.
        for at in (0..600.min(whole.len())).step_by(7) {
            for value in [0x00, b'9', b'"', b'}', 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                fs::write(&path, damaged)?;
                let _ = import_diffusers(directory.path(), &directory.path().join("out"));
            }
        }
        fs::remove_file(&path)?;
        assert!(refusal(directory.path()).contains("cannot read"), "{}", refusal(directory.path()));
        let json = fs::read(directory.path().join(CONFIG))?;
        fs::write(directory.path().join(CONFIG), &json[..json.len() / 2])?;
        assert!(refusal(directory.path()).contains("is it the config.json of diffusers"));
        Ok(())
    }

    #[test]
    fn the_source_is_not_replaced() -> Outcome {
        let directory = tempfile::tempdir()?;
        write(directory.path(), &config(), &stored(Dtype::F32))?;
        let error = import_diffusers(directory.path(), directory.path()).err().ok_or("accepted")?.to_string();
        assert!(error.contains("write to another directory"), "{error}");
        assert_eq!(fs::read_dir(directory.path())?.count(), 2);
        Ok(())
    }
}
