//! NumPy's array file, format 1.0 (NEP 1): 8-bit arrays only.

/// The bytes of an `.npy` file of `u8`, row-major.
pub fn bytes(shape: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}", dims.join(" "));
    // Data starts at a multiple of 64; the header ends with a line feed.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header = format!("{header:<width$}\n", width = length - 1);
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_aligned_and_complete() {
        let file = bytes(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let length = usize::from(file[8]) + 256 * usize::from(file[9]);
        assert_eq!((10 + length) % 64, 0);
        assert_eq!(file[10 + length..], [1, 2, 3, 4, 5, 6]);
        assert!(file[10..].starts_with(b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3,), }"));
        assert_eq!(file[10 + length - 1], b'\n');
    }
}
