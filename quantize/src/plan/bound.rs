//! What no plan can do without.

use super::{InPlace, Value, aligned};

/// The most bytes that are alive at one operator, and that operator. No arena is smaller.
pub fn bound(values: &[Value], permitted: &[InPlace]) -> (usize, usize) {
    // The first of those that need most.
    let needs = needs(values, permitted).into_iter().enumerate().map(|(op, bytes)| (bytes, op));
    needs.fold((0, 0), |most, next| if next.0 > most.0 { next } else { most })
}

/// Bytes that are alive at each operator.
///
/// Values alive at an operator share no byte, but for a result in the place of an operand; an
/// operator has one result, which takes at most one place, so at most its length is saved. Each of the remaining ranges
/// begins at a multiple of the alignment: all but the topmost take their aligned length, and the topmost at least its
/// own.
pub fn needs(values: &[Value], permitted: &[InPlace]) -> Vec<usize> {
    let operators = values.iter().map(|v| v.last + 1).max().unwrap_or(0);
    let mut saved = vec![0; operators];
    for InPlace { output, .. } in permitted {
        saved[values[*output].first] = aligned(values[*output].len);
    }
    let needed = |op: usize| {
        let alive = || values.iter().filter(|v| v.first <= op && op <= v.last);
        let topmost = alive().map(|v| aligned(v.len) - v.len).max().unwrap_or(0);
        alive().map(|v| aligned(v.len)).sum::<usize>() - saved[op] - topmost
    };
    (0..operators).map(needed).collect()
}
