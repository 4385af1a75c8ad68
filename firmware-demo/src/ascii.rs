//! Pictures and hashes as text.

use core::fmt;

use cortex_m_semihosting::hprintln;

/// Dark to bright.
const RAMP: &[u8; 10] = b" .:-=+*#%@";
const MAX_WIDTH: usize = 64;

/// Prints the first channel; every second line, since letters are twice as high as wide.
pub fn draw(pixels: &[u8], width: usize, channels: usize) {
    for row in pixels.chunks_exact(width * channels).step_by(2) {
        let mut line = [b' '; MAX_WIDTH];
        let letters = row.iter().step_by(channels).map(|&p| RAMP[usize::from(p) * RAMP.len() / 256]);
        let mut len = 0;
        for (place, letter) in line.iter_mut().zip(letters) {
            *place = letter;
            len += 1;
        }
        hprintln!("{}", core::str::from_utf8(&line[..len]).unwrap_or_default());
    }
}

/// Bytes as hexadecimal digits.
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
