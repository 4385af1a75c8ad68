//! What a file can cost: the largest tables parse, larger ones are refused, and the work of a pass is known before it runs.

mod files;

use std::time::Instant;

use aligned_vec::AVec;
use driftlet_damage::reseal;
use driftlet_runtime::format::{
    DType, HEADER_LEN, Header, MAX_RECORDS, NONE, OpKind, OpRecord, Section, VERSION_MAJOR, ValueRecord,
};
use driftlet_runtime::{Guidance, Model, ParseError, Sampler};
use files::files;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Noise of one number, and so many operators after it that each add it to what the one before wrote: the most values that
/// can be compared with each other.
fn chain(ops: u32) -> AVec<u8> {
    let mut header = Header::from_bytes(&[0; HEADER_LEN]);
    header.major = VERSION_MAJOR;
    header.arena_len = 64 * ops - 60;
    (header.output, header.pixels, header.features) = (ops - 1, NONE, NONE);
    let (mut values, mut list) = (Vec::new(), Vec::new());
    for i in 0..ops {
        let value = ValueRecord {
            dtype: DType::F32,
            bits: 32,
            zero_point: 0,
            shape: [1, 1, 1],
            offset: 64 * i,
            scale_bits: 1f32.to_bits(),
            first: i,
            // All live to the end, so that every pair is compared to the last condition.
            last: ops,
            window: 0,
        };
        values.extend(value.to_bytes());
        let op = if i == 0 {
            OpRecord { output: 0, ..OpRecord::new(OpKind::Noise) }
        } else {
            OpRecord { inputs: [0, i - 1, NONE], output: i, ..OpRecord::new(OpKind::Add) }
        };
        list.extend(op.to_bytes());
    }
    let mut end = HEADER_LEN as u32;
    let mut place = |bytes: &[u8], len: usize| {
        let section = Section { offset: end, count: (bytes.len() / len) as u32 };
        end += bytes.len() as u32;
        section
    };
    header.metadata = place(&[], 1);
    header.tensors = place(&[], 1);
    header.values = place(&values, ValueRecord::LEN);
    header.ops = place(&list, OpRecord::LEN);
    header.weights = Section { offset: end.next_multiple_of(64), count: 0 };
    header.file_len = header.weights.offset;
    let mut file = AVec::from_slice(64, &header.to_bytes());
    for bytes in [&values, &list] {
        file.extend_from_slice(bytes);
    }
    file.resize(header.file_len as usize, 0);
    reseal(&mut file);
    file
}

#[test]
fn the_largest_tables_parse_and_larger_ones_are_refused() -> Outcome {
    let file = chain(MAX_RECORDS);
    let start = Instant::now();
    let model = Model::parse(&file)?;
    println!("{} bytes, {MAX_RECORDS} values: parsed in {:.1} ms", file.len(), start.elapsed().as_secs_f64() * 1e3);
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    let mut sampler = Sampler::new(&model, &mut arena)?;
    sampler.generate(7, model.class(0).ok_or("no class")?, Guidance::from_q8(0));
    let noise: Vec<i8> = driftlet_runtime::noise::Gaussian::new(7).take(1).collect();
    let sum = f32::from(noise[0]) / 32.0 * MAX_RECORDS as f32;
    assert_eq!(sampler.unrounded().collect::<Vec<f32>>(), [sum]);
    assert!(matches!(Model::parse(&chain(MAX_RECORDS + 1)), Err(ParseError::Header(_))));
    Ok(())
}

#[test]
fn the_work_of_a_pass_is_no_less_than_its_products() -> Outcome {
    for (name, file) in files()? {
        let file = AVec::<u8>::from_slice(64, &file);
        let model = Model::parse(&file)?;
        let written: u64 = (0..model.op_count()).map(|index| model.op_info(index).output.elements() as u64).sum();
        assert!(model.work() >= model.macs() + written, "{name}");
    }
    Ok(())
}
