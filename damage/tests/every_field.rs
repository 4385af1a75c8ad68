//! Changes of every field of every record, in files with every operator: nothing panics, and what still parses still runs.

mod files;

use std::collections::BTreeSet;

use aligned_vec::AVec;
use driftlet_damage::{FIELDS, Fate, Field, Table, candidates, get, parse_and_run, records, reseal, set, swap};
use driftlet_runtime::Model;
use driftlet_runtime::format::OpKind;
use files::files;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Enough for every file as it is.
const ARENA: usize = 1 << 20;
/// Of the changed files that still parse, those run that are quick.
const WORK: u64 = 1 << 15;

/// Of the numbers that a field may be changed to, each record is given one in so many.
const TURNS: usize = 8;

/// What became of the changed files.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    too_much: usize,
    ran: usize,
}

impl Tally {
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Refused => self.refused += 1,
            Fate::TooMuch => self.too_much += 1,
            Fate::Ran => self.ran += 1,
        }
    }
}

#[test]
fn the_files_have_every_operator_and_run() -> Outcome {
    let mut kinds = BTreeSet::new();
    for (name, file) in files()? {
        assert_eq!(parse_and_run(&file, ARENA, u64::MAX), Fate::Ran, "{name}");
        let file = AVec::<u8>::from_slice(64, &file);
        let model = Model::parse(&file)?;
        kinds.extend((0..model.op_count()).map(|index| model.op_info(index).kind as u8));
    }
    assert_eq!(kinds, (0..=OpKind::Pool as u8).collect());
    Ok(())
}

/// Fields that nothing relies on: the minor version, and the weights' own checksum, which is verified on demand. Length and
/// checksum of the tables are made right again after each change.
const FREE: [&str; 4] = ["minor version", "length", "checksum of the tables", "checksum of the weights"];

#[test]
fn no_change_of_a_field_panics() -> Outcome {
    let (mut tally, mut refused) = (Tally::default(), BTreeSet::new());
    for (_, original) in files()? {
        let mut file = original.clone();
        for (index, field) in FIELDS.iter().enumerate() {
            // All numbers in every record would take minutes: they take turns.
            let numbers = |record| {
                let numbers = candidates(&original, field, record).into_iter().skip(record % TURNS).step_by(TURNS);
                numbers.map(move |number| (record, number))
            };
            for (record, number) in (0..records(&original, field.table)).flat_map(numbers) {
                set(&mut file, field, record, number);
                reseal(&mut file);
                let fate = parse_and_run(&file, ARENA, WORK);
                tally.add(fate);
                if fate == Fate::Refused {
                    refused.insert(index);
                }
                file.copy_from_slice(&original);
            }
        }
    }
    println!("{tally:?}");
    for (index, field) in FIELDS.iter().enumerate() {
        assert_eq!(refused.contains(&index), !FREE.contains(&field.name), "{} may hold anything", field.name);
    }
    assert!(tally.refused > 50_000 && tally.ran > 1_000, "{tally:?}");
    Ok(())
}

#[test]
fn no_two_swapped_records_panic() -> Outcome {
    let mut tally = Tally::default();
    for (_, original) in files()? {
        for table in [Table::Tensors, Table::Values, Table::Ops] {
            for b in 1..records(&original, table) {
                for a in [0, b / 2, b - 1] {
                    let mut file = original.clone();
                    swap(&mut file, table, a, b);
                    reseal(&mut file);
                    tally.add(parse_and_run(&file, ARENA, WORK));
                }
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.refused > 1_000, "{tally:?}");
    Ok(())
}

#[test]
fn indices_of_other_records_never_panic() -> Outcome {
    let mut tally = Tally::default();
    let indices = |field: &&Field| field.table == Table::Ops && (field.at >= 8);
    for (_, original) in files()?.into_iter().filter(|(name, _)| name.ends_with("-int8")) {
        let values = records(&original, Table::Values) as u32;
        for field in FIELDS.iter().filter(indices) {
            for record in 0..records(&original, Table::Ops) {
                for index in (0..values).filter(|&index| index != get(&original, field, record)) {
                    let mut file = original.clone();
                    set(&mut file, field, record, index);
                    reseal(&mut file);
                    tally.add(parse_and_run(&file, ARENA, WORK));
                }
            }
        }
    }
    println!("{tally:?}");
    assert!(tally.refused > 10_000 && tally.ran > 100, "{tally:?}");
    Ok(())
}
