//! Pictures and hashes as text.

use core::fmt;

use semihosting::println;

/// Dark to bright.
const RAMP: &[u8; 10] = b" .:-=+*#%@";
const MAX_WIDTH: usize = 64;

/// Prints the first channel of a row of a picture; of every second row, since letters are twice as high as wide.
pub fn draw(row: usize, pixels: &[u8], channels: usize) {
    if row % 2 == 1 {
        return;
    }
    let mut line = [b' '; MAX_WIDTH];
    let letters = pixels.iter().step_by(channels).map(|&p| RAMP[usize::from(p) * RAMP.len() / 256]);
    let mut len = 0;
    for (place, letter) in line.iter_mut().zip(letters) {
        *place = letter;
        len += 1;
    }
    println!("{}", core::str::from_utf8(&line[..len]).unwrap_or_default());
}

/// Bytes as hexadecimal digits.
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
