//! One pass through the operators, in pieces: an operator at a time, some rows of it, or of those that run in bands a band.

use super::memory::borrow;
use super::{Engine, Inputs, Operator, Step, run_operator, view};
use crate::bands::{Made, Progress, links, proved_links};
use crate::model::{Bands, Model};

/// What a number that is written costs beside products: about as much as so many.
const NUMBER: u64 = 16;

/// How far a pass has come.
pub(crate) struct Pass {
    /// The next operator; in the section, of this band.
    index: u32,
    /// Rows of an operator that the last piece has left.
    rest: Option<Rows>,
    /// Of the section, once it has begun.
    section: Option<Progress>,
}

/// Rows of an operator's result that are to be made.
struct Rows {
    index: u32,
    /// The first, counted from the top of the map.
    next: u32,
    /// Behind the last.
    end: u32,
    /// The first in the window of the result.
    window: u32,
}

impl Pass {
    pub fn new() -> Self {
        Self { index: 0, rest: None, section: None }
    }

    /// Runs the next piece, of about `limit` multiply-accumulates where operators can be cut into rows; `None` if all is made.
    /// The arena starts at a multiple of 16, is as long as the model asks, and holds what the pieces before have left.
    pub fn step<'s>(
        &mut self,
        engine: Engine,
        model: &Model,
        arena: &'s mut [u8],
        inputs: &Inputs,
        limit: u32,
    ) -> Option<Step<'s>> {
        let rows = match self.rest.take() {
            Some(rest) => rest,
            None => self.next(model, arena)?,
        };
        let index = rows.index;
        let operator = self.piece(model, rows, limit);
        let memory = borrow(arena, &operator.output, operator.scratch.as_ref(), &operator.operands);
        run_operator(engine, &operator, memory, inputs);
        Some(Step { index, count: model.op_count(), row: operator.row, output: view(arena, &operator.output) })
    }

    /// What comes after an operator; moves windows.
    fn next(&mut self, model: &Model, arena: &mut [u8]) -> Option<Rows> {
        let (count, bands) = (model.op_count(), model.bands());
        let first = bands.map_or(count, |bands| bands.first);
        if self.index < first {
            let index = self.index;
            self.index += 1;
            return Some(Rows { index, next: 0, end: model.value(model.op(index).output).shape[0], window: 0 });
        }
        let Bands { height, .. } = bands?;
        let progress = self.section.get_or_insert_with(|| {
            // Behind a band that there was not.
            self.index = count;
            Progress::new((count - first) as usize)
        });
        loop {
            if self.index == count {
                if !progress.plan(height, &|index| proved_links(model, first, index)) {
                    return None;
                }
                self.index = first;
            }
            let index = self.index;
            self.index += 1;
            let Some(Made { dropped, kept, first: next, count }) = progress.make((index - first) as usize) else {
                continue;
            };
            let value = model.value(model.op(index).output);
            if dropped > 0 {
                let len = value.row_len();
                let rows = &mut arena[value.offset as usize..][..(dropped + kept) as usize * len];
                moved_to_front(rows, dropped as usize * len);
            }
            return Some(Rows { index, next, end: next + count, window: next - kept });
        }
    }

    /// The operator for the first of the rows; the rest is kept.
    fn piece<'m>(&mut self, model: &'m Model<'m>, rows: Rows, limit: u32) -> Operator<'m> {
        let index = rows.index;
        let mut operator = Operator::new(model, model.op(index));
        let in_section = cfg!(feature = "bands") && self.section.is_some();
        // First, so that programs that ask for no pieces link no cutting.
        if limit == u32::MAX && !in_section {
            return operator;
        }
        let first = model.bands().filter(|_| in_section).map_or(index, |bands| bands.first);
        let all = operator.output.shape[0];
        let work = model.op_macs(&operator.op, &operator.output).max(operator.output.elements() as u64 * NUMBER);
        let work = u32::try_from(work).unwrap_or(u32::MAX);
        let fits = work <= limit;
        let links = if in_section {
            proved_links(model, first, (index - first) as usize)
        } else {
            // What cannot be cut is whole.
            match links(model, index, 0) {
                Ok(links) if !fits => links,
                _ => return operator,
            }
        };
        let count = (limit / (work / all.max(1)).max(1)).max(links.unit) / links.unit * links.unit;
        let count = if fits { rows.end - rows.next } else { count.min(rows.end - rows.next) };
        let row = rows.next;
        operator.row = row;
        operator.output = operator.output.rows(row - rows.window, count);
        for (i, (operand, link)) in operator.operands.iter_mut().zip(links.operands).enumerate() {
            let (Some(operand), Some(link)) = (operand, link) else { continue };
            let (begin, end) = (link.reach.first(row), link.reach.end(row + count));
            let start = link.from.zip(self.section.as_ref()).map_or(0, |(from, progress)| progress.start(from));
            *operand = operand.rows(begin - start, end - begin);
            if i == 0 {
                operator.first_read = begin;
            }
        }
        let next = row + count;
        self.rest = (next < rows.end).then_some(Rows { next, ..rows });
        operator
    }
}

/// Drops so many bytes at the front, at least one, and moves the others there: as many at a time as do not overlap, since what
/// moves overlapping bytes takes 1.5 KB of flash.
fn moved_to_front(mut bytes: &mut [u8], dropped: usize) {
    while bytes.len() > dropped {
        let (to, from) = bytes.split_at_mut(dropped);
        let len = dropped.min(from.len());
        to[..len].copy_from_slice(&from[..len]);
        bytes = from;
    }
}
