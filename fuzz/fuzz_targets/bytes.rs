//! Any bytes: libFuzzer changes them as it likes. Checksum and length are made right first, so that it reaches the checks
//! behind them.
#![no_main]

use driftlet_damage::reseal;
use driftlet_fuzz::parse_and_run;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    reseal(&mut file);
    parse_and_run(&file);
});
