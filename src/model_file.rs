//! Models from where users keep them: `.drift` files, mapped; checkpoints, made into an f32 model on the fly.

use std::path::Path;

use aligned_vec::AVec;
use anyhow::{Context, Result, bail};
use driftlet_checkpoint::{Checkpoint, map_file};
use driftlet_quantize::{Options, Precision, quantize};
use driftlet_runtime::Model;
use memmap2::Mmap;
use sha2::{Digest, Sha256};

/// The bytes of a `.drift` file and a name for it.
pub struct ModelFile {
    name: String,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Made(AVec<u8>),
}

impl ModelFile {
    /// Opens a `.drift` file, or quantizes a checkpoint directory to f32.
    pub fn open(path: &Path) -> Result<Self> {
        let file = if path.is_dir() {
            let checkpoint = Checkpoint::load(path)?;
            Self::made(&checkpoint, &name_of(path), Precision::F32)?
        } else {
            Self { name: name_of(path), bytes: Bytes::Mapped(map_file(path)?) }
        };
        let model = file.parse().with_context(|| path.display().to_string())?;
        if !model.verify_weights() {
            bail!("{}: weights are damaged (checksum); copy or quantize the file again", path.display());
        }
        Ok(file)
    }

    /// Quantizes a checkpoint in memory.
    pub fn made(checkpoint: &Checkpoint, name: &str, precision: Precision) -> Result<Self> {
        let bytes = quantize(checkpoint, &Options::new(name, precision))?;
        let name = format!("{name}-{}", precision.name());
        Ok(Self { name, bytes: Bytes::Made(AVec::from_slice(64, &bytes)) })
    }

    /// Of a file that was made in memory.
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.into(), bytes: Bytes::Made(AVec::from_slice(64, bytes)) }
    }

    /// The same file under another name.
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The model; opening it has proved it.
    pub fn model(&self) -> Result<Model<'_>> {
        self.parse().with_context(|| self.name.clone())
    }

    fn parse(&self) -> Result<Model<'_>> {
        Ok(Model::parse(self.bytes())?)
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Made(vec) => vec,
        }
    }

    /// A name for reports: the file's, without folders and ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the file.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.bytes()))
    }
}

/// The last part of a path without its ending.
pub fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
    stem.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Memory for one sampler of a model.
pub fn arena(model: &Model) -> AVec<u8> {
    let mut arena = AVec::new(64);
    arena.resize(model.arena_len(), 0);
    arena
}
