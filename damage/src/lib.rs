//! Damage with a plan: changes single fields of a `.drift` file, makes its checksum right again, and leaves the rest whole,
//! so that a change gets as far into the parser as it can. Tests change every field; the fuzzer changes some, again and
//! again. `docs/security.md` says what this is for.

mod exercise;
mod fields;

pub use exercise::{Fate, parse_and_run};
pub use fields::{FIELDS, Field, Table};

use driftlet_runtime::format::{HEADER_LEN, Header, Section, crc32};

/// The header, `None` for files that end before it does.
pub fn header(file: &[u8]) -> Option<Header> {
    file.first_chunk::<HEADER_LEN>().map(Header::from_bytes)
}

/// Number of a table's records that lie in the file.
pub fn records(file: &[u8], table: Table) -> usize {
    let Some(section) = section(file, table) else { return 0 };
    let room = file.len().saturating_sub(section.offset as usize) / table.record_len();
    room.min(section.count as usize)
}

fn section(file: &[u8], table: Table) -> Option<Section> {
    let header = header(file)?;
    Some(match table {
        Table::Header => Section { offset: 0, count: 1 },
        Table::Tensors => header.tensors,
        Table::Values => header.values,
        Table::Ops => header.ops,
    })
}

/// The bytes of a field of a record, which [`records`] counts.
fn range(file: &[u8], field: &Field, record: usize) -> std::ops::Range<usize> {
    let start = section(file, field.table).map_or(0, |section| section.offset as usize);
    let at = start + record * field.table.record_len() + field.at;
    at..at + field.len
}

/// A field of a record.
pub fn get(file: &[u8], field: &Field, record: usize) -> u32 {
    let mut word = [0; 4];
    word[..field.len].copy_from_slice(&file[range(file, field, record)]);
    u32::from_le_bytes(word)
}

/// Changes a field of a record; a number that is too long loses its upper bytes.
pub fn set(file: &mut [u8], field: &Field, record: usize, number: u32) {
    let range = range(file, field, record);
    file[range].copy_from_slice(&number.to_le_bytes()[..field.len]);
}

/// Numbers that a field of a record may be changed to: the ends of its type, what lies next to it, twice and half of it,
/// the limits of the format, and what the same field of other records holds.
pub fn candidates(file: &[u8], field: &Field, record: usize) -> Vec<u32> {
    let old = get(file, field, record);
    let largest = u32::MAX >> (32 - 8 * field.len);
    let count = |table| records(file, table) as u32;
    let mut numbers = vec![
        0,
        1,
        2,
        largest,
        largest - 1,
        largest / 2,
        largest / 2 + 1,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        old.wrapping_add(64),
        old.wrapping_sub(64),
        old.wrapping_mul(2),
        old / 2,
        old ^ 1 << (8 * field.len - 1),
        count(Table::Tensors),
        count(Table::Values),
        count(Table::Ops),
        4096,
        1 << 16,
        header(file).map_or(0, |header| header.arena_len),
        file.len() as u32,
    ];
    // Neighbours, both ends and the middle.
    let others = records(file, field.table);
    for other in [record.wrapping_sub(1), record + 1, 0, others / 2, others.wrapping_sub(1)] {
        if other < others {
            numbers.push(get(file, field, other));
        }
    }
    numbers.iter_mut().for_each(|number| *number &= largest);
    numbers.retain(|&number| number != old);
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Swaps two records of a table.
pub fn swap(file: &mut [u8], table: Table, a: usize, b: usize) {
    let Some(section) = section(file, table) else { return };
    for i in 0..table.record_len() {
        let at = |record: usize| section.offset as usize + record * table.record_len() + i;
        file.swap(at(a), at(b));
    }
}

/// Makes length and checksum right again, so that a change reaches the checks behind them.
pub fn reseal(file: &mut [u8]) {
    let Some(header) = header(file) else { return };
    let len = file.len() as u32;
    file[12..16].copy_from_slice(&len.to_le_bytes());
    if let Some(tables) = file.get(24..header.weights.offset as usize) {
        let crc = crc32(0, tables);
        file[16..20].copy_from_slice(&crc.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use driftlet_runtime::format::{OpKind, OpRecord, TensorRecord, ValueRecord};

    /// A file of two empty records in each table.
    fn file() -> Vec<u8> {
        let mut header = Header::from_bytes(&[0; HEADER_LEN]);
        let mut end = HEADER_LEN;
        for (section, table) in
            [(&mut header.tensors, Table::Tensors), (&mut header.values, Table::Values), (&mut header.ops, Table::Ops)]
        {
            *section = Section { offset: end as u32, count: 2 };
            end += 2 * table.record_len();
        }
        header.weights = Section { offset: end as u32, count: 0 };
        let mut file = header.to_bytes().to_vec();
        file.resize(end, 0);
        file
    }

    #[test]
    fn fields_are_those_of_the_records() {
        let mut file = file();
        let set_by_name = |file: &mut [u8], table, name, number| {
            let field = FIELDS.iter().find(|field| field.table == table && field.name == name);
            set(file, field.expect("a field of this name"), 1, number);
        };
        set_by_name(&mut file, Table::Tensors, "offset", 640);
        set_by_name(&mut file, Table::Values, "last", 7);
        set_by_name(&mut file, Table::Values, "zero point", 0xffff);
        set_by_name(&mut file, Table::Ops, "kind", OpKind::Attention as u32);
        set_by_name(&mut file, Table::Ops, "count", 9);
        let header = header(&file).expect("a header");
        let record = |section: Section, len: usize| &file[section.offset as usize + len..];
        let tensor = record(header.tensors, TensorRecord::LEN).first_chunk().and_then(TensorRecord::from_bytes);
        assert_eq!(tensor.map(|tensor| tensor.offset), Some(640));
        let value = record(header.values, ValueRecord::LEN).first_chunk().and_then(ValueRecord::from_bytes);
        assert_eq!(value.map(|value| (value.last, value.zero_point)), Some((7, -1)));
        let op = record(header.ops, OpRecord::LEN).first_chunk().and_then(OpRecord::from_bytes);
        assert_eq!(op.map(|op| (op.kind, op.count)), Some((OpKind::Attention, 9)));
    }

    #[test]
    fn fields_fill_the_records() {
        for table in [Table::Header, Table::Tensors, Table::Values, Table::Ops] {
            let mut end = 0;
            for field in FIELDS.iter().filter(|field| field.table == table) {
                assert_eq!(field.at, end, "{}", field.name);
                end += field.len;
            }
            assert_eq!(end, table.record_len());
        }
    }

    #[test]
    fn candidates_fit_the_field_and_change_it() {
        let file = file();
        for field in FIELDS {
            let numbers = candidates(&file, field, 0);
            assert!(numbers.len() > 3, "{}", field.name);
            for number in numbers {
                let mut changed = file.clone();
                set(&mut changed, field, 0, number);
                assert_eq!(get(&changed, field, 0), number, "{}", field.name);
                assert_ne!(changed, file);
            }
        }
    }

    #[test]
    fn swapped_records_change_places() {
        let mut file = file();
        let kind = FIELDS.iter().find(|field| field.name == "kind").expect("a field of this name");
        set(&mut file, kind, 1, 5);
        swap(&mut file, Table::Ops, 0, 1);
        assert_eq!([0, 1].map(|record| get(&file, kind, record)), [5, 0]);
    }
}
