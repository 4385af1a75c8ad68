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

/// Gives back the memory that holds a mapped file; what is read later is fetched from the file again.
#[cfg(unix)]
pub fn release(mapping: &Mmap) {
    // SAFETY: the mapping is read-only, so its pages hold the content of the file and nothing else: references into it
    // stay valid and find the same bytes.
    let advised = unsafe { mapping.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    // It is advice: where it is not taken, memory is given back when it runs short.
    let _ = advised;
}

/// Gives back nothing: there is no way to ask for it.
#[cfg(not(unix))]
pub fn release(_: &Mmap) {}
