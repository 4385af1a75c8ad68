//! Files that are either whole or not there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Writes a file so that readers, and we after a crash, see either the old or the new content: writes a temporary file
/// beside it, flushes it to the disk, renames it, and flushes the directory. Missing folders are made.
///
/// # Errors
/// The system's, with nothing left behind.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomic_with(path, |temporary| fs::write(temporary, bytes))
}

/// As [`write_atomic`]; `write` makes the temporary file, whose path it gets.
///
/// # Errors
/// As [`write_atomic`], and those of `write`.
pub fn write_atomic_with(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"));
    };
    fs::create_dir_all(parent)?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = parent.join(temporary);
    let written = (|| {
        write(&temporary)?;
        File::options().append(true).open(&temporary)?.sync_all()?;
        fs::rename(&temporary, path)?;
        // Directories cannot be flushed on every system; the rename has happened either way.
        if let Ok(directory) = File::open(parent) {
            let _ = directory.sync_all();
        }
        Ok(())
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes what killed processes have left half-written in a folder.
///
/// # Errors
/// The system's; a folder that does not exist has no leftovers.
pub fn remove_leftovers(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_behind() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("a/b.bin");
        write_atomic(&path, b"one")?;
        write_atomic(&path, b"two")?;
        assert_eq!(fs::read(&path)?, b"two");
        assert_eq!(fs::read_dir(directory.path().join("a"))?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        // A folder of that name cannot be replaced by a file.
        fs::create_dir(directory.path().join("taken"))?;
        assert!(write_atomic(&directory.path().join("taken"), b"x").is_err());
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        Ok(())
    }
}
