//! The proof: nothing of a file is believed. Sections, tensors and values are proved here, operators in [`ops`].
//!
//! Work is bounded by the file: tables are walked a fixed number of times, values are compared in pairs (at most
//! [`MAX_RECORDS`] of them), and every tensor belongs to exactly one operator.

mod ops;
mod problem;
mod section;

pub use ops::guidance_shift;

use crate::format::{
    ALIGN, DType, HEADER_LEN, Header, MAGIC, MAX_RECORDS, NONE, OpKind, OpRecord, Precision, Section, TensorRecord,
    VERSION_MAJOR, ValueRecord, crc32,
};
use crate::model::{Model, ParseError};
use problem::Problem;

/// Proves a file.
pub fn model(file: &[u8]) -> Result<Model<'_>, ParseError> {
    if !file.as_ptr().addr().is_multiple_of(4) {
        return Err(ParseError::Misaligned);
    }
    if !file.starts_with(&MAGIC) {
        return Err(ParseError::NotDrift);
    }
    let Some(bytes) = file.first_chunk::<HEADER_LEN>() else {
        return Err(ParseError::Length { expected: HEADER_LEN as u32, found: file.len() });
    };
    let header = Header::from_bytes(bytes);
    if header.major != VERSION_MAJOR {
        return Err(ParseError::Version { major: header.major });
    }
    if header.file_len as usize != file.len() {
        return Err(ParseError::Length { expected: header.file_len, found: file.len() });
    }
    sections(&header)?;
    if crc32(0, &file[24..header.weights.offset as usize]) != header.tables_crc {
        return Err(ParseError::Checksum);
    }
    if !Header::reserved_is_zero(bytes) {
        return Err(header_error("a reserved byte is not zero"));
    }
    let precision = Precision::from_code(header.precision).ok_or(header_error("unknown precision"))?;
    if precision != Precision::Int8 && !cfg!(feature = "float") {
        return Err(ParseError::NotBuilt { feature: "float" });
    }
    if header.guidance_min > header.guidance_max {
        return Err(header_error("guidance range is empty"));
    }
    // From here on records are read through the model; `tensors`, `values` and `ops` prove that each decodes.
    let model = Model { file, header, precision };
    tensors(&model)?;
    for index in 0..header.ops.count {
        let at = header.ops.offset as usize + index as usize * OpRecord::LEN;
        if file[at..].first_chunk().and_then(OpRecord::from_bytes).is_none() {
            let problem = Problem::from("unknown kind or function, or a reserved byte is not zero").text();
            return Err(ParseError::Op { index, problem });
        }
    }
    section::header(&model)?;
    values(&model)?;
    ops::prove(&model)?;
    section::prove(&model)?;
    results(&model)?;
    Ok(model)
}

/// Sections lie in order behind the header, without overlap, and end with the file.
fn sections(header: &Header) -> Result<(), ParseError> {
    let tables = [(header.tensors, TensorRecord::LEN), (header.values, ValueRecord::LEN), (header.ops, OpRecord::LEN)];
    if tables.iter().any(|(s, _)| s.count > MAX_RECORDS) {
        return Err(header_error("a table has more than 4096 records"));
    }
    let mut end = HEADER_LEN as u64;
    let mut place = |section: Section, size: usize| {
        let ordered = u64::from(section.offset) >= end;
        end = u64::from(section.offset) + u64::from(section.count) * size as u64;
        ordered && end <= u64::from(header.file_len)
    };
    if !place(header.metadata, 1) {
        return Err(header_error("metadata section out of place"));
    }
    for (section, size) in tables {
        if !place(section, size) {
            return Err(header_error("tensor, value or op table out of place"));
        }
    }
    if !place(header.weights, 1) || end != u64::from(header.file_len) {
        return Err(header_error("weight section out of place"));
    }
    if !header.weights.offset.is_multiple_of(ALIGN) {
        return Err(header_error("weight section not aligned to 64 bytes"));
    }
    Ok(())
}

/// Every tensor decodes, is aligned and lies in the weight section, behind the one before.
fn tensors(model: &Model) -> Result<(), ParseError> {
    let header = &model.header;
    let mut end = u64::from(header.weights.offset);
    for index in 0..header.tensors.count {
        let error = |problem: &'static str| ParseError::Tensor { index, problem: Problem::from(problem).text() };
        let at = header.tensors.offset as usize + index as usize * TensorRecord::LEN;
        let tensor = model.file[at..]
            .first_chunk()
            .and_then(TensorRecord::from_bytes)
            .ok_or(error("unknown element type, or a reserved byte is not zero"))?;
        let len = bytes_of(&tensor.dims, tensor.dtype).ok_or(error("a dimension is zero, or the shape too large"))?;
        if !tensor.offset.is_multiple_of(ALIGN) {
            return Err(error("offset not a multiple of 64"));
        }
        if u64::from(tensor.offset) < end {
            return Err(error("overlaps the tensor before it, or lies outside the weights"));
        }
        end = u64::from(tensor.offset) + u64::from(len);
        if end > u64::from(header.file_len) {
            return Err(error("runs past the end of the file"));
        }
    }
    Ok(())
}

/// Every value decodes, lies in the arena, and shares no byte with another that lives at the same time.
fn values(model: &Model) -> Result<(), ParseError> {
    let header = &model.header;
    for index in 0..header.values.count {
        let error = |problem: &'static str| ParseError::Value { index, problem: Problem::from(problem).text() };
        let at = header.values.offset as usize + index as usize * ValueRecord::LEN;
        let value = model.file[at..]
            .first_chunk()
            .and_then(ValueRecord::from_bytes)
            .ok_or(error("unknown element type, or a reserved byte is not zero"))?;
        bytes_of(&value.shape, value.dtype).ok_or(error("a dimension is zero, or the shape too large"))?;
        if !value.offset.is_multiple_of(ALIGN) {
            return Err(error("offset not a multiple of 64"));
        }
        // Windows are for values that are made in bands, no higher than their maps.
        let banded = model.bands().is_some_and(|bands| value.first >= bands.first);
        if (value.window > 0) != banded || value.window > value.shape[0] {
            return Err(error("holds no rows, or rows of a value that is whole"));
        }
        let len = value.range().len() as u64;
        if u64::from(value.offset) + len > u64::from(header.arena_len) {
            return Err(error("lies outside the arena"));
        }
        if value.first >= header.ops.count || value.last < value.first || value.last > header.ops.count {
            return Err(error("life is not a range of operators"));
        }
        // Bits of positive finite numbers: without a float instruction.
        if !(1..f32::INFINITY.to_bits()).contains(&value.scale_bits) {
            return Err(error("scale is not a positive number"));
        }
        let integer_model = model.is_integer();
        let bits = match value.dtype {
            DType::I16 => 9..=16,
            dtype => dtype.size() as u8 * 8..=dtype.size() as u8 * 8,
        };
        if !bits.contains(&value.bits) {
            return Err(error("number of bits does not belong to the element type"));
        }
        let zero_range = match value.dtype {
            DType::F32 if !integer_model => 0..=0,
            DType::I8 if integer_model => -128..=127,
            DType::I16 if integer_model => 0..=0,
            DType::U8 => 0..=0,
            _ => return Err(error("element type does not belong to the model's precision")),
        };
        if !zero_range.contains(&value.zero_point) {
            return Err(error("zero point out of range"));
        }
        for other_index in 0..index {
            let other = model.value(other_index);
            let (born, other_born) = (section::born(model, &value), section::born(model, &other));
            let together = born <= other.last && other_born <= value.last;
            let (a, b) = (value.range(), other.range());
            if together && a.start < b.end && b.start < a.end {
                let taken_over = takes_over(model, (index, &value), (other_index, &other))
                    || takes_over(model, (other_index, &other), (index, &value));
                if !taken_over {
                    return Err(error("shares arena bytes with another value that lives at the same time"));
                }
            }
        }
    }
    Ok(())
}

/// Whether a result takes exactly the place of an operand that dies where it is born, in an operator that permits it.
fn takes_over(model: &Model, (result, new): (u32, &ValueRecord), (operand, old): (u32, &ValueRecord)) -> bool {
    let kept = section::born(model, new) != new.first || new.window > 0 && new.last == model.op_count();
    if kept || old.last != new.first || old.range() != new.range() || old.dtype != new.dtype {
        return false;
    }
    // Lives were proved to begin at an operator.
    let op = model.op(new.first);
    let readers = op.inputs.iter().filter(|&&input| input == operand).count();
    op.output == result && readers == 1 && op.in_place_operands().iter().any(|&i| op.inputs[i] == operand)
}

/// The values that callers read exist, are written, and live to the end; and there are classes only for an operator that
/// tells them apart.
fn results(model: &Model) -> Result<(), ParseError> {
    let header = &model.header;
    if header.classes > 0 && model.source(OpKind::ClassEmbedding).is_none() {
        return Err(header_error("classes, but no class embedding"));
    }
    let lives = |index: u32| {
        index < header.values.count && {
            let value = model.value(index);
            value.last == header.ops.count && model.op(value.first).output == index
        }
    };
    if model.bands().is_some() {
        // A picture is handed out row by row and nothing is left of it; its operator was proved to be the last.
        let written = header.output < header.values.count && {
            let value = model.value(header.output);
            model.op(value.first).output == header.output
        };
        return if written && header.features == NONE {
            Ok(())
        } else {
            Err(header_error("output is not written, or a model that makes bands has features"))
        };
    }
    if !lives(header.output) {
        return Err(header_error("output is not a value that lives to the end"));
    }
    if header.pixels != NONE && !(lives(header.pixels) && model.value(header.pixels).dtype == DType::U8) {
        return Err(header_error("pixels is not an 8-bit value that lives to the end"));
    }
    if header.features != NONE && !(lives(header.features) && model.value(header.features).dtype == DType::F32) {
        return Err(header_error("features is not a float value that lives to the end"));
    }
    Ok(())
}

/// Bytes of a shape, `None` if a dimension is zero or the whole does not fit 31 bits, so that sizes fit a `usize` and
/// an `isize` on 32-bit targets too.
fn bytes_of(dims: &[u32], dtype: DType) -> Option<u32> {
    let len = dims.iter().try_fold(dtype.size(), |len, &d| len.checked_mul(d))?;
    (len > 0 && len <= i32::MAX as u32).then_some(len)
}

/// A field of the header is wrong.
#[inline(always)]
fn header_error(problem: &'static str) -> ParseError {
    ParseError::Header(Problem::from(problem).text())
}
