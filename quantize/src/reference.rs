//! The float file that calibration runs.

use std::io::{BufWriter, Cursor};
use std::ops::Deref;

use aligned_vec::AVec;
use driftlet_checkpoint::map_file;
use driftlet_runtime::format::{ALIGN, Precision};

use crate::QuantizeError;
use crate::emit::emit;
use crate::float;
use crate::graph::Graph;
use crate::program::{Metadata, Tensor};

/// Larger files are kept in half precision, on disk: a machine that can just hold the checkpoint can still quantize it.
const LARGE: usize = 64 << 20;

/// A `.drift` file in f32, or for large networks in f16.
pub struct Reference(Box<dyn Deref<Target = [u8]> + Sync>);

impl Reference {
    /// The file of a graph.
    pub fn new(graph: &Graph, metadata: &Metadata) -> Result<Self, QuantizeError> {
        let program = float::program(graph, Precision::F32, None)?;
        if program.tensors.iter().map(Tensor::len).sum::<usize>() <= LARGE {
            let mut file = Cursor::new(Vec::new());
            emit(&program, metadata, &mut file)?;
            return Ok(Self(Box::new(AVec::<u8>::from_slice(ALIGN as usize, &file.into_inner()))));
        }
        let program = float::program(graph, Precision::F16, None)?;
        let file = tempfile::NamedTempFile::new().map_err(QuantizeError::Write)?;
        emit(&program, metadata, &mut BufWriter::new(&file))?;
        // The mapping keeps the content when the name is gone.
        let mapping = map_file(file.path()).map_err(|e| QuantizeError::Defect(e.to_string()))?;
        Ok(Self(Box::new(mapping)))
    }

    /// The bytes, aligned for the runtime.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
