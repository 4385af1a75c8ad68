//! The proof of the operators that run in bands: what they read is there, and their windows are large enough.
//!
//! The section is gone through once, as the executor will, but for the numbers: at most 4096 bands of 32 operators.

use super::header_error;
use super::problem::Problem;
use crate::bands::{MAX_OPS, MAX_ROWS, links, proved_links, windows};
use crate::format::{NONE, OpKind, ValueRecord};
use crate::model::{Model, ParseError};

/// The header's fields; what else is proved relies on them.
pub fn header(model: &Model) -> Result<(), ParseError> {
    let header = &model.header;
    if !cfg!(feature = "bands") && header.bands_height > 0 {
        return Err(ParseError::NotBuilt { feature: "bands" });
    }
    let Some(bands) = model.bands() else {
        return if header.bands_first == 0 { Ok(()) } else { Err(header_error("bands without rows")) };
    };
    let ops = header.ops.count;
    if bands.first >= ops || ops - bands.first > MAX_OPS as u32 || bands.height > MAX_ROWS {
        return Err(header_error("bands of no operator, of more than 32, or of more than 4096 rows"));
    }
    let last = model.op(ops - 1);
    if last.kind != OpKind::Pixels || last.output != header.pixels {
        return Err(header_error("the last operator of a model that makes bands does not write its picture"));
    }
    Ok(())
}

/// The operator from which on a value keeps its place: one that holds rows from one band to the next, and so lives to the
/// end, has it from the first operator of the section on.
pub fn born(model: &Model, value: &ValueRecord) -> u32 {
    match model.bands() {
        Some(bands) if value.first >= bands.first && value.last == model.op_count() => bands.first,
        _ => value.first,
    }
}

/// Proves lives and windows; operators and values have been proved.
pub fn prove(model: &Model) -> Result<(), ParseError> {
    let Some(bands) = model.bands() else { return Ok(()) };
    let ops = (model.op_count() - bands.first) as usize;
    for index in 0..ops {
        let at = bands.first + index as u32;
        let error = |problem: Problem| ParseError::Op { index: at, problem: problem.text() };
        links(model, bands.first, index).map_err(|problem| error(problem.into()))?;
        let op = model.op(at);
        let whole = |&&input: &&u32| input != NONE && model.value(input).first < bands.first;
        if op.inputs.iter().filter(whole).any(|&input| model.value(input).last != model.op_count()) {
            return Err(error("what bands read does not live to the end".into()));
        }
    }
    let windows = windows(ops, bands.height, &|index| proved_links(model, bands.first, index));
    for (index, window) in windows.iter().enumerate().take(ops) {
        let index = bands.first + index as u32;
        let value = model.value(model.op(index).output);
        if window.rows > value.window || window.carried && value.last != model.op_count() {
            let problem = Problem::from("its window is too small, or does not last").text();
            return Err(ParseError::Op { index, problem });
        }
    }
    Ok(())
}
