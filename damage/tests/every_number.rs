//! Numbers among the weights that arithmetic relies on: biases, multipliers and shifts at the ends of what is admitted.

mod files;

use aligned_vec::AVec;
use driftlet_damage::header;
use driftlet_runtime::Model;
use driftlet_runtime::format::{ConvMode, DType, NONE, OpKind, OpRecord, TensorRecord};
use driftlet_runtime::panels::{Panels, QUAD};
use files::files;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The linear layers and convolutions of a file.
fn layers(file: &[u8]) -> Vec<OpRecord> {
    let Some(header) = header(file) else { return Vec::new() };
    let record = |i| file[header.ops.offset as usize + i as usize * OpRecord::LEN..].first_chunk();
    let ops = (0..header.ops.count).filter_map(|i| record(i).and_then(OpRecord::from_bytes));
    ops.filter(|op| matches!(op.kind, OpKind::Linear | OpKind::Conv2d)).collect()
}

/// Where the numbers of a tensor begin.
fn start(file: &[u8], tensor: u32) -> usize {
    let at = header(file).map_or(0, |header| header.tensors.offset as usize) + tensor as usize * TensorRecord::LEN;
    let record = file[at..].first_chunk().and_then(TensorRecord::from_bytes);
    record.map_or(0, |record| record.offset as usize)
}

#[test]
fn layers_hold_what_32_and_64_bits_hold() -> Outcome {
    let (bias, multiplier, shift) = (0, 1, 2);
    let cases = [
        (bias, (1 << 30) - 1, true),
        (bias, -(1 << 30) + 1, true),
        // With the longest sum of products this would be 2^31.
        (bias, 1 << 30, false),
        (bias, -(1 << 30), false),
        (bias, i32::MIN, false),
        (multiplier, i32::MAX, true),
        (multiplier, -1, false),
        (multiplier, i32::MIN, false),
        (shift, 1, true),
        (shift, 62, true),
        (shift, 0, false),
        (shift, 63, false),
        (shift, -1, false),
    ];
    let mut layer_count = 0;
    for (name, original) in files()?.into_iter().filter(|(name, _)| name.contains("-int8")) {
        for op in layers(&original) {
            layer_count += 1;
            for (place, number, admitted) in cases {
                let tensor = if place == bias { op.bias } else { op.rescale };
                assert_ne!(tensor, NONE);
                let at = start(&original, tensor) + 4 * usize::from(place == shift);
                let mut file = AVec::<u8>::from_slice(64, &original);
                file[at..at + 4].copy_from_slice(&i32::to_le_bytes(number));
                assert_eq!(Model::parse(&file).is_ok(), admitted, "{name}: {number}");
            }
        }
    }
    assert!(layer_count > 20, "only {layer_count} layers");
    Ok(())
}

/// Found by fuzzing: kernels multiply such a weight with what lies beside the inputs, each with something else.
#[test]
fn only_zeros_fill_up_groups() -> Outcome {
    let mut filled = 0;
    for (name, original) in files()?.into_iter().filter(|(name, _)| name.contains("-int8")) {
        let whole = AVec::<u8>::from_slice(64, &original);
        let model = Model::parse(&whole)?;
        let infos = (0..model.op_count()).map(|index| model.op_info(index));
        let infos = infos.filter(|op| matches!(op.kind, OpKind::Linear | OpKind::Conv2d));
        for (op, info) in layers(&original).into_iter().zip(infos) {
            let Some(input) = info.inputs[0] else { return Err("a layer without an input".into()) };
            let channels = input.shape[2] as usize;
            if channels.is_multiple_of(QUAD) || op.mode == ConvMode::Depthwise as u8 {
                continue;
            }
            filled += 1;
            let at = header(&original).map_or(0, |header| header.tensors.offset as usize)
                + op.weight as usize * TensorRecord::LEN;
            let record = original[at..].first_chunk().and_then(TensorRecord::from_bytes).ok_or("no record")?;
            let [outputs, height, width, bytes] = record.dims.map(|d| d as usize);
            let four = record.dtype == DType::U8;
            let stored = if four { 2 * bytes } else { bytes };
            let panels = Panels { outputs, terms: height * width * stored, group: QUAD };
            for (output, tap) in [(0, 0), (outputs - 1, height * width - 1)] {
                let mut file = AVec::<u8>::from_slice(64, &original);
                let at = panels.at(output, tap * stored + channels);
                match four {
                    true => file[record.offset as usize + at / 2] |= 1 << (at % 2 * 4),
                    false => file[record.offset as usize + at] = 1,
                }
                assert!(Model::parse(&file).is_err(), "{name}");
            }
        }
    }
    assert!(filled > 4, "only {filled} layers");
    Ok(())
}
