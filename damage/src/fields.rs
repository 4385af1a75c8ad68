//! Names and places of the fields, as `docs/format.md` has them. Bytes that no field owns are fields too.

use driftlet_runtime::format::{HEADER_LEN, OpRecord, TensorRecord, ValueRecord};

/// A table of records; the header counts as one of a single record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The header.
    Header,
    /// Weights.
    Tensors,
    /// Activations.
    Values,
    /// Operators.
    Ops,
}

impl Table {
    /// Bytes of a record.
    pub const fn record_len(self) -> usize {
        match self {
            Table::Header => HEADER_LEN,
            Table::Tensors => TensorRecord::LEN,
            Table::Values => ValueRecord::LEN,
            Table::Ops => OpRecord::LEN,
        }
    }
}

/// A field of the records of a table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Where it is found.
    pub table: Table,
    /// What it is called.
    pub name: &'static str,
    /// Its first byte in the record.
    pub at: usize,
    /// Its bytes, at most 4.
    pub len: usize,
}

const fn header(name: &'static str, at: usize, len: usize) -> Field {
    Field { table: Table::Header, name, at, len }
}

const fn tensor(name: &'static str, at: usize, len: usize) -> Field {
    Field { table: Table::Tensors, name, at, len }
}

const fn value(name: &'static str, at: usize, len: usize) -> Field {
    Field { table: Table::Values, name, at, len }
}

const fn op(name: &'static str, at: usize, len: usize) -> Field {
    Field { table: Table::Ops, name, at, len }
}

/// Every field of every record, in their order.
pub const FIELDS: &[Field] = &[
    header("magic", 0, 4),
    header("magic", 4, 4),
    header("major version", 8, 2),
    header("minor version", 10, 2),
    header("length", 12, 4),
    header("checksum of the tables", 16, 4),
    header("checksum of the weights", 20, 4),
    header("precision", 24, 1),
    header("unowned", 25, 3),
    header("arena length", 28, 4),
    header("metadata offset", 32, 4),
    header("metadata bytes", 36, 4),
    header("tensors offset", 40, 4),
    header("tensors", 44, 4),
    header("values offset", 48, 4),
    header("values", 52, 4),
    header("ops offset", 56, 4),
    header("ops", 60, 4),
    header("weights offset", 64, 4),
    header("weights bytes", 68, 4),
    header("classes", 72, 4),
    header("weakest guidance", 76, 2),
    header("strongest guidance", 78, 2),
    header("output", 80, 4),
    header("pixels", 84, 4),
    header("features", 88, 4),
    header("first operator of bands", 92, 4),
    header("rows of a band", 96, 4),
    header("unowned", 100, 4),
    header("unowned", 104, 4),
    header("unowned", 108, 4),
    header("unowned", 112, 4),
    header("unowned", 116, 4),
    header("unowned", 120, 4),
    header("unowned", 124, 4),
    tensor("type", 0, 1),
    tensor("unowned", 1, 3),
    tensor("first dimension", 4, 4),
    tensor("second dimension", 8, 4),
    tensor("third dimension", 12, 4),
    tensor("fourth dimension", 16, 4),
    tensor("offset", 20, 4),
    tensor("unowned", 24, 4),
    tensor("unowned", 28, 4),
    value("type", 0, 1),
    value("bits", 1, 1),
    value("zero point", 2, 2),
    value("height", 4, 4),
    value("width", 8, 4),
    value("channels", 12, 4),
    value("offset", 16, 4),
    value("scale", 20, 4),
    value("first", 24, 4),
    value("last", 28, 4),
    value("window", 32, 4),
    op("kind", 0, 1),
    op("function", 1, 1),
    op("mode", 2, 1),
    op("stride", 3, 1),
    op("upsampling", 4, 1),
    op("padding", 5, 1),
    op("unowned", 6, 2),
    op("first input", 8, 4),
    op("second input", 12, 4),
    op("third input", 16, 4),
    op("output", 20, 4),
    op("working memory", 24, 4),
    op("weight", 28, 4),
    op("bias", 32, 4),
    op("rescale", 36, 4),
    op("shared", 40, 4),
    op("count", 44, 4),
];
