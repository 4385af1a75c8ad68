//! Latents: pictures as an autoencoder keeps them.

use std::path::Path;

use half::{bf16, f16};
use safetensors::Dtype;

use crate::DataError;
use crate::array::{Array, npy, safetensors};

/// Latents with labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Latents {
    /// Height.
    pub height: usize,
    /// Width.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// `[count, height, width, channels]`, row-major, all finite.
    pub values: Vec<f32>,
    /// One class per latent.
    pub labels: Vec<u32>,
}

/// The order of a file's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[count, height, width, channels]`.
    Nhwc,
    /// `[count, channels, height, width]`, as PyTorch writes.
    Nchw,
}

/// Reads cached latents and their labels.
///
/// `path` is a `.safetensors` file with the tensors `latents` (f32, f16 or bf16, four dimensions) and `labels`
/// (integers, one dimension), a folder with `latents.npy` (float32 or float16) and `labels.npy`, or an `.npy` file of
/// latents with `labels.npy` beside it.
///
/// `layout` says which dimension is which. Without it the metadata `layout` of the safetensors file (`nhwc` or `nchw`)
/// does. Without both, two equal neighbours in the shape are taken for height and width: `[n, 4, 32, 32]` is
/// [`Layout::Nchw`], `[n, 32, 32, 4]` is [`Layout::Nhwc`], and a shape that leaves a choice is refused.
///
/// # Errors
/// [`DataError`] names the file and what is wrong: its type, shape or layout, a value that is not finite, a label that
/// is below 0.
pub fn latents(path: &Path, layout: Option<Layout>) -> Result<Latents, DataError> {
    let extension = path.extension().unwrap_or_default();
    let (latents, labels, noted) = if extension == "safetensors" {
        let ([latents, labels], metadata) = safetensors(path, ["latents", "labels"])?;
        let noted = metadata.get("layout").map(|name| match name.to_ascii_lowercase().as_str() {
            "nhwc" => Ok(Layout::Nhwc),
            "nchw" => Ok(Layout::Nchw),
            other => Err(latents.damaged(format!("metadata layout `{other}`; write nhwc or nchw"))),
        });
        (latents, labels, noted.transpose()?)
    } else if extension == "npy" {
        (npy(path)?, npy(&path.with_file_name("labels.npy"))?, None)
    } else if path.is_dir() {
        (npy(&path.join("latents.npy"))?, npy(&path.join("labels.npy"))?, None)
    } else {
        let file = path.display().to_string();
        let problem = "no folder, .safetensors or .npy file; name one that has latents and labels".into();
        return Err(DataError::Damaged { file, problem });
    };
    let &[count, a, b, c] = latents.shape.as_slice() else {
        return Err(latents.damaged(format!("its shape is {:?}; latents have four dimensions", latents.shape)));
    };
    if labels.shape != [count] {
        return Err(labels.damaged(format!("its shape is {:?}; {count} latents need [{count}]", labels.shape)));
    }
    let layout = match (layout, noted) {
        (Some(said), Some(noted)) if said != noted => {
            return Err(latents.damaged(format!("metadata layout is {noted:?}, but {said:?} was asked for")));
        }
        (Some(known), _) | (_, Some(known)) => known,
        _ if a == b && b != c => Layout::Nhwc,
        _ if a != b && b == c => Layout::Nchw,
        _ => {
            let problem = format!(
                "its shape {:?} does not say which dimension is which; name the layout (nhwc or nchw) as an option or \
                 in the metadata `layout`",
                latents.shape
            );
            return Err(latents.damaged(problem));
        }
    };
    let [height, width, channels] = if layout == Layout::Nhwc { [a, b, c] } else { [b, c, a] };
    let labels = read_labels(labels)?;
    let values = read_values(latents, layout)?;
    Ok(Latents { height, width, channels, values, labels })
}

/// The values in the order of [`Layout::Nhwc`], latent by latent, so that the file is never in memory as a whole.
fn read_values(mut array: Array, layout: Layout) -> Result<Vec<f32>, DataError> {
    let (size, decode): (usize, fn(&[u8]) -> f32) = match array.dtype {
        Dtype::F32 => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
        Dtype::F16 => (2, |b| f16::from_le_bytes([b[0], b[1]]).to_f32()),
        Dtype::BF16 => (2, |b| bf16::from_le_bytes([b[0], b[1]]).to_f32()),
        other => return Err(array.damaged(format!("latents of {other:?}; save F32, F16 or BF16"))),
    };
    let dims = [array.shape[1], array.shape[2], array.shape[3]];
    let len: usize = dims.iter().product();
    let mut values: Vec<f32> = Vec::new();
    if values.try_reserve_exact(array.shape[0] * len).is_err() {
        return Err(array.damaged(format!("{:?} numbers of 4 bytes do not fit into memory", array.shape)));
    }
    let mut bytes = vec![0; len * size];
    let mut latent = vec![0.0; len];
    for index in 0..array.shape[0] {
        array.read(&mut bytes)?;
        for (at, (value, bytes)) in latent.iter_mut().zip(bytes.chunks_exact(size)).enumerate() {
            *value = decode(bytes);
            if !value.is_finite() {
                let position = [index, at / (dims[1] * dims[2]), at / dims[2] % dims[1], at % dims[2]];
                return Err(array.damaged(format!("{value} at {position:?}; encode this picture again")));
            }
        }
        match layout {
            Layout::Nhwc => values.extend_from_slice(&latent),
            Layout::Nchw => {
                let plane = dims[1] * dims[2];
                values.extend((0..plane).flat_map(|at| latent.iter().skip(at).step_by(plane)));
            }
        }
    }
    Ok(values)
}

fn read_labels(mut array: Array) -> Result<Vec<u32>, DataError> {
    fn number<const N: usize>(bytes: &[u8]) -> [u8; N] {
        std::array::from_fn(|i| bytes[i])
    }
    let (size, decode): (usize, fn(&[u8]) -> i128) = match array.dtype {
        Dtype::U8 => (1, |b| u8::from_le_bytes(number(b)).into()),
        Dtype::I8 => (1, |b| i8::from_le_bytes(number(b)).into()),
        Dtype::U16 => (2, |b| u16::from_le_bytes(number(b)).into()),
        Dtype::I16 => (2, |b| i16::from_le_bytes(number(b)).into()),
        Dtype::U32 => (4, |b| u32::from_le_bytes(number(b)).into()),
        Dtype::I32 => (4, |b| i32::from_le_bytes(number(b)).into()),
        Dtype::U64 => (8, |b| u64::from_le_bytes(number(b)).into()),
        Dtype::I64 => (8, |b| i64::from_le_bytes(number(b)).into()),
        other => return Err(array.damaged(format!("labels of {other:?}; save integers"))),
    };
    let mut bytes = vec![0; array.shape[0] * size];
    array.read(&mut bytes)?;
    let labels = bytes.chunks_exact(size).map(decode).enumerate().map(|(at, label)| {
        u32::try_from(label).map_err(|_| array.damaged(format!("label {label} at {at}; labels are 0 or more")))
    });
    labels.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use safetensors::tensor::TensorView;

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn bytes<T, const N: usize>(values: impl IntoIterator<Item = T>, to: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.into_iter().flat_map(to).collect()
    }

    fn write_safetensors(
        path: &Path,
        latents: (Dtype, &[usize], &[u8]),
        labels: (Dtype, &[usize], &[u8]),
        layout: Option<&str>,
    ) -> Outcome {
        let metadata = layout.map(|name| HashMap::from([("layout".to_string(), name.to_string())]));
        let mut views = Vec::new();
        for (name, (dtype, shape, bytes)) in [("latents", latents), ("labels", labels)] {
            views.push((name, TensorView::new(dtype, shape.to_vec(), bytes)?));
        }
        fs::write(path, safetensors::serialize(views, metadata)?)?;
        Ok(())
    }

    fn write_npy(path: &Path, descr: &str, shape: &str, data: &[u8]) -> std::io::Result<()> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut file = b"\x93NUMPY\x01\0".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes());
        file.extend(data);
        fs::write(path, file)
    }

    /// Two latents of 2 x 2 x 3: channel c of pixel p of latent n is 100 n + 10 c + p.
    const NCHW: [u8; 24] =
        [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 100, 101, 102, 103, 110, 111, 112, 113, 120, 121, 122, 123];
    const NHWC: [u8; 24] =
        [0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23, 100, 110, 120, 101, 111, 121, 102, 112, 122, 103, 113, 123];

    #[test]
    fn every_kind_of_file_gives_the_same_latents() -> Outcome {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("x.safetensors");
        let expected =
            Latents { height: 2, width: 2, channels: 3, values: NHWC.map(f32::from).to_vec(), labels: vec![7, 999] };
        let half_first = bytes(NCHW, |v| f16::from_f32(v.into()).to_le_bytes());
        let brain_last = bytes(NHWC, |v| bf16::from_f32(v.into()).to_le_bytes());
        let full_first = bytes(NCHW, |v| f32::from(v).to_le_bytes());
        let long = bytes([7i64, 999], i64::to_le_bytes);
        let int = bytes([7i32, 999], i32::to_le_bytes);

        for layout in [None, Some("nchw")] {
            write_safetensors(&file, (Dtype::F16, &[2, 3, 2, 2], &half_first), (Dtype::I64, &[2], &long), layout)?;
            assert_eq!(latents(&file, None)?, expected);
        }
        write_safetensors(&file, (Dtype::BF16, &[2, 2, 2, 3], &brain_last), (Dtype::I32, &[2], &int), Some("NHWC"))?;
        assert_eq!(latents(&file, Some(Layout::Nhwc))?, expected);
        let clash = latents(&file, Some(Layout::Nchw)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(clash.contains("metadata layout is Nhwc, but Nchw"), "{clash}");

        let [values, labels] = ["latents.npy", "labels.npy"].map(|name| directory.path().join(name));
        write_npy(&labels, "<i8", "(2,)", &long)?;
        write_npy(&values, "<f4", "(2, 3, 2, 2)", &full_first)?;
        assert_eq!(latents(directory.path(), None)?, expected);
        write_npy(&values, "<f2", "(2, 3, 2, 2)", &half_first)?;
        assert_eq!(latents(&values, None)?, expected);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() -> Outcome {
        let directory = tempfile::tempdir()?;
        let [values, labels] = ["latents.npy", "labels.npy"].map(|name| directory.path().join(name));
        let refused = || latents(directory.path(), None).err().map(|e| e.to_string()).unwrap_or_default();
        let write = |descr: &str, shape: &str, len: usize| write_npy(&values, descr, shape, &vec![0; len]);
        write_npy(&labels, "|u1", "(2,)", &[1, 2])?;
        for (descr, shape, len, message) in [
            ("<f4", "(2, 2, 2, 2)", 64, "latents.npy: its shape [2, 2, 2, 2] does not say"),
            ("<f4", "(2, 2, 3, 4)", 192, "does not say"),
            ("<f4", "(2, 3, 2, 2)", 92, "92 bytes are no [2, 3, 2, 2]"),
            ("<f4", "(2, 0, 2, 2)", 0, "0 bytes are no"),
            ("<f4", "(2, 12)", 96, "four dimensions"),
            ("<f4", "(3, 3, 2, 2)", 144, "labels.npy: its shape is [2]; 3 latents need [3]"),
            ("<f8", "(2, 3, 2, 2)", 192, "descr `<f8`"),
            (">f4", "(2, 3, 2, 2)", 96, "descr `>f4`"),
            ("<i4", "(2, 3, 2, 2)", 96, "latents of I32"),
            ("<f4", "(2, -3, 2, 2)", 96, "its shape is not readable"),
            ("<f4", "(99999999999, 99999999999, 9, 9)", 96, "96 bytes are no"),
        ] {
            write(descr, shape, len)?;
            assert!(refused().contains(message), "{shape}: {}", refused());
        }
        let mut numbers = [0.0f32; 24];
        numbers[23] = f32::NAN;
        write_npy(&values, "<f4", "(2, 3, 2, 2)", &bytes(numbers, f32::to_le_bytes))?;
        assert!(refused().contains("NaN at [1, 2, 1, 1]"), "{}", refused());
        write("<f4", "(2, 3, 2, 2)", 96)?;
        write_npy(&labels, "<i4", "(2,)", &bytes([3, -1], i32::to_le_bytes))?;
        assert!(refused().contains("label -1 at 1"), "{}", refused());
        let whole = fs::read(&values)?;
        let body = whole.len() - 96;
        for len in 0..body {
            fs::write(&values, &whole[..len])?;
            assert!(refused().contains("latents.npy"), "{len} bytes: {}", refused());
        }
        let fortran = String::from_utf8_lossy(&whole[10..]).replace("False", "True ");
        fs::write(&values, [&whole[..10], fortran.as_bytes()].concat())?;
        assert!(refused().contains("fortran_order"), "{}", refused());
        Ok(())
    }

    #[test]
    fn torn_safetensors_are_refused() -> Outcome {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("x.safetensors");
        let refused = || latents(&file, None).err().map(|e| e.to_string()).unwrap_or_default();
        write_safetensors(&file, (Dtype::F32, &[1, 1, 2, 2], &[0; 16]), (Dtype::U8, &[1], &[1]), None)?;
        let whole = fs::read(&file)?;
        assert_eq!(latents(&file, None)?.labels, [1]);
        for len in 0..whole.len() {
            fs::write(&file, &whole[..len])?;
            assert!(latents(&file, None).is_err(), "{len} bytes");
        }
        fs::write(&file, [0xff; 64])?;
        assert!(refused().contains("not a safetensors file"), "{}", refused());
        write_safetensors(&file, (Dtype::F32, &[1, 1, 2, 2], &[0; 16]), (Dtype::U8, &[1], &[1]), Some("hwc"))?;
        assert!(refused().contains("metadata layout `hwc`"), "{}", refused());
        let view = TensorView::new(Dtype::U8, vec![1], &[1])?;
        fs::write(&file, safetensors::serialize([("labels", view)], None)?)?;
        assert!(refused().contains("no tensor `latents`"), "{}", refused());
        assert!(latents(directory.path().join("x.bin").as_path(), None).is_err());
        Ok(())
    }
}
