//! Files that the quantizer runs itself: the float file for calibration, and its own result for comparison.

use std::io::{BufWriter, Cursor};

use aligned_vec::AVec;
use driftlet_checkpoint::{map_file, release};
use driftlet_runtime::format::{ALIGN, Precision};
use driftlet_runtime::{Kernels, Model, Sampler};
use memmap2::Mmap;

use crate::emit::emit;
use crate::float;
use crate::graph::Graph;
use crate::program::{Metadata, Program, Tensor};
use crate::{QuantizeError, RamLimit};

/// Larger files are kept in half precision, on disk: a machine that can just hold the checkpoint can still quantize it.
const LARGE: usize = 64 << 20;

/// A `.drift` file that can be run: in memory, or for large networks on disk.
pub enum Runnable {
    InMemory(AVec<u8>),
    OnDisk(Mmap),
}

impl Runnable {
    /// The float file of a graph: f32, or f16 for large networks.
    pub fn reference(graph: &Graph, metadata: &Metadata) -> Result<Self, QuantizeError> {
        let program = float::program(graph, Precision::F32, None)?;
        if weights(&program) <= LARGE {
            return Self::new(&program, metadata);
        }
        Self::new(&float::program(graph, Precision::F16, None)?, metadata)
    }

    /// The file of a program.
    pub fn new(program: &Program, metadata: &Metadata) -> Result<Self, QuantizeError> {
        if weights(program) <= LARGE {
            let mut file = Cursor::new(Vec::new());
            emit(program, metadata, RamLimit::None, &mut file)?;
            return Ok(Self::InMemory(AVec::from_slice(ALIGN as usize, &file.into_inner())));
        }
        let file = tempfile::NamedTempFile::new().map_err(QuantizeError::Write)?;
        emit(program, metadata, RamLimit::None, &mut BufWriter::new(&file))?;
        // The mapping keeps the content when the name is gone.
        let mapping = map_file(file.path()).map_err(|e| QuantizeError::Defect(e.to_string()))?;
        Ok(Self::OnDisk(mapping))
    }

    /// Bytes of the file.
    pub fn len(&self) -> usize {
        match self {
            Self::InMemory(bytes) => bytes.len(),
            Self::OnDisk(mapping) => mapping.len(),
        }
    }

    /// Gives back the memory that holds a file on disk, until it is run again.
    pub fn release(&self) {
        if let Self::OnDisk(mapping) = self {
            release(mapping);
        }
    }

    /// The model; a defect of ours if the runtime refuses it.
    pub fn model(&self) -> Result<Model<'_>, QuantizeError> {
        let bytes = match self {
            Self::InMemory(bytes) => bytes,
            Self::OnDisk(mapping) => &mapping[..],
        };
        Model::parse(bytes).map_err(|e| QuantizeError::Defect(e.to_string()))
    }
}

/// Starts a model. Float models run on the portable kernels: what they show decides about the file, which is to be the same
/// wherever it is made.
pub fn start<'a>(model: &Model<'a>, arena: &'a mut [u8]) -> Result<Sampler<'a>, QuantizeError> {
    let mut sampler = Sampler::new(model, arena).map_err(|e| QuantizeError::Defect(e.to_string()))?;
    if model.precision() != Precision::Int8 {
        sampler.set_kernels(Kernels::PORTABLE);
    }
    Ok(sampler)
}

fn weights(program: &Program) -> usize {
    program.tensors.iter().map(Tensor::len).sum()
}
