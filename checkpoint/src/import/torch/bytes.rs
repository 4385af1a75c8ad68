//! Reading from bytes that may be damaged.

/// `len` bytes from `at` on.
pub fn part(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], String> {
    let end = at.checked_add(len);
    end.and_then(|end| bytes.get(at..end)).ok_or_else(|| "it ends too early; copy it again".into())
}

/// A little-endian number of `N` bytes, 8 at most.
pub fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<usize, String> {
    let value = part(bytes, at, N)?.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    value.try_into().map_err(|_| format!("it holds the number {value}, too large for this machine"))
}
