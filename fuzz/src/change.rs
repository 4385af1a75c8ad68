//! One random change of a file that keeps its length.

use driftlet_damage::{FIELDS, Table, candidates, header, records, set, swap};

/// SplitMix64: the fuzzer gives a seed for every change.
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u32) -> Self {
        Self(seed.into())
    }

    /// A number below `count`, 0 if there is none.
    pub fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count.max(1) as u64) as usize
    }

    fn number(&mut self) -> u32 {
        self.below(1 << 32) as u32
    }
}

/// Changes a field, swaps two records of a table, or changes a number among the weights.
pub fn change(file: &mut [u8], random: &mut Random) {
    match random.below(8) {
        0 => {
            let table = [Table::Tensors, Table::Values, Table::Ops][random.below(3)];
            let count = records(file, table);
            if count > 0 {
                let (a, b) = (random.below(count), random.below(count));
                swap(file, table, a, b);
            }
        }
        1 => change_weight(file, random),
        _ => {
            let field = &FIELDS[random.below(FIELDS.len())];
            let count = records(file, field.table);
            if count > 0 {
                let record = random.below(count);
                let numbers = candidates(file, field, record);
                // Small numbers are sizes, counts and indices that fit.
                let number = match random.below(8) {
                    0 => random.number(),
                    1 => random.below(16) as u32,
                    2 => random.below(records(file, Table::Values)) as u32,
                    _ => numbers[random.below(numbers.len())],
                };
                set(file, field, record, number);
            }
        }
    }
}

/// Biases, multipliers, shifts and tables are proved too.
fn change_weight(file: &mut [u8], random: &mut Random) {
    let Some(header) = header(file) else { return };
    let start = (header.weights.offset as usize).min(file.len());
    let words = (file.len() - start) / 4;
    if words == 0 {
        return;
    }
    let at = start + 4 * random.below(words);
    let number = match random.below(4) {
        0 => random.number(),
        1 => random.below(80) as u32,
        2 => 1 << random.below(32),
        _ => (1u32 << random.below(32)).wrapping_sub(1),
    };
    file[at..at + 4].copy_from_slice(&number.to_le_bytes());
}
