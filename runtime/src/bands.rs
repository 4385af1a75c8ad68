//! Bands: the last operators of a network, the *section*, run a few rows at a time, again and again, until the picture is
//! made. A value of the section is a *window*: the rows that its readers still need. No row is made twice, and every number
//! is the one that whole maps would hold. `docs/memory.md` explains it.
//!
//! The rule for which rows are made and kept is here alone: the quantizer sizes windows by it, the proof checks them by it,
//! and the executor follows it.

use crate::format::{ConcatMode, ConvMode, NONE, NormMode, OpKind, OpRecord, ResizeMode};

/// Most operators of a section.
pub const MAX_OPS: usize = 32;

/// Most rows of a map in a section.
pub const MAX_ROWS: u32 = 4096;

/// Which rows of an operand an operator reads for rows of its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    taps: u32,
    stride: u32,
    padding: u32,
    upsample: u32,
    transposed: bool,
    /// Rows of the operand.
    rows: u32,
}

impl Reach {
    /// The first row read for the results from a row on.
    pub fn first(&self, row: u32) -> u32 {
        let first = if self.transposed {
            (row + self.padding).saturating_sub(self.taps - 1).div_ceil(self.stride)
        } else {
            (row * self.stride).saturating_sub(self.padding) / self.upsample
        };
        first.min(self.rows)
    }

    /// Behind the last row read for the results before `end`.
    pub fn end(&self, end: u32) -> u32 {
        let Some(row) = end.checked_sub(1) else { return 0 };
        let end = if self.transposed {
            (row + self.padding) / self.stride + 1
        } else {
            // Behind the last tap, counted from the padding on.
            (row * self.stride + self.taps).saturating_sub(self.padding).div_ceil(self.upsample)
        };
        end.min(self.rows)
    }
}

/// The rows of an operand that an operator reads; `None` where it reads the whole operand for each.
///
/// # Errors
/// What keeps an operator out of bands. `taps` is the height of a convolution's kernel.
pub fn reach(
    op: &OpRecord,
    operand: usize,
    taps: u32,
    input: [u32; 3],
    output: [u32; 3],
) -> Result<Option<Reach>, &'static str> {
    let same = Reach { taps: 1, stride: 1, padding: 0, upsample: 1, transposed: false, rows: input[0] };
    let (reach, fits) = match (op.kind, operand) {
        (OpKind::Conv2d, 0) => {
            let transposed = op.mode == ConvMode::Transposed as u8;
            let padding = crate::kernels::padding_along(taps as usize, op.padding.into()) as u32;
            let (stride, upsample) = (op.stride.into(), op.upsample.into());
            (Reach { taps, stride, padding, upsample, transposed, ..same }, true)
        }
        (OpKind::Norm, 1 | 2) | (OpKind::Gate, 2) => return Ok(None),
        (OpKind::Add, _) if input[..2] == [1, 1] && output[..2] != [1, 1] => return Ok(None),
        (OpKind::Norm, _) => (same, op.mode != NormMode::Group as u8 && input[..2] == output[..2]),
        (OpKind::Concat, _) => (same, op.mode == ConcatMode::Channels as u8 && input[..2] == output[..2]),
        (OpKind::Linear | OpKind::Lookup | OpKind::Pixels, 0)
        | (OpKind::Linear | OpKind::Conv2d, 1)
        | (OpKind::Mul | OpKind::Gate | OpKind::Add, _) => (same, input[..2] == output[..2]),
        (OpKind::Resize, _) => (Reach { upsample: 2, ..same }, op.mode == ResizeMode::Nearest as u8),
        (OpKind::SpaceToDepth, _) => {
            let patch = op.count;
            (Reach { taps: patch, stride: patch, ..same }, output[0].checked_mul(patch) == Some(input[0]))
        }
        (OpKind::DepthToSpace, _) => {
            (Reach { upsample: op.count, ..same }, input[0].checked_mul(op.count) == Some(output[0]))
        }
        _ => (same, false),
    };
    if fits { Ok(Some(reach)) } else { Err("an operator needs more than a few rows at a time") }
}

/// An operand that is read row by row.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The operator of the section that writes it; `None` for a value that is whole before the section begins.
    pub from: Option<usize>,
    /// The rows read.
    pub reach: Reach,
}

/// What an operator of the section reads row by row.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// In the order of its operands.
    pub operands: [Option<Link>; 3],
    /// Rows of its result.
    pub rows: u32,
    /// Rows that it makes at least at a time.
    pub unit: u32,
}

/// A network of which the last operators are a section: a file, or what will be one.
pub trait Network {
    /// An operator.
    fn op(&self, index: u32) -> OpRecord;
    /// The shape of a value.
    fn shape(&self, value: u32) -> [u32; 3];
    /// The operator that writes a value.
    fn writer(&self, value: u32) -> u32;
    /// The height of an operator's kernel, 1 if it is no convolution.
    fn taps(&self, op: &OpRecord) -> u32;
}

/// What an operator of the section that begins at operator `first` reads.
///
/// # Errors
/// What keeps it out of a section.
pub fn links(network: &dyn Network, first: u32, index: usize) -> Result<Links, &'static str> {
    let op = network.op(first + index as u32);
    let output = network.shape(op.output);
    let mut operands = [None; 3];
    for (i, (place, &input)) in operands.iter_mut().zip(&op.inputs).enumerate() {
        if input == NONE {
            continue;
        }
        let shape = network.shape(input);
        if shape[0] > MAX_ROWS {
            return Err("a map has more than 4096 rows");
        }
        let from = network.writer(input).checked_sub(first).map(|from| from as usize);
        *place = match (reach(&op, i, network.taps(&op), shape, output)?, from) {
            (Some(reach), from) => Some(Link { from, reach }),
            (None, None) => None,
            (None, Some(_)) => return Err("an operator reads all of a value that is made in bands"),
        };
    }
    if operands.iter().all(Option::is_none) || output[0] > MAX_ROWS {
        return Err("an operator reads no rows, or makes more than 4096");
    }
    let unit = match op.kind {
        OpKind::Resize => 2,
        OpKind::DepthToSpace => op.count,
        _ => 1,
    };
    Ok(Links { operands, rows: output[0], unit })
}

/// What an operator reads of a section that is proved.
#[inline(never)]
pub(crate) fn proved_links(model: &crate::Model, first: u32, index: usize) -> Links {
    links(model, first, index).unwrap_or(Links { operands: [None; 3], rows: 0, unit: 1 })
}

/// Rows of the result of an operator, counted from the top of the map.
#[derive(Clone, Copy, Default)]
struct Rows {
    /// The first in the window.
    start: u16,
    /// Behind the last that is made, which is the last in the window.
    made: u16,
    /// Behind the last that this band makes.
    target: u16,
    /// The first that a reader still needs when a band begins.
    needed: u16,
}

/// Rows that an operator makes in a band.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Rows at the front of its window that nothing needs any more.
    pub dropped: u32,
    /// Rows behind them that move to the front.
    pub kept: u32,
    /// The first row that it makes, counted from the top of the map; it comes behind those kept.
    pub first: u32,
    /// How many it makes.
    pub count: u32,
}

/// How far a section has come.
pub struct Progress {
    rows: [Rows; MAX_OPS],
    ops: usize,
}

impl Progress {
    /// Before the first band of a section of so many operators, at most [`MAX_OPS`].
    pub fn new(ops: usize) -> Self {
        Self { rows: [Rows::default(); MAX_OPS], ops }
    }

    /// Plans the next band, so many rows of the picture; `false` if all are made.
    pub fn plan(&mut self, height: u32, links: &dyn Fn(usize) -> Links) -> bool {
        let rows = &mut self.rows[..self.ops];
        for rows in rows.iter_mut() {
            (rows.target, rows.needed) = (rows.made, u16::MAX);
        }
        if let Some(last) = rows.last_mut() {
            // Numbers of rows are at most `MAX_ROWS`.
            last.target = last.made.saturating_add(height as u16);
        }
        for index in (0..self.ops).rev() {
            let Links { operands, rows: all, unit } = links(index);
            let rows = &mut self.rows[index];
            rows.target = u32::from(rows.target).next_multiple_of(unit).min(all) as u16;
            let (made, target) = (rows.made.into(), rows.target.into());
            if made == all {
                // It reads nothing any more.
                if index + 1 == self.ops {
                    return false;
                }
                continue;
            }
            for Link { from, reach } in operands.into_iter().flatten() {
                if let Some(source) = from.and_then(|from| self.rows.get_mut(from)) {
                    source.target = source.target.max(reach.end(target) as u16);
                    source.needed = source.needed.min(reach.first(made) as u16);
                }
            }
        }
        true
    }

    /// What an operator makes in this band, `None` if nothing; operators are asked in their order.
    pub fn make(&mut self, index: usize) -> Option<Made> {
        let rows = &mut self.rows[index];
        let (start, first, target) = (rows.start, rows.made, rows.target);
        (rows.start, rows.made) = (rows.needed.min(first), target);
        let made = Made {
            dropped: (rows.start - start).into(),
            kept: (first - rows.start).into(),
            first: first.into(),
            count: (target - first).into(),
        };
        if made.count > 0 {
            return Some(made);
        }
        rows.start = start;
        None
    }

    /// The first row in the window of an operator's result.
    pub fn start(&self, index: usize) -> u32 {
        self.rows[index].start.into()
    }

    /// Whether rows that were made before this band are needed in it, or later.
    fn carries(&self, index: usize) -> bool {
        self.rows[index].needed < self.rows[index].made
    }
}

/// The window of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Rows that it holds at most.
    pub rows: u32,
    /// Whether it holds rows from one band to the next. One that does not is needed from its operator to the last reader only.
    pub carried: bool,
    /// How often its operator runs.
    pub runs: u32,
}

/// The windows of all results of a section: what comes of going through it once, band by band.
pub fn windows(ops: usize, height: u32, links: &dyn Fn(usize) -> Links) -> [Window; MAX_OPS] {
    let mut windows = [Window::default(); MAX_OPS];
    let mut progress = Progress::new(ops);
    while progress.plan(height, links) {
        for (index, window) in windows.iter_mut().enumerate().take(ops) {
            window.carried |= progress.carries(index);
            if let Some(made) = progress.make(index) {
                window.rows = window.rows.max(made.kept + made.count);
                window.runs += 1;
            }
        }
    }
    windows
}

impl Network for crate::Model<'_> {
    fn op(&self, index: u32) -> OpRecord {
        self.op(index)
    }

    fn shape(&self, value: u32) -> [u32; 3] {
        self.value(value).shape
    }

    fn writer(&self, value: u32) -> u32 {
        self.value(value).first
    }

    fn taps(&self, op: &OpRecord) -> u32 {
        match op.kind {
            OpKind::Conv2d => self.tensor(op.weight).dims[usize::from(self.is_integer())],
            _ => 1,
        }
    }
}
