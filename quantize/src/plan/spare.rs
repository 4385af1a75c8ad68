//! Working memory for as many panels of weights of 4 bits as the arena has room for anyway: fewer, wider passes are faster.

use driftlet_runtime::format::{DType, OpKind};
use driftlet_runtime::panels::PANEL;

use super::bound::needs;
use super::{lives, plan};
use crate::integers::repeated;
use crate::program::Program;

/// What is expanded at a time should stay in a fast cache.
const MOST: usize = 256 << 10;

/// Enlarges working memory of layers of 4-bit weights where that leaves the arena as it is.
pub fn widen(program: &mut Program) {
    let before = lives(program, None);
    let (needs, arena) = (needs(&before.values, &before.permitted), plan(&before.values, &before.permitted).arena);
    let mut narrow = Vec::new();
    for (index, op) in program.ops.iter().enumerate() {
        let Some(weight) = program.tensors.get(op.weight as usize).filter(|weight| weight.dtype == DType::U8) else {
            continue;
        };
        if !matches!(op.kind, OpKind::Linear | OpKind::Conv2d) {
            continue;
        }
        let panel = PANEL * 2 * weight.len() / weight.dims[0];
        let scales = repeated(weight.dims[0], program.tensors[op.rescale as usize].dims);
        let scratch = &mut program.values[op.scratch as usize];
        let [_, _, one] = scratch.shape;
        let room = (one + arena - needs[index]).min(MOST.max(one)) - scales;
        let all = scales + 2 * weight.len();
        narrow.push((op.scratch as usize, one));
        scratch.shape = [1, 1, (scales + room / panel * panel).clamp(one, all.max(one))];
    }
    let after = lives(program, None);
    if plan(&after.values, &after.permitted).arena > arena {
        narrow.into_iter().for_each(|(scratch, one)| program.values[scratch].shape = [1, 1, one]);
    }
}
