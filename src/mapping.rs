//! Maps files into memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use memmap2::Mmap;

/// Maps a file for reading.
pub fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: the mapping is private to this process's reading; nothing here writes to it. Another process that cuts
    // the file short while we read it can end us with a bus error, but cannot make us read other memory: every access
    // is checked against the mapped length, and no reference outlives the mapping.
    unsafe { Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))
}
