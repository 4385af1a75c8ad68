//! Arrays in files: a tensor of a safetensors file, or an `.npy` file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::DataError;

/// An array whose file has all its bytes, little-endian and row-major.
pub(crate) struct Array {
    path: PathBuf,
    /// Stands at the first element.
    reader: BufReader<File>,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
}

impl Array {
    fn new(path: &Path, reader: BufReader<File>, dtype: Dtype, shape: Vec<usize>, len: u64) -> Result<Self, DataError> {
        let count = shape.iter().try_fold(dtype.bitsize() / 8, |n, &d| n.checked_mul(d));
        if len == 0 || count.and_then(|n| u64::try_from(n).ok()) != Some(len) {
            let problem = format!("{len} bytes are no {shape:?} of {dtype:?}; write it again");
            return Err(damaged(path, problem));
        }
        Ok(Self { path: path.into(), reader, dtype, shape })
    }

    /// An error about this array.
    pub(crate) fn damaged(&self, problem: String) -> DataError {
        damaged(&self.path, problem)
    }

    /// The bytes of the next elements.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result<(), DataError> {
        self.reader.read_exact(bytes).map_err(|source| DataError::Io { path: self.path.clone(), source })
    }
}

fn damaged(path: &Path, problem: String) -> DataError {
    DataError::Damaged { file: path.display().to_string(), problem }
}

fn open(path: &Path) -> Result<(BufReader<File>, u64), DataError> {
    let io = |source| DataError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    Ok((BufReader::new(file), len))
}

/// The arrays `names` of a safetensors file, and its metadata.
pub(crate) fn safetensors<const N: usize>(
    path: &Path,
    names: [&str; N],
) -> Result<([Array; N], HashMap<String, String>), DataError> {
    let no_header = || damaged(path, "has no header; it is not a safetensors file".into());
    let (mut reader, len) = open(path)?;
    let mut header_len = [0; 8];
    reader.read_exact(&mut header_len).map_err(|_| no_header())?;
    let header_len = u64::from_le_bytes(header_len);
    let Some(body_len) = len.checked_sub(8).and_then(|rest| rest.checked_sub(header_len)) else {
        return Err(no_header());
    };
    let mut header = Vec::new();
    reader.take(header_len).read_to_end(&mut header).map_err(|source| DataError::Io { path: path.into(), source })?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|e| damaged(path, format!("its header is wrong ({e}); it is not a safetensors file")))?;
    let mut arrays = Vec::new();
    for name in names {
        let Some(TensorInfo { dtype, shape, data_offsets: (start, end) }) = metadata.info(name) else {
            return Err(damaged(path, format!("has no tensor `{name}`")));
        };
        let (start, end) = (*start as u64, *end as u64);
        if start > end || end > body_len {
            return Err(damaged(path, format!("ends before its tensor `{name}` does; copy it again")));
        }
        let (mut reader, _) = open(path)?;
        let at = SeekFrom::Start(8 + header_len + start);
        reader.seek(at).map_err(|source| DataError::Io { path: path.into(), source })?;
        arrays.push(Array::new(&path.join(name), reader, *dtype, shape.clone(), end - start)?);
    }
    let arrays = arrays.try_into().map_err(|_| no_header())?;
    Ok((arrays, metadata.metadata().clone().unwrap_or_default()))
}

/// The array of an `.npy` file (NumPy's format 1 to 3).
pub(crate) fn npy(path: &Path) -> Result<Array, DataError> {
    let wrong = |problem: &str| damaged(path, problem.into());
    let (mut reader, len) = open(path)?;
    let mut start = [0; 10];
    reader.read_exact(&mut start).map_err(|_| wrong("ends inside its header; it is not an .npy file"))?;
    let (header_len, start_len) = match start {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, 0, low, high] => (u64::from(u16::from_le_bytes([low, high])), 10),
        [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, 0, low, high] => {
            let mut rest = [0; 2];
            reader.read_exact(&mut rest).map_err(|_| wrong("ends inside its header"))?;
            (u64::from(u32::from_le_bytes([low, high, rest[0], rest[1]])), 12)
        }
        _ => return Err(wrong("is not an .npy file of format 1, 2 or 3")),
    };
    let Some(body_len) = len.checked_sub(start_len + header_len) else {
        return Err(wrong("ends inside its header; copy it again"));
    };
    let mut header = Vec::new();
    let io = |source| DataError::Io { path: path.into(), source };
    Read::by_ref(&mut reader).take(header_len).read_to_end(&mut header).map_err(io)?;
    let header = String::from_utf8_lossy(&header);
    let field = |name: &str| {
        let value = header.split_once(&format!("'{name}':")).map(|(_, value)| value.trim_start());
        value.ok_or_else(|| damaged(path, format!("its header has no field `{name}`")))
    };
    let name = field("descr")?.strip_prefix('\'').and_then(|value| value.split('\'').next()).unwrap_or_default();
    let dtype = match name {
        "<f2" => Dtype::F16,
        "<f4" => Dtype::F32,
        "|u1" => Dtype::U8,
        "|i1" => Dtype::I8,
        "<u2" => Dtype::U16,
        "<i2" => Dtype::I16,
        "<u4" => Dtype::U32,
        "<i4" => Dtype::I32,
        "<u8" => Dtype::U64,
        "<i8" => Dtype::I64,
        _ => {
            return Err(damaged(path, format!("descr `{name}`; save float32, float16 or integers, little-endian")));
        }
    };
    if !field("fortran_order")?.starts_with("False") {
        return Err(wrong("fortran_order is not False; save numpy.ascontiguousarray(array)"));
    }
    let shape = field("shape")?.strip_prefix('(').and_then(|value| value.split_once(')')).and_then(|(shape, _)| {
        shape
            .split(',')
            .map(str::trim)
            .filter(|d| !d.is_empty())
            .map(|d| d.parse().ok())
            .collect::<Option<Vec<usize>>>()
    });
    Array::new(path, reader, dtype, shape.ok_or_else(|| wrong("its shape is not readable"))?, body_len)
}
