//! Arrays in Flax's MessagePack files: nested maps whose leaves are extension 1, itself (shape, type, bytes).

use std::borrow::Cow;
use std::collections::BTreeMap;

use rmp::Marker;
use rmp::decode::{
    read_array_len, read_bin_len, read_ext_meta, read_int, read_map_len, read_marker, read_str_from_slice,
};

use super::numbers::Kind;

/// Extension type of an array.
const ARRAY: i8 = 1;
/// Deeper nesting than any network has.
const DEEPEST: usize = 32;

/// An array, still in its file.
#[derive(Clone, Debug)]
pub struct Array<'a> {
    /// Dimensions.
    pub shape: Vec<usize>,
    kind: Kind,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// The numbers, the last dimension fastest.
    pub fn numbers(&self) -> Vec<f32> {
        self.kind.numbers(self.bytes)
    }

    /// The numbers as the weight of a layer: a kernel `[in, out]` becomes `[out, in]`, one of a convolution `[h, w, in,
    /// out]` becomes `[out, in, h, w]`, others stay.
    pub fn weight(&self, kernel: bool) -> Cow<'a, [f32]> {
        let numbers = self.numbers();
        let (taps, inputs, outputs) = match (kernel, &self.shape[..]) {
            (true, &[inputs, outputs]) => (1, inputs, outputs),
            (true, &[height, width, inputs, outputs]) => (height * width, inputs, outputs),
            _ => return Cow::Owned(numbers),
        };
        let mut turned = vec![0.0; numbers.len()];
        for (i, &number) in numbers.iter().enumerate() {
            let (tap, input, output) = (i / outputs / inputs, i / outputs % inputs, i % outputs);
            turned[(output * inputs + input) * taps + tap] = number;
        }
        Cow::Owned(turned)
    }

    /// Shape of [`Array::weight`], without dimensions of one in front.
    pub fn weight_shape(&self, kernel: bool) -> Vec<usize> {
        match (kernel, &self.shape[..]) {
            (true, &[inputs, outputs]) => vec![outputs, inputs],
            (true, &[height, width, inputs, outputs]) => vec![outputs, inputs, height, width],
            (_, shape) => {
                let ones = shape.iter().take(shape.len().saturating_sub(1)).take_while(|&&d| d == 1).count();
                shape[ones..].to_vec()
            }
        }
    }
}

/// Every array of a file by its path, the parts joined with `/`.
///
/// # Errors
/// A message that says what is wrong where.
pub fn arrays(file: &[u8]) -> Result<BTreeMap<String, Array<'_>>, String> {
    let mut found = BTreeMap::new();
    let mut rest = file;
    map(&mut rest, "", 0, &mut found)?;
    match rest.len() {
        0 => Ok(found),
        left => Err(format!("{left} bytes follow the parameters; the file is damaged")),
    }
}

fn map<'a>(
    rest: &mut &'a [u8],
    path: &str,
    depth: usize,
    found: &mut BTreeMap<String, Array<'a>>,
) -> Result<(), String> {
    let at = |problem: &str| format!("{}: {problem}", if path.is_empty() { "the beginning" } else { path });
    let torn = || at("the file ends early or is not Flax's MessagePack; download it again");
    if depth > DEEPEST {
        return Err(at("nested too deeply"));
    }
    let entries = read_map_len(rest).map_err(|_| torn())?;
    for _ in 0..entries {
        let (name, after) = read_str_from_slice(*rest).map_err(|_| torn())?;
        *rest = after;
        let inner = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if name == "__msgpack_chunked_array__" {
            return Err(at("is split into chunks, which is not supported: arrays above 1 GiB"));
        }
        let mut ahead = *rest;
        match read_marker(&mut ahead).map_err(|_| torn())? {
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => map(rest, &inner, depth + 1, found)?,
            _ => {
                let array = array(rest).map_err(|problem| format!("{inner}: {problem}"))?;
                found.insert(inner, array);
            }
        }
    }
    Ok(())
}

fn array<'a>(rest: &mut &'a [u8]) -> Result<Array<'a>, String> {
    let torn = "the file ends early, or this is not an array";
    let meta = read_ext_meta(rest).map_err(|_| torn)?;
    let (mut body, after) = rest.split_at_checked(meta.size as usize).ok_or(torn)?;
    *rest = after;
    if meta.typeid != ARRAY {
        return Err(format!("is of extension type {}, not an array", meta.typeid));
    }
    let broken = "its header is damaged";
    if read_array_len(&mut body).map_err(|_| broken)? != 3 {
        return Err(broken.into());
    }
    let dims = read_array_len(&mut body).map_err(|_| broken)?;
    if dims > 8 {
        return Err(format!("has {dims} dimensions"));
    }
    let shape: Vec<usize> = (0..dims)
        .map(|_| read_int::<u32, _>(&mut body).map(|d| d as usize))
        .collect::<Result<_, _>>()
        .map_err(|_| broken)?;
    let (kind, after) = read_str_from_slice(body).map_err(|_| broken)?;
    let (kind, size) = match kind {
        "float32" => (Kind::F32, 4),
        "float16" => (Kind::F16, 2),
        "bfloat16" => (Kind::Bf16, 2),
        other => return Err(format!("has type {other}; float32, float16 and bfloat16 are read")),
    };
    body = after;
    let len = read_bin_len(&mut body).map_err(|_| broken)? as usize;
    let expected = shape.iter().try_fold(size, |n: usize, &d| n.checked_mul(d));
    if expected != Some(len) || body.len() != len {
        return Err(format!("has shape {shape:?}, but {} bytes", body.len()));
    }
    Ok(Array { shape, kind, bytes: body })
}
