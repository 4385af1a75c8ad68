//! NumPy's array file, format 1.0 (NEP 1), and archives of them (`.npz`) with the mean `mu` and the covariance `sigma` of
//! features, as pytorch-fid and its kin exchange them.

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::{MetricsError, Statistics};

/// Longest feature vector that is read.
const MOST: usize = 1 << 14;

/// The bytes of an `.npy` file: numbers of the type `descr` (`|u1`, `<f8`), row-major.
pub fn npy(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let dims: Vec<String> = shape.iter().map(|d| format!("{d},")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", dims.join(" "));
    // Data starts at a multiple of 64; the header ends with a line feed.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header = format!("{header:<width$}\n", width = length - 1);
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

impl Statistics {
    /// The bytes of an `.npz` file with `mu` `[dim]` and `sigma` `[dim, dim]`, f64.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if it is larger than archives can be.
    pub fn to_npz(&self) -> Result<Vec<u8>, MetricsError> {
        let dim = self.dim();
        let bytes = |values: &[f64]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let write = || -> zip::result::ZipResult<Vec<u8>> {
            let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
            // No clock: the same statistics give the same bytes.
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(DateTime::default());
            let arrays = [("mu.npy", vec![dim], &self.mean), ("sigma.npy", vec![dim, dim], &self.covariance)];
            for (name, shape, values) in arrays {
                archive.start_file(name, options)?;
                archive.write_all(&npy("<f8", &shape, &bytes(values)))?;
            }
            Ok(archive.finish()?.into_inner())
        };
        write().map_err(|e| MetricsError::Shape(e.to_string()))
    }

    /// Reads `mu` and `sigma` of an `.npz` file, f64 or f32, compressed or not; how many vectors they are of is not told, so
    /// that `count` is 0. `file` is for messages.
    ///
    /// # Errors
    /// [`MetricsError::Statistics`] names the array.
    pub fn from_npz(file: &str, bytes: &[u8]) -> Result<Self, MetricsError> {
        let error = |problem: String| MetricsError::Statistics { file: file.into(), problem };
        const REMEDY: &str = "give an archive with `mu` and `sigma`, as np.savez(file, mu=mu, sigma=sigma) writes";
        let mut archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|e| error(format!("not an .npz file ({e}); {REMEDY}")))?;
        let mut array = |name: &str| -> Result<(Vec<usize>, Vec<f64>), MetricsError> {
            let entry = archive.by_name(&format!("{name}.npy"));
            let mut entry = entry.map_err(|e| error(format!("`{name}` cannot be read ({e}); {REMEDY}")))?;
            read(&mut entry).map_err(|problem| error(format!("`{name}` {problem}; {REMEDY}")))
        };
        let (shape, mean) = array("mu")?;
        let (square, covariance) = array("sigma")?;
        let dim = mean.len();
        if shape != [dim] || square != [dim, dim] || dim == 0 {
            return Err(error(format!("`mu` has shape {shape:?} and `sigma` {square:?}; {REMEDY}")));
        }
        let statistics = Self { count: 0, mean, covariance };
        statistics.check("mu", "sigma").map_err(|problem| error(format!("{problem}; {REMEDY}")))?;
        Ok(statistics)
    }
}

/// Shape and numbers of an array of one or two dimensions.
fn read(file: &mut impl Read) -> Result<(Vec<usize>, Vec<f64>), String> {
    let cut = |e: std::io::Error| format!("is damaged ({e})");
    let mut start = [0; 10];
    file.read_exact(&mut start).map_err(cut)?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err("is no array of NumPy".into());
    }
    // Later versions have four bytes of length instead of two.
    let mut length = usize::from(u16::from_le_bytes([start[8], start[9]]));
    if start[6] > 1 {
        let mut more = [0; 2];
        file.read_exact(&mut more).map_err(cut)?;
        length += usize::from(u16::from_le_bytes(more)) << 16;
    }
    let mut header = vec![0; length.min(1 << 16)];
    file.read_exact(&mut header).map_err(cut)?;
    let header = String::from_utf8_lossy(&header);
    let value = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let kind = value("descr").and_then(|text| text.split('\'').nth(1)).unwrap_or_default();
    let width = match kind {
        "<f8" => 8,
        "<f4" => 4,
        _ => return Err(format!("holds numbers of type `{kind}`, not f64 or f32")),
    };
    let dims = value("shape").and_then(|text| text.strip_prefix('(')?.split_once(')')).map(|(dims, _)| dims);
    let dims = dims.unwrap_or_default().split(',').map(str::trim).filter(|d| !d.is_empty());
    let shape: Vec<usize> = dims.map(str::parse).collect::<Result<_, _>>().map_err(|_| "has no shape".to_owned())?;
    if shape.is_empty() || shape.len() > 2 || shape.iter().any(|&side| side > MOST) {
        return Err(format!("has shape {shape:?}"));
    }
    let mut bytes = vec![0; shape.iter().product::<usize>() * width];
    file.read_exact(&mut bytes).map_err(cut)?;
    let numbers: Vec<f64> = match width {
        8 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        _ => bytes.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
    };
    // Only a symmetric matrix has two dimensions: columns first is as good as rows first.
    Ok((shape, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_aligned_and_complete() {
        let file = npy("|u1", &[2, 3], &[1, 2, 3, 4, 5, 6]);
        let length = usize::from(file[8]) + 256 * usize::from(file[9]);
        assert_eq!((10 + length) % 64, 0);
        assert_eq!(file[10 + length..], [1, 2, 3, 4, 5, 6]);
        assert!(file[10..].starts_with(b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3,), }"));
        assert_eq!(file[10 + length - 1], b'\n');
    }

    #[test]
    fn archives_round_trip_and_damage_is_an_error() -> Result<(), MetricsError> {
        let s = Statistics::of(&[1.0, 10.0, 2.0, 10.0, 3.0, 40.0], 2)?;
        let bytes = s.to_npz()?;
        assert_eq!(bytes, s.to_npz()?);
        let back = Statistics::from_npz("x", &bytes)?;
        assert_eq!((back.mean, back.covariance), (s.mean.clone(), s.covariance.clone()));
        for len in 0..bytes.len() {
            assert!(Statistics::from_npz("x", &bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // Refused or read; never a panic.
            let _ = Statistics::from_npz("x", &damaged);
        }
        let message = Statistics::from_npz("x.npz", b"PK").err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("x.npz") && message.contains("np.savez"), "{message}");
        Ok(())
    }

    #[test]
    fn what_numpy_has_written_is_read() -> Result<(), MetricsError> {
        // np.savez_compressed(file, mu=np.float32([1, 2]), sigma=np.float64([[2, 0.5], [0.5, 3]]))
        let bytes = include_bytes!("../../tests/golden/metrics/compressed.npz");
        let s = Statistics::from_npz("compressed.npz", bytes)?;
        assert_eq!((s.mean, s.covariance), (vec![1.0, 2.0], vec![2.0, 0.5, 0.5, 3.0]));
        Ok(())
    }
}
