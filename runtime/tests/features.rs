//! A file that needs what a build of the runtime leaves out is refused by the feature's name.

use driftlet_runtime::format::{
    DType, HEADER_LEN, Header, NONE, OpKind, OpRecord, Precision, Section, VERSION_MAJOR, ValueRecord, crc32,
};
use driftlet_runtime::{Aligned, Model};

const LEN: usize = 384;

/// Noise `[1, 1, 4]`, and its only position taken out of it: an integer model without weights.
fn slice(bands_height: u32) -> Aligned<[u8; LEN]> {
    let value = |offset, first| ValueRecord {
        dtype: DType::I8,
        bits: 8,
        zero_point: 0,
        shape: [1, 1, 4],
        offset,
        scale_bits: 1f32.to_bits(),
        first,
        last: first + 1,
        window: 0,
    };
    let values = [value(0, 0), value(64, 1)];
    let ops = [
        OpRecord { output: 0, ..OpRecord::new(OpKind::Noise) },
        OpRecord { inputs: [0, NONE, NONE], output: 1, ..OpRecord::new(OpKind::Slice) },
    ];
    let place = |offset: usize, count| Section { offset: offset as u32, count };
    let mut header = Header {
        major: VERSION_MAJOR,
        minor: 0,
        file_len: LEN as u32,
        tables_crc: 0,
        weights_crc: 0,
        precision: Precision::Int8 as u8,
        arena_len: 128,
        metadata: place(HEADER_LEN, 0),
        tensors: place(HEADER_LEN, 0),
        values: place(HEADER_LEN, 2),
        ops: place(HEADER_LEN + 2 * ValueRecord::LEN, 2),
        weights: place(LEN, 0),
        classes: 0,
        guidance_min: 256,
        guidance_max: 256,
        output: 1,
        pixels: NONE,
        features: NONE,
        bands_first: 0,
        bands_height,
    };
    let mut bytes = Aligned([0; LEN]);
    let tables = &mut bytes.0[HEADER_LEN..];
    for (place, value) in tables.chunks_exact_mut(ValueRecord::LEN).zip(&values) {
        place.copy_from_slice(&value.to_bytes());
    }
    for (place, op) in tables[2 * ValueRecord::LEN..].chunks_exact_mut(OpRecord::LEN).zip(&ops) {
        place.copy_from_slice(&op.to_bytes());
    }
    bytes.0[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    header.tables_crc = crc32(0, &bytes.0[24..]);
    bytes.0[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    bytes
}

fn problem(file: &Aligned<[u8; LEN]>) -> Option<String> {
    Model::parse(&file.0).err().map(|error| error.to_string())
}

#[test]
fn operators_beyond_convolutional_generators_need_the_feature_transformer() {
    let expected =
        "this runtime was built without its `transformer` feature, which the model needs; build it with the feature";
    let expected = (!cfg!(feature = "transformer")).then(|| expected.to_string());
    assert_eq!(problem(&slice(0)), expected);
}

#[test]
fn bands_need_the_feature_bands() {
    let problem = problem(&slice(1)).expect("the model makes no picture, and so no bands");
    let expected =
        "this runtime was built without its `bands` feature, which the model needs; build it with the feature";
    assert_eq!(problem == expected, !cfg!(feature = "bands"), "{problem}");
}

#[test]
fn messages_say_what_is_wrong_and_without_them_where() {
    let mut file = slice(0);
    file.0[24] = 9;
    let crc = crc32(0, &file.0[24..]).to_le_bytes();
    file.0[16..20].copy_from_slice(&crc);
    let what = if cfg!(feature = "messages") {
        "unknown precision"
    } else {
        "not as it should be; `driftlet inspect` says what is wrong"
    };
    assert_eq!(problem(&file), Some(format!("header: {what}")));
}
