//! What a program asks of its memory.

use super::section::Section;
use super::{InPlace, Value};
use crate::program::Program;

/// Lives of a program's values, and which of them may share a place.
pub struct Lives {
    /// In the order of the program's values.
    pub values: Vec<Value>,
    /// Where results may take the bytes of operands.
    pub permitted: Vec<InPlace>,
}

/// Values live from the operator that writes them to the last that reads them, results to the end, and working memory
/// for one operator. Where a section runs in bands, what it reads and what it keeps from one band to the next live to the
/// end, and of a picture nothing is left.
pub fn lives(program: &Program, section: Option<&Section>) -> Lives {
    let mut values: Vec<Value> = program.values.iter().map(|v| Value { len: v.bytes(), first: 0, last: 0 }).collect();
    for (index, op) in program.ops.iter().enumerate() {
        for born in [op.output, op.scratch] {
            if let Some(value) = values.get_mut(born as usize) {
                (value.first, value.last) = (index, index);
            }
        }
        for input in op.inputs {
            if let Some(value) = values.get_mut(input as usize) {
                value.last = index;
            }
        }
    }
    if let Some(section) = section {
        for (index, value) in values.iter_mut().enumerate() {
            match section.window(program, index) {
                Some(window) => {
                    value.len = window.rows as usize * program.values[index].row_bytes();
                    if window.carried {
                        (value.first, value.last) = (section.first, program.ops.len());
                    }
                }
                // Working memory within bands is nobody's from one operator to the next.
                None if value.first < section.first && value.last >= section.first => value.last = program.ops.len(),
                None => {}
            }
        }
        let permitted = permitted(program, &values);
        return Lives { values, permitted };
    }
    for result in [Some(program.output), program.pixels, program.features].into_iter().flatten() {
        values[result].last = program.ops.len();
    }
    let permitted = permitted(program, &values);
    Lives { values, permitted }
}

/// An operand may give its place to the result where the kernel can work in place, if it dies there, is read once, and has
/// the result's type and length.
fn permitted(program: &Program, values: &[Value]) -> Vec<InPlace> {
    let mut permitted = Vec::new();
    for (index, op) in program.ops.iter().enumerate() {
        for &operand in op.in_place_operands() {
            let (output, operand) = (op.output as usize, op.inputs[operand] as usize);
            let readers = op.inputs.iter().filter(|&&input| input as usize == operand).count();
            let (Some(old), Some(new)) = (program.values.get(operand), program.values.get(output)) else { continue };
            let same = old.dtype == new.dtype && values[operand].len == values[output].len;
            // What bands keep has its place before.
            let born = values[output].first == index;
            if readers == 1 && same && born && values[operand].last == index {
                permitted.push(InPlace { output, operand });
            }
        }
    }
    permitted
}
