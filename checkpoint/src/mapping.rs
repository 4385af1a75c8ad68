//! Maps files into memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::CheckpointError;

/// Maps a file for reading.
///
/// # Errors
/// [`CheckpointError::Io`] names the file.
pub fn map_file(path: &Path) -> Result<Mmap, CheckpointError> {
    let error = |source| CheckpointError::Io { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(error)?;
    // SAFETY: the mapping is private to this process's reading; nothing here writes to it. Another process that cuts
    // the file short while we read it can end us with a bus error, but cannot make us read other memory: every access
    // is checked against the mapped length, and no reference outlives the mapping.
    unsafe { Mmap::map(&file) }.map_err(error)
}
