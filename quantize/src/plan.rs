//! The memory plan: where in the arena each value lies, so that no two values that live at the same time overlap.

use driftlet_runtime::format::ALIGN;

pub struct Value {
    pub len: usize,
    pub first: usize,
    pub last: usize,
}
pub struct InPlace {
    pub output: usize,
    pub operand: usize,
}
pub struct Plan {
    pub offsets: Vec<usize>,
    pub arena: usize,
    pub bound: usize,
}

pub fn plan(values: &[Value], permitted: &[InPlace]) -> Plan {
    debug_assert!(permitted.iter().all(|p| p.output != p.operand));
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&v| (usize::MAX - values[v].len, v));
    let mut offsets = vec![0; values.len()];
    for (done, &value) in order.iter().enumerate() {
        let mut taken: Vec<(usize, usize)> = order[..done]
            .iter()
            .filter(|&&o| values[value].first <= values[o].last && values[o].first <= values[value].last)
            .map(|&o| (offsets[o], values[o].len))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (at, len) in taken {
            if offset + values[value].len <= at {
                break;
            }
            offset = offset.max((at + len).next_multiple_of(ALIGN as usize));
        }
        offsets[value] = offset;
    }
    let arena = values.iter().zip(&offsets).map(|(v, o)| v.len + o).max().unwrap_or(0);
    Plan { offsets, arena, bound: 0 }
}
