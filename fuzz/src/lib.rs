//! What the targets share.

mod change;

pub use change::{Random, change};

/// Bytes of arena and steps of work of files that are run: the fuzzer is to try many.
const LIMITS: (usize, u64) = (1 << 20, 1 << 20);

/// Parses a file, and runs it unless that takes long.
pub fn parse_and_run(file: &[u8]) {
    driftlet_damage::parse_and_run(file, LIMITS.0, LIMITS.1);
}
