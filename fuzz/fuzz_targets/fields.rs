//! Whole files of which fields change: numbers of records by name, records that swap places, numbers of weights. Far more
//! of them parse than of files with random bytes.
#![no_main]

use driftlet_damage::reseal;
use driftlet_fuzz::{Random, change, parse_and_run};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| parse_and_run(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::new(seed);
    let mut size = size;
    if random.below(16) == 0 {
        size = fuzzer_mutate(data, size, max_size);
    } else {
        for _ in 0..=random.below(4) {
            change(&mut data[..size], &mut random);
        }
    }
    reseal(&mut data[..size]);
    size
});
