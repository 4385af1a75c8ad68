//! The one rule that turns a result in `[-1, 1]` into an 8-bit pixel, shared by every precision and by the metrics.

/// `floor((y + 1) * 127.5 + 1/2)`, clamped to `0..=255`; not-a-number gives 0.
///
/// ```
/// use driftlet_runtime::from_unit;
/// assert_eq!([from_unit(-1.0), from_unit(0.0), from_unit(1.0), from_unit(7.0)], [0, 128, 255, 255]);
/// ```
#[cfg(feature = "float")]
pub fn from_unit(y: f32) -> u8 {
    // The cast truncates and saturates; below zero truncation and floor both end at 0.
    ((y + 1.0) * 127.5 + 0.5) as u8
}

/// Entries of a pixel table: both ends of 256 segments.
pub(crate) const TABLE_LEN: u32 = 257;

/// The same rule for integer models: `table` holds the pixel in 1/128 at every 256th input, with linear interpolation
/// between, and one rounding.
pub(crate) fn from_table(value: i16, table: &[i16]) -> u8 {
    let position = (i32::from(value) + 32768) as usize;
    let (segment, fraction) = (position / 256, (position % 256) as i32);
    let (low, high) = (i32::from(table[segment]), i32::from(table[segment + 1]));
    // At most 2^15 * 2^8 in magnitude, far from overflow for any table.
    let pixel = (low * 256 + (high - low) * fraction + (1 << 14)) >> 15;
    pixel.clamp(0, 255) as u8
}
