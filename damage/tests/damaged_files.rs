//! Damaged files: nothing panics, and what still parses still runs.

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_damage::reseal;
use driftlet_quantize::{Activations, Options, Precision, quantize};
use driftlet_runtime::format::{HEADER_LEN, Header};
use driftlet_runtime::{Guidance, Model, Network, ParseError, Sampler};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn files() -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let mut files = Vec::new();
    for (preset, precisions) in [
        ("nano", &[Precision::F32, Precision::F16, Precision::Int8][..]),
        ("fashion-classifier", &[Precision::F32][..]),
    ] {
        let checkpoint = Checkpoint::random(Config::new(Architecture::preset(preset).ok_or(preset)?), 1);
        for &precision in precisions {
            let mut options = Options::new("test", precision);
            options.calibration_samples = Some(4);
            files.push(quantize(&checkpoint, &options)?);
            if precision == Precision::Int8 {
                options.activations = Activations::Eight;
                files.push(quantize(&checkpoint, &options)?);
            }
        }
    }
    Ok(files)
}

fn header(file: &[u8]) -> Header {
    Header::from_bytes(file.first_chunk::<HEADER_LEN>().expect("whole header"))
}

/// Parses; runs what parses, in an arena that is exactly as long as asked, unless that is unreasonable.
fn parse_and_run(file: &AVec<u8>, full: bool) -> bool {
    let Ok(model) = Model::parse(file) else { return false };
    if !full || model.arena_len() > 1 << 20 {
        return true;
    }
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    if let (Ok(mut sampler), Some(class)) = (Sampler::new(&model, &mut arena), model.class(0)) {
        sampler.generate(1, class, Guidance::from_q8(u16::MAX));
        sampler.unrounded().for_each(drop);
    }
    if let Ok(mut network) = Network::new(&model, &mut arena) {
        let image = vec![7; network.image_len()];
        assert!(network.run(&image).is_ok());
    }
    true
}

#[test]
fn a_change_anywhere_in_header_or_tables_is_noticed() -> Outcome {
    for file in files()? {
        let mut file = AVec::<u8>::from_slice(64, &file);
        assert!(parse_and_run(&file, true));
        let tables = header(&file).weights.offset as usize;
        for at in 0..tables {
            for flip in [0x01, 0x80, 0xff] {
                file[at] ^= flip;
                let accepted = Model::parse(&file).is_ok();
                file[at] ^= flip;
                // The minor version and the weights' own checksum (verified on demand) may change.
                assert!(!accepted || (10..12).contains(&at) || (20..24).contains(&at), "byte {at} ^ {flip:#x}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_resealed_change_never_panics() -> Outcome {
    for file in files()? {
        let mut file = AVec::<u8>::from_slice(64, &file);
        let tables = header(&file).weights.offset as usize;
        let original = file.clone();
        let mut accepted = 0;
        for at in 0..tables {
            for value in [original[at].wrapping_add(1), original[at].wrapping_sub(1), original[at] ^ 0x80, 0, 0xff] {
                file[at] = value;
                reseal(&mut file);
                // Running each of the tens of thousands of variants would take minutes; one in eight is run.
                accepted += u32::from(parse_and_run(&file, at % 8 == 0));
                file[..tables].copy_from_slice(&original[..tables]);
            }
        }
        assert!(accepted > 0, "metadata may change");
    }
    Ok(())
}

#[test]
fn every_length_but_the_right_one_is_refused() -> Outcome {
    for file in files()? {
        let file = AVec::<u8>::from_slice(64, &file);
        let tables = header(&file).weights.offset as usize;
        for len in (0..tables).chain((tables..file.len()).step_by(997)) {
            assert!(Model::parse(&file[..len]).is_err(), "{len} bytes");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(matches!(Model::parse(&longer), Err(ParseError::Length { .. })));
    }
    Ok(())
}

#[test]
fn damaged_weights_run_and_are_found() -> Outcome {
    for file in files()? {
        let mut file = AVec::<u8>::from_slice(64, &file);
        let weights = header(&file).weights.offset as usize;
        assert!(Model::parse(&file)?.verify_weights());
        for pattern in [0x00, 0x7f, 0x80, 0xff] {
            file[weights..].fill(pattern);
            // Biases, multipliers and shifts out of range are refused; the rest runs.
            parse_and_run(&file, true);
            assert!(Model::parse(&file).map_or(true, |model| !model.verify_weights()));
        }
    }
    Ok(())
}

#[test]
fn messages_name_the_remedy() -> Outcome {
    let file = AVec::<u8>::from_slice(64, &files()?.remove(2));
    let message = |bytes: &[u8]| Model::parse(bytes).err().map(|e| e.to_string()).unwrap_or_default();
    let text = AVec::<u8>::from_slice(64, b"not a model at all");
    assert!(message(&text).contains("driftlet quantize"));
    assert!(message(&file[..file.len() - 1]).contains("copy it again"));
    assert!(message(&file[1..]).contains("multiple of 4"));
    let mut newer = file.clone();
    newer[8] += 1;
    assert!(message(&newer).contains(&format!("format version {}", newer[8])));
    Ok(())
}
