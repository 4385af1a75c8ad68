//! `driftlet import`: a published artifact becomes a checkpoint; what does not fit is named.

use std::fs;
use std::path::Path;

use driftlet_checkpoint::{Architecture, Checkpoint, import_flax};

type Failure = Box<dyn std::error::Error>;
type Outcome = Result<(), Failure>;

const METADATA: &str = r#"{
  "format": "flax.msgpack", "kind": "gen", "ema_decay": 0.999, "step": 7,
  "model_config": {
    "cond_dim": 6, "num_classes": 3, "noise_classes": 2, "noise_coords": 1, "input_size": 4, "in_channels": 1,
    "n_cls_tokens": 2, "patch_size": 2, "hidden_size": 8, "depth": 1, "num_heads": 2, "mlp_ratio": 4.0, "out_channels": 1,
    "use_qknorm": true, "use_swiglu": true, "use_rope": true, "use_rmsnorm": true, "use_bf16": false
  }
}"#;

type Parameters = Vec<(&'static str, Vec<usize>)>;

/// Paths and shapes of a generator of [`METADATA`], as Flax writes them.
fn parameters() -> Parameters {
    vec![
        ("Embed_0/embedding", vec![3, 6]),
        ("noise_embeds_0/embedding", vec![2, 6]),
        ("TimestepEmbedder_0/TorchLinear_0/Dense_0/kernel", vec![256, 6]),
        ("TimestepEmbedder_0/TorchLinear_0/Dense_0/bias", vec![6]),
        ("TimestepEmbedder_0/TorchLinear_1/Dense_0/kernel", vec![6, 6]),
        ("TimestepEmbedder_0/TorchLinear_1/Dense_0/bias", vec![6]),
        ("RMSNorm_0/weight", vec![6]),
        ("LightningDiT_0/TorchLinear_0/Dense_0/kernel", vec![4, 8]),
        ("LightningDiT_0/TorchLinear_0/Dense_0/bias", vec![8]),
        ("LightningDiT_0/pos_embed", vec![1, 4, 8]),
        ("LightningDiT_0/TorchLinear_1/Dense_0/kernel", vec![6, 8]),
        ("LightningDiT_0/TorchLinear_1/Dense_0/bias", vec![8]),
        ("LightningDiT_0/cls_embed", vec![1, 2, 8]),
        ("LightningDiT_0/blocks_0/TorchLinear_0/Dense_0/kernel", vec![6, 48]),
        ("LightningDiT_0/blocks_0/TorchLinear_0/Dense_0/bias", vec![48]),
        ("LightningDiT_0/blocks_0/RMSNorm_0/weight", vec![8]),
        ("LightningDiT_0/blocks_0/Attention_0/TorchLinear_0/Dense_0/kernel", vec![8, 24]),
        ("LightningDiT_0/blocks_0/Attention_0/TorchLinear_0/Dense_0/bias", vec![24]),
        ("LightningDiT_0/blocks_0/Attention_0/q_norm/weight", vec![4]),
        ("LightningDiT_0/blocks_0/Attention_0/k_norm/weight", vec![4]),
        ("LightningDiT_0/blocks_0/Attention_0/TorchLinear_1/Dense_0/kernel", vec![8, 8]),
        ("LightningDiT_0/blocks_0/Attention_0/TorchLinear_1/Dense_0/bias", vec![8]),
        ("LightningDiT_0/blocks_0/RMSNorm_1/weight", vec![8]),
        ("LightningDiT_0/blocks_0/SwiGLUFFN_0/TorchLinear_0/Dense_0/kernel", vec![8, 32]),
        ("LightningDiT_0/blocks_0/SwiGLUFFN_0/TorchLinear_0/Dense_0/bias", vec![32]),
        ("LightningDiT_0/blocks_0/SwiGLUFFN_0/TorchLinear_1/Dense_0/kernel", vec![8, 32]),
        ("LightningDiT_0/blocks_0/SwiGLUFFN_0/TorchLinear_1/Dense_0/bias", vec![32]),
        ("LightningDiT_0/blocks_0/SwiGLUFFN_0/TorchLinear_2/Dense_0/kernel", vec![32, 8]),
        ("LightningDiT_0/blocks_0/SwiGLUFFN_0/TorchLinear_2/Dense_0/bias", vec![8]),
        ("LightningDiT_0/FinalLayer_0/TorchLinear_0/Dense_0/kernel", vec![6, 16]),
        ("LightningDiT_0/FinalLayer_0/TorchLinear_0/Dense_0/bias", vec![16]),
        ("LightningDiT_0/FinalLayer_0/RMSNorm_0/weight", vec![8]),
        ("LightningDiT_0/FinalLayer_0/TorchLinear_1/Dense_0/kernel", vec![8, 4]),
        ("LightningDiT_0/FinalLayer_0/TorchLinear_1/Dense_0/bias", vec![4]),
    ]
}

/// A MessagePack map of (path, shape) arrays, flat: Flax nests, but a path may also be one key. Numbers count up by 1/64,
/// which every type holds exactly up to 4.
fn artifact(directory: &Path, kind: &str, parameters: &[(&str, Vec<usize>)]) -> Outcome {
    fs::write(directory.join("metadata.json"), METADATA)?;
    let mut file = vec![0xde];
    file.extend((parameters.len() as u16).to_be_bytes());
    for (path, shape) in parameters {
        file.push(0xd9);
        file.push(path.len() as u8);
        file.extend(path.as_bytes());
        let count: usize = shape.iter().product();
        let numbers = (0..count).map(|i| (i % 128) as f32 / 64.0);
        let data: Vec<u8> = match kind {
            "float32" => numbers.flat_map(f32::to_le_bytes).collect(),
            // The upper half of an f32 is a bf16.
            _ => numbers.flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect(),
        };
        let mut body = vec![0x93, 0x90 + shape.len() as u8];
        for &dim in shape {
            body.push(0xcd);
            body.extend((dim as u16).to_be_bytes());
        }
        body.push(0xa0 + kind.len() as u8);
        body.extend(kind.as_bytes());
        body.push(0xc6);
        body.extend((data.len() as u32).to_be_bytes());
        body.extend(data);
        file.push(0xc9);
        file.extend((body.len() as u32).to_be_bytes());
        file.push(1);
        file.extend(body);
    }
    fs::write(directory.join("ema_params.msgpack"), file)?;
    Ok(())
}

#[test]
fn single_and_half_precision_give_the_same_checkpoint() -> Outcome {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let mut imported = Vec::new();
    for kind in ["float32", "bfloat16"] {
        artifact(directory.path(), kind, &parameters())?;
        import_flax(directory.path(), &out)?;
        imported.push(Checkpoint::load(&out)?);
    }
    assert_eq!(imported[0].tensors, imported[1].tensors);
    let Architecture::Dit(net) = &imported[0].config.architecture else { return Err("not a transformer".into()) };
    assert_eq!((net.dim, net.mlp_dim(), net.classes), (8, 32, 3));
    // A kernel [in, out] is stored as [out, in].
    let qkv = imported[0].tensor("blocks.0.attention.qkv.weight");
    assert_eq!(
        (qkv.shape.as_slice(), qkv.data[0], qkv.data[1], qkv.data[8]),
        (&[24, 8][..], 0.0, 24.0 / 64.0, 1.0 / 64.0)
    );
    Ok(())
}

#[test]
fn mismatches_are_named_and_damage_is_refused() -> Outcome {
    let directory = tempfile::tempdir()?;
    let out = directory.path().join("out");
    let refused = || import_flax(directory.path(), &out).err().map(|e| e.to_string()).unwrap_or_default();
    let changed = |change: &dyn Fn(&mut Parameters)| -> Result<String, Failure> {
        let mut list = parameters();
        change(&mut list);
        artifact(directory.path(), "float32", &list)?;
        Ok(refused())
    };
    let missing = changed(&|list| drop(list.remove(9)))?;
    assert!(missing.contains("LightningDiT_0/pos_embed is missing"), "{missing}");
    let misshapen = changed(&|list| list[0].1 = vec![4, 6])?;
    assert!(misshapen.contains("Embed_0/embedding has shape [4, 6]"), "{misshapen}");
    let foreign = changed(&|list| list.push(("extra/bias", vec![2])))?;
    assert!(foreign.contains("extra/bias belongs to no layer"), "{foreign}");

    artifact(directory.path(), "float32", &parameters())?;
    let path = directory.path().join("ema_params.msgpack");
    let whole = fs::read(&path)?;
    for len in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..len])?;
        assert!(refused().contains("ema_params.msgpack"), "{len} bytes: {}", refused());
    }
    // Headers of every kind of entry, byte by byte: never a panic.
    for at in 0..400.min(whole.len()) {
        for value in [0x00, 0x7f, 0x80, 0xc1, 0xc9, 0xdf, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            fs::write(&path, damaged)?;
            let _ = import_flax(directory.path(), &out);
        }
    }
    fs::write(directory.path().join("metadata.json"), METADATA.replace("\"gen\"", "\"flow\""))?;
    fs::write(&path, &whole)?;
    assert!(refused().contains("`flow`"), "{}", refused());
    Ok(())
}
