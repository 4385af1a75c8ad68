//! The choice of a section that runs in bands: the last operators of a network, made a few rows of the picture at a time, so
//! that a plan fits a limit. `docs/memory.md` explains it.

use driftlet_runtime::bands::{Link, Links, MAX_OPS, Network, Window, links, windows};
use driftlet_runtime::format::{OpKind, OpRecord, Precision};

use super::{Lives, Plan, bound, lives, plan};
use crate::program::Program;
use crate::{QuantizeError, RamLimit};

/// Rows of the picture that a band may make.
const HEIGHTS: [u32; 14] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 64];

/// Operators that run in bands.
#[derive(Clone, Debug)]
pub struct Section {
    /// The first; the section goes on to the last.
    pub first: usize,
    /// Rows of the picture that a band makes.
    pub height: u32,
    /// Windows of their results.
    windows: [Window; MAX_OPS],
}

impl Section {
    /// The window of a value, `None` for one that is whole.
    pub fn window(&self, program: &Program, value: usize) -> Option<Window> {
        let writer = program.ops.iter().position(|op| op.output as usize == value)?;
        self.windows.get(writer.checked_sub(self.first)?).copied()
    }

    /// How often operators run: what bands cost.
    fn runs(&self) -> u32 {
        self.windows.iter().map(|window| window.runs).sum()
    }
}

/// A program with its place in memory.
pub struct Placed {
    /// What runs in bands, if anything.
    pub section: Option<Section>,
    /// Lives of its values.
    pub lives: Lives,
    /// Their places.
    pub plan: Plan,
    /// The arena without bands.
    pub whole_arena: usize,
}

/// Plans memory within a limit: whole maps if they fit, else the section in bands that runs operators least often.
pub fn place(program: &Program, limit: RamLimit) -> Result<Placed, QuantizeError> {
    let lives = lives(program, None);
    let whole = plan(&lives.values, &lives.permitted);
    let whole_arena = whole.arena;
    let limit = match limit {
        RamLimit::None => usize::MAX,
        RamLimit::Bytes(limit) => limit,
        RamLimit::Least => 0,
    };
    let mut best = Placed { section: None, lives, plan: whole, whole_arena };
    if best.plan.arena <= limit {
        return Ok(best);
    }
    let mut candidates: Vec<(usize, Section)> = candidates(program);
    // The cheapest that fits; the bound says of most that they do not.
    candidates.sort_by_key(|(_, section)| section.runs());
    for (bound, section) in candidates {
        if bound >= best.plan.arena {
            continue;
        }
        let lives = super::lives(program, Some(&section));
        let plan = plan(&lives.values, &lives.permitted);
        if plan.arena < best.plan.arena {
            best = Placed { section: Some(section), lives, plan, whole_arena };
        }
        if best.plan.arena <= limit {
            return Ok(best);
        }
    }
    if limit == 0 {
        return Ok(best);
    }
    Err(QuantizeError::RamLimit { limit, least: best.plan.arena, whole: whole_arena })
}

/// Every section, of every height of bands, with the least that it needs.
fn candidates(program: &Program) -> Vec<(usize, Section)> {
    let count = program.ops.len();
    let Some(last) = program.ops.last().filter(|op| op.kind == OpKind::Pixels) else { return Vec::new() };
    if program.pixels != Some(last.output as usize) || program.features.is_some() {
        return Vec::new();
    }
    let rows = program.values[last.output as usize].shape[0] as u32;
    let mut all = Vec::new();
    for first in (count.saturating_sub(MAX_OPS)..count).rev() {
        let all_links: Result<Vec<Links>, _> = (0..count - first).map(|i| links(program, first as u32, i)).collect();
        let Ok(all_links) = all_links else { continue };
        // A section that writes what it does not need would keep its operands for ever.
        let read =
            |index| all_links.iter().flat_map(|l| l.operands.iter().flatten()).any(|l: &Link| l.from == Some(index));
        if !(0..all_links.len() - 1).all(read) {
            continue;
        }
        for height in HEIGHTS.into_iter().filter(|&height| height < rows.max(2)) {
            let windows = windows(all_links.len(), height, &|i| all_links[i]);
            let section = Section { first, height, windows };
            let lives = lives(program, Some(&section));
            all.push((bound::bound(&lives.values, &lives.permitted).0, section));
        }
    }
    all
}

impl Network for Program<'_> {
    fn op(&self, index: u32) -> OpRecord {
        self.ops[index as usize]
    }

    fn shape(&self, value: u32) -> [u32; 3] {
        self.values[value as usize].shape.map(|d| d as u32)
    }

    fn writer(&self, value: u32) -> u32 {
        self.ops.iter().position(|op| op.output == value).unwrap_or(0) as u32
    }

    fn taps(&self, op: &OpRecord) -> u32 {
        match op.kind {
            OpKind::Conv2d => {
                let dims = self.tensors[op.weight as usize].dims;
                dims[usize::from(self.precision == Precision::Int8)] as u32
            }
            _ => 1,
        }
    }
}
