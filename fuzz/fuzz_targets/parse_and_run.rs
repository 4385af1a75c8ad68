//! Any bytes may be given to the parser; whatever it accepts must run. The checksum is made right first, so that the fuzzer
//! reaches the checks behind it. Start from real files: `driftlet quantize CKPT --precision int8 --out fuzz/corpus/..`.
#![no_main]

use aligned_vec::AVec;
use driftlet_runtime::format::{HEADER_LEN, Header, crc32};
use driftlet_runtime::{Guidance, Model, Network, Sampler};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = AVec::<u8>::from_slice(64, data);
    if let Some(header) = file.first_chunk::<HEADER_LEN>().map(Header::from_bytes) {
        let tables = file.get(24..header.weights.offset as usize).map(|tables| crc32(0, tables));
        if let Some(crc) = tables {
            file[16..20].copy_from_slice(&crc.to_le_bytes());
        }
        let len = file.len() as u32;
        file[12..16].copy_from_slice(&len.to_le_bytes());
    }
    let Ok(model) = Model::parse(&file) else { return };
    let macs: u64 = (0..model.op_count()).map(|i| model.op_info(i).macs).fold(0, u64::saturating_add);
    if model.arena_len() > 1 << 20 || macs > 1 << 24 {
        return;
    }
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    if let (Ok(mut sampler), Some(class)) = (Sampler::new(&model, &mut arena), model.class(0)) {
        sampler.generate(1, class, Guidance::from_q8(700));
        sampler.unrounded().for_each(drop);
    }
    if let Ok(mut network) = Network::new(&model, &mut arena) {
        let image = vec![7; network.image_len()];
        let _ = network.run(&image);
    }
});
