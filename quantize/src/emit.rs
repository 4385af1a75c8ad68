//! Writes a program as the bytes of a `.drift` file, see `docs/format.md`.

use std::io::{Seek, Write};

use driftlet_runtime::format::{
    ALIGN, HEADER_LEN, Header, MAX_RECORDS, NONE, OpRecord, Section, TensorRecord, VERSION_MAJOR, VERSION_MINOR,
    ValueRecord, crc32,
};

use crate::QuantizeError;
use crate::RamLimit;
use crate::plan::section::{Placed, place};
use crate::program::{Metadata, Program};

/// Plans memory within a limit, lays the sections out, and writes them; weights are made one at a time.
pub fn emit(
    program: &Program,
    metadata: &Metadata,
    limit: RamLimit,
    sink: &mut (impl Write + Seek),
) -> Result<(), QuantizeError> {
    let records = program.tensors.len().max(program.values.len()).max(program.ops.len());
    if records > MAX_RECORDS as usize {
        return Err(QuantizeError::TooLarge("more than 4096 tensors, values or operators"));
    }
    let Placed { section: bands, lives, plan, whole_arena } = place(program, limit)?;
    let metadata = Metadata {
        arena_bound: Some(plan.bound),
        arena_bound_op: Some(plan.bound_op),
        arena_whole: bands.as_ref().map(|_| whole_arena),
        ..metadata.clone()
    };
    let metadata = serde_json::to_vec(&metadata).map_err(|e| QuantizeError::Defect(e.to_string()))?;

    let mut end = HEADER_LEN;
    let mut section = |count: usize, size: usize, align: usize| {
        let offset = end.next_multiple_of(align);
        end = offset + count * size;
        (offset, count)
    };
    let (metadata_at, tensors_at, values_at, ops_at) = (
        section(metadata.len(), 1, 4),
        section(program.tensors.len(), TensorRecord::LEN, 4),
        section(program.values.len(), ValueRecord::LEN, 4),
        section(program.ops.len(), OpRecord::LEN, 4),
    );
    let weights_offset = end.next_multiple_of(ALIGN as usize);
    let mut offsets = Vec::with_capacity(program.tensors.len());
    let mut file_len = weights_offset;
    for tensor in &program.tensors {
        let offset = file_len.next_multiple_of(ALIGN as usize);
        offsets.push(offset);
        file_len = offset + tensor.len();
    }
    let too_large = |_| QuantizeError::TooLarge("more than 4 GiB");
    u32::try_from(file_len).map_err(too_large)?;
    let arena_len = u32::try_from(plan.arena).map_err(too_large)?;

    // Every number below is at most `file_len`, `arena_len` or `MAX_RECORDS`, so casts to 32 bits are exact.
    let mut tables = vec![0; weights_offset];
    let mut put = |at: usize, bytes: &[u8]| tables[at..at + bytes.len()].copy_from_slice(bytes);
    put(metadata_at.0, &metadata);
    for (i, (tensor, &offset)) in program.tensors.iter().zip(&offsets).enumerate() {
        let dims = tensor.dims.map(|d| d as u32);
        let record = TensorRecord { dtype: tensor.dtype, dims, offset: offset as u32 };
        put(tensors_at.0 + i * TensorRecord::LEN, &record.to_bytes());
    }
    for (i, ((value, life), &offset)) in program.values.iter().zip(&lives.values).zip(&plan.offsets).enumerate() {
        let window = bands.as_ref().and_then(|section| section.window(program, i));
        // What bands keep has its place before it is written.
        let writer = program.ops.iter().position(|op| window.is_some() && op.output as usize == i);
        let scratch_within_bands =
            window.is_none() && bands.as_ref().is_some_and(|section| life.first >= section.first);
        let record = ValueRecord {
            dtype: value.dtype,
            bits: value.bits,
            zero_point: value.zero_point,
            shape: value.shape.map(|d| d as u32),
            offset: offset as u32,
            scale_bits: value.scale.to_bits(),
            first: writer.unwrap_or(life.first) as u32,
            last: life.last as u32,
            // Working memory within bands is a row, held as a whole.
            window: window.map_or(scratch_within_bands.into(), |window| window.rows),
        };
        put(values_at.0 + i * ValueRecord::LEN, &record.to_bytes());
    }
    for (i, op) in program.ops.iter().enumerate() {
        put(ops_at.0 + i * OpRecord::LEN, &op.to_bytes());
    }
    let write = |sink: &mut dyn Write, bytes: &[u8]| sink.write_all(bytes).map_err(QuantizeError::Write);
    write(sink, &tables)?;
    let (mut at, mut weights_crc) = (weights_offset, 0);
    for (tensor, &offset) in program.tensors.iter().zip(&offsets) {
        for bytes in [&[0; ALIGN as usize][..offset - at], &tensor.bytes()] {
            write(sink, bytes)?;
            weights_crc = crc32(weights_crc, bytes);
        }
        at = offset + tensor.len();
    }
    let section = |(offset, count): (usize, usize)| Section { offset: offset as u32, count: count as u32 };
    let mut header = Header {
        major: VERSION_MAJOR,
        minor: VERSION_MINOR,
        file_len: file_len as u32,
        tables_crc: 0,
        weights_crc,
        precision: program.precision as u8,
        arena_len,
        metadata: section(metadata_at),
        tensors: section(tensors_at),
        values: section(values_at),
        ops: section(ops_at),
        weights: section((weights_offset, file_len - weights_offset)),
        classes: program.classes as u32,
        guidance_min: program.guidance.0,
        guidance_max: program.guidance.1,
        output: program.output as u32,
        pixels: program.pixels.map_or(NONE, |v| v as u32),
        features: program.features.map_or(NONE, |v| v as u32),
        bands_first: bands.as_ref().map_or(0, |section| section.first as u32),
        bands_height: bands.as_ref().map_or(0, |section| section.height),
    };
    tables[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    header.tables_crc = crc32(0, &tables[24..]);
    sink.rewind().map_err(QuantizeError::Write)?;
    write(sink, &header.to_bytes())?;
    sink.flush().map_err(QuantizeError::Write)
}
