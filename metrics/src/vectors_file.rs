//! Feature vectors of a data set as files of safetensors, in parts if they are many: figures that look at single pictures of the data
//! take them from there, instead of running the feature network over all of them again.
//!
//! The tensor `features` is f32 `[n, dim]`; the metadata have one field, `driftlet`, with [`VectorsAbout`] as JSON.

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::MetricsError;

const ABOUT: &str = "driftlet";
const REMEDY: &str = "make it with driftlet stats --vectors";

/// What a file of vectors holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VectorsAbout {
    /// Name of the data.
    pub data: String,
    /// SHA-256 of its pixels.
    pub data_hash: String,
    /// Pictures of all parts.
    pub samples: usize,
    /// The first picture of this part.
    pub first: usize,
    /// SHA-256 of the feature network's `.drift` file.
    pub network_hash: String,
}

/// Feature vectors of a data set, or a part of them.
#[derive(Clone, Debug, PartialEq)]
pub struct DataVectors {
    /// Where they come from.
    pub about: VectorsAbout,
    /// Length of a vector.
    pub dim: usize,
    /// `[n, dim]`.
    pub features: Vec<f32>,
}

impl DataVectors {
    /// The bytes of the file.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the numbers are no vectors.
    pub fn to_bytes(&self) -> Result<Vec<u8>, MetricsError> {
        let shape = |e: &dyn std::fmt::Display| MetricsError::Shape(e.to_string());
        let about = serde_json::to_string(&self.about).map_err(|e| shape(&e))?;
        let bytes: Vec<u8> = self.features.iter().flat_map(|x| x.to_le_bytes()).collect();
        let dims = vec![self.features.len() / self.dim.max(1), self.dim];
        let view = TensorView::new(Dtype::F32, dims, &bytes).map_err(|e| shape(&e))?;
        let metadata = HashMap::from([(ABOUT.into(), about)]);
        safetensors::serialize([("features", view)], Some(metadata)).map_err(|e| shape(&e))
    }

    /// Reads what [`DataVectors::to_bytes`] wrote; `file` is for messages.
    ///
    /// # Errors
    /// [`MetricsError::Statistics`] names the field.
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, MetricsError> {
        let error = |problem: String| MetricsError::Statistics { file: file.into(), problem };
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|e| error(format!("not a safetensors file ({e}); {REMEDY}")))?;
        let about = header.metadata().as_ref().and_then(|fields| fields.get(ABOUT));
        let about = about.ok_or_else(|| error(format!("has no field `{ABOUT}`; {REMEDY}")))?;
        let about: VectorsAbout =
            serde_json::from_str(about).map_err(|e| error(format!("`{ABOUT}`: {e}; {REMEDY}")))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| error(format!("damaged ({e}); {REMEDY}")))?;
        let view = tensors.tensor("features").map_err(|_| error(format!("has no `features`; {REMEDY}")))?;
        let &[count, dim] = view.shape() else {
            return Err(error(format!("`features` is {:?}, not [n, dim]; {REMEDY}", view.shape())));
        };
        if view.dtype() != Dtype::F32 || count == 0 || dim == 0 {
            return Err(error(format!(
                "`features` is {:?} {:?}, not f32 [n, dim]; {REMEDY}",
                view.dtype(),
                view.shape()
            )));
        }
        if about.first.checked_add(count).is_none_or(|end| end > about.samples) {
            let problem = format!("`features` has {count} vectors from {} of {}", about.first, about.samples);
            return Err(error(format!("{problem}; {REMEDY}")));
        }
        let features: Vec<f32> = view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        if !features.iter().all(|x| x.is_finite()) {
            return Err(error(format!("`features` has a number that is not finite; {REMEDY}")));
        }
        Ok(Self { about, dim, features })
    }

    /// Joins all parts of one data set, in any order.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if they are parts of different ones, or some are missing or there twice.
    pub fn join(mut parts: Vec<Self>) -> Result<Self, MetricsError> {
        let error = |problem: String| Err(MetricsError::Shape(problem));
        parts.sort_by_key(|part| part.about.first);
        let mut parts = parts.into_iter();
        let Some(mut whole) = parts.next() else { return error("no vectors".into()) };
        if whole.about.first > 0 {
            return error(format!("the vectors of pictures 0 to {} are missing", whole.about.first - 1));
        }
        for next in parts {
            if (VectorsAbout { first: 0, ..next.about.clone() }, next.dim) != (whole.about.clone(), whole.dim) {
                return error("these are vectors of different data or feature networks".into());
            }
            whole.append(next)?;
        }
        let count = whole.count();
        if count < whole.about.samples {
            return error(format!("the vectors of pictures {count} to {} are missing", whole.about.samples - 1));
        }
        Ok(whole)
    }

    fn append(&mut self, next: Self) -> Result<(), MetricsError> {
        let (end, first) = (self.count(), next.about.first);
        if end != first {
            let what = if end < first { "are missing" } else { "are there twice" };
            let (from, to) = (end.min(first), end.max(first) - 1);
            return Err(MetricsError::Shape(format!("the vectors of pictures {from} to {to} {what}")));
        }
        self.features.extend(next.features);
        Ok(())
    }

    fn count(&self) -> usize {
        self.features.len() / self.dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: usize, count: usize) -> DataVectors {
        let about =
            VectorsAbout { data: "test".into(), data_hash: "ab".into(), samples: 7, first, network_hash: "cd".into() };
        DataVectors { about, dim: 2, features: (2 * first..2 * (first + count)).map(|x| x as f32).collect() }
    }

    #[test]
    fn parts_become_one_and_gaps_are_named() -> Result<(), MetricsError> {
        let read = |part: &DataVectors| DataVectors::from_bytes("x", &part.to_bytes()?);
        let parts = [read(&part(0, 3))?, read(&part(3, 2))?, read(&part(5, 2))?];
        let [a, b, c] = &parts;
        assert_eq!(DataVectors::join(vec![c.clone(), a.clone(), b.clone()])?, part(0, 7));
        let other = DataVectors { about: VectorsAbout { network_hash: "ef".into(), ..b.about.clone() }, ..b.clone() };
        for (parts, expected) in [
            (vec![a, c], "3 to 4 are missing"),
            (vec![b, c], "0 to 2 are missing"),
            (vec![a, b], "5 to 6 are missing"),
            (vec![a, a, b, c], "0 to 2 are there twice"),
            (vec![a, &other, c], "different data or feature networks"),
            (vec![], "no vectors"),
        ] {
            let message = DataVectors::join(parts.into_iter().cloned().collect()).err().map(|e| e.to_string());
            assert!(message.as_ref().is_some_and(|m| m.contains(expected)), "{message:?}");
        }
        Ok(())
    }

    #[test]
    fn damage_is_an_error() -> Result<(), MetricsError> {
        let bytes = part(0, 7).to_bytes()?;
        for len in 0..bytes.len() {
            assert!(DataVectors::from_bytes("x", &bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x7f;
            // Either refused or read; never a panic.
            let _ = DataVectors::from_bytes("x", &damaged);
        }
        let mut infinite = part(0, 7);
        infinite.features[3] = f32::INFINITY;
        let message = DataVectors::from_bytes("x", &infinite.to_bytes()?).err().map(|e| e.to_string());
        assert!(message.is_some_and(|m| m.contains("`features`") && m.contains("driftlet stats --vectors")));
        Ok(())
    }
}
