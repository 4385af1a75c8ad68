//! The ZIP files that PyTorch writes: entries stored as they are, with 64-bit sizes where needed.

use std::collections::BTreeMap;

use super::bytes::{number, part};

/// What a 32-bit field says when its value stands in a 64-bit one elsewhere.
const ELSEWHERE: usize = u32::MAX as usize;

/// The entries of an archive by name, their checksums verified.
pub fn entries(file: &[u8]) -> Result<BTreeMap<String, &[u8]>, String> {
    let (count, mut at) = directory(file)?;
    let mut entries = BTreeMap::new();
    let mut total = 0;
    for _ in 0..count {
        let header = part(file, at, 46)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err("its table of contents is damaged; copy it again".into());
        }
        let short = |at| number::<2>(header, at);
        let long = |at| number::<4>(header, at);
        let (name_len, extra_len, comment_len) = (short(28)?, short(30)?, short(32)?);
        let name = String::from_utf8_lossy(part(file, at + 46, name_len)?).into_owned();
        let extra = part(file, at + 46 + name_len, extra_len)?;
        let [size, stored, local] = widened([long(24)?, long(20)?, long(42)?], extra)?;
        if short(10)? != 0 || size != stored {
            return Err(format!("{name} is compressed; store it as torch.save does"));
        }
        part(file, local, 30)?;
        let data = local + 30 + number::<2>(file, local + 26)? + number::<2>(file, local + 28)?;
        let bytes = part(file, data, size)?;
        // Entries that overlap would make the checksums take forever.
        total += size;
        if total > file.len() {
            return Err("its entries overlap; copy it again".into());
        }
        if crc32fast::hash(bytes) as usize != long(16)? {
            return Err(format!("{name} does not match its checksum; copy the file again"));
        }
        entries.insert(name, bytes);
        at += 46 + name_len + extra_len + comment_len;
    }
    Ok(entries)
}

/// Number of entries, and where their table begins.
fn directory(file: &[u8]) -> Result<(usize, usize), String> {
    // The record stands at the end, before a comment of at most 65535 bytes.
    let first = file.len().saturating_sub(22 + 65535);
    let tail = &file[first..];
    let found = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
    let end = first + found.ok_or("its table of contents is missing; the file is torn, copy it again")?;
    part(file, end, 22)?;
    if let Some(locator) = end.checked_sub(20)
        && file[locator..].starts_with(b"PK\x06\x07")
    {
        let record = number::<8>(file, locator + 8)?;
        let record = part(file, record, 56)?;
        return Ok((number::<8>(record, 32)?, number::<8>(record, 48)?));
    }
    Ok((number::<2>(file, end + 10)?, number::<4>(file, end + 16)?))
}

/// Size, stored size and place of an entry, from 64-bit fields where the 32-bit ones are too small.
fn widened(mut fields: [usize; 3], extra: &[u8]) -> Result<[usize; 3], String> {
    let mut at = 0;
    while at < extra.len() {
        let len = number::<2>(extra, at + 2)?;
        if number::<2>(extra, at)? == 1 {
            let wide = part(extra, at + 4, len)?;
            let missing = fields.iter_mut().filter(|field| **field == ELSEWHERE);
            for (i, field) in missing.enumerate() {
                *field = number::<8>(wide, 8 * i)?;
            }
            break;
        }
        at += 4 + len;
    }
    Ok(fields)
}
