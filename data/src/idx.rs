//! The IDX format of the MNIST family: a big-endian header and bytes.

use crate::DataError;

/// Pictures of an IDX file of three dimensions: `(height, width, pixels)`; `name` is for messages.
///
/// # Errors
/// [`DataError::Damaged`] if a header field does not fit the length.
pub fn read_idx_images(bytes: &[u8], name: &str) -> Result<(usize, usize, Vec<u8>), DataError> {
    let ([_, height, width], pixels) = read::<3>(bytes, name)?;
    if height == 0 || width == 0 || height > 4096 || width > 4096 {
        return Err(damaged(name, format!("pictures of {height} x {width} pixels")));
    }
    Ok((height, width, pixels.to_vec()))
}

/// Labels of an IDX file of one dimension.
///
/// # Errors
/// As [`read_idx_images`].
pub fn read_idx_labels(bytes: &[u8], name: &str) -> Result<Vec<u8>, DataError> {
    Ok(read::<1>(bytes, name)?.1.to_vec())
}

fn read<'b, const DIMS: usize>(bytes: &'b [u8], name: &str) -> Result<([usize; DIMS], &'b [u8]), DataError> {
    let magic = [0, 0, 8, DIMS as u8];
    let Some(rest) = bytes.strip_prefix(&magic) else {
        return Err(damaged(
            name,
            format!("does not start with {magic:?}: not an IDX file of {DIMS} dimensions of bytes"),
        ));
    };
    let Some((header, data)) = rest.split_at_checked(4 * DIMS) else {
        return Err(damaged(name, "ends inside its header".into()));
    };
    let mut dims = [0; DIMS];
    for (dim, &bytes) in dims.iter_mut().zip(header.as_chunks().0) {
        *dim = u32::from_be_bytes(bytes) as usize;
    }
    let expected = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    if expected != Some(data.len()) {
        return Err(damaged(
            name,
            format!("its header says {dims:?}, but {} bytes follow; download it again", data.len()),
        ));
    }
    Ok((dims, data))
}

fn damaged(name: &str, problem: String) -> DataError {
    DataError::Damaged { file: name.into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_its_damages() {
        let file = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3][..], &[1, 2, 3, 4, 5, 6]].concat();
        assert_eq!(read_idx_images(&file, "x").ok(), Some((1, 3, vec![1, 2, 3, 4, 5, 6])));
        for len in 0..file.len() {
            assert!(read_idx_images(&file[..len], "x").is_err(), "{len} bytes");
        }
        for at in 0..16 {
            let mut damaged = file.clone();
            damaged[at] = 0xff;
            assert!(read_idx_images(&damaged, "x").is_err(), "byte {at}");
        }
        assert!(read_idx_labels(&file, "x").is_err());
        assert_eq!(read_idx_labels(&[0, 0, 8, 1, 0, 0, 0, 1, 7], "x").ok(), Some(vec![7]));
    }
}
