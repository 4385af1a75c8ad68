//! The operators that run in bands.

use core::ops::ControlFlow;

use super::{Engine, Inputs, Operator, Step};
use crate::bands::{Made, Progress, proved_links};
use crate::model::{Bands, Model};

/// Runs the section band by band, until the picture is made or the observer stops.
pub fn run(
    engine: Engine,
    model: &Model,
    Bands { first, height }: Bands,
    arena: &mut [u8],
    inputs: &Inputs,
    observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let links = |index| proved_links(model, first, index);
    let ops = (model.op_count() - first) as usize;
    let mut progress = Progress::new(ops);
    while progress.plan(height, &links) {
        for index in 0..ops {
            let Some(Made { dropped, kept, first: row, count }) = progress.make(index) else { continue };
            let mut step = Operator::new(model, model.op(first + index as u32));
            let (window, len) = (step.output.offset as usize, step.output.row_len());
            if dropped > 0 {
                let from = window + dropped as usize * len;
                arena.copy_within(from..from + kept as usize * len, window);
            }
            (step.row, step.output) = (row, step.output.rows(kept, count));
            let operands = step.operands.iter_mut().zip(links(index).operands).enumerate();
            for (i, (operand, link)) in operands {
                let (Some(operand), Some(link)) = (operand, link) else { continue };
                let (begin, end) = (link.reach.first(row), link.reach.end(row + count));
                let start = link.from.map_or(0, |from| progress.start(from));
                *operand = operand.rows(begin - start, end - begin);
                if i == 0 {
                    step.first_read = begin;
                }
            }
            step.run(engine, first + index as u32, arena, inputs, observe)?;
        }
    }
    ControlFlow::Continue(())
}
