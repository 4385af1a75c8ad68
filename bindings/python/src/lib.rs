//! The module inside the Python package `driftlet`. The package's own `Model` calls it, with every argument made whole.

use driftlet_owned::{Arena, Generator, Request};
use numpy::{PyArray1, PyArray4, PyArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest, Sha256};

/// Pictures that are made before Python may interrupt.
const CHUNK: usize = 256;

/// A seed, the class, guidance, and another seed with how much of the way to it.
type Picture = (u64, u32, f32, Option<(u64, f32)>);

#[pyclass(frozen, module = "driftlet._driftlet", name = "Generator")]
struct PyGenerator(Generator);

#[pymethods]
impl PyGenerator {
    /// Proves the bytes of a `.drift` file.
    #[new]
    fn new(py: Python<'_>, file: Vec<u8>) -> PyResult<Self> {
        py.detach(|| Generator::new(file)).map(Self).map_err(value_error)
    }

    /// Pictures, `[count, height, width, channels]`; the array takes the memory over.
    fn generate<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<Picture>,
        threads: usize,
    ) -> PyResult<Bound<'py, PyArray4<u8>>> {
        let requests: Vec<Request> = pictures
            .into_iter()
            .map(|(seed, class, guidance, towards)| Request { seed, class, guidance, towards })
            .collect();
        requests.iter().try_for_each(|request| self.0.check(request)).map_err(value_error)?;
        // None asked for: the process has threads for all processors already.
        let pool = (threads > 0).then(|| ThreadPoolBuilder::new().num_threads(threads).build()).transpose();
        let pool = pool.map_err(|error| PyRuntimeError::new_err(format!("cannot start {threads} threads: {error}")))?;
        let len = self.0.image_len();
        let mut pixels = vec![0; requests.len() * len];
        for (requests, pixels) in requests.chunks(CHUNK).zip(pixels.chunks_mut(CHUNK * len)) {
            py.detach(|| self.make(pool.as_ref(), requests, pixels)).map_err(value_error)?;
            py.check_signals()?;
        }
        let [height, width, channels] = self.0.image_shape();
        PyArray1::from_vec(py, pixels).reshape([requests.len(), height, width, channels])
    }

    /// Height, width and channels of a picture.
    #[getter]
    fn image_shape(&self) -> (usize, usize, usize) {
        self.0.image_shape().into()
    }

    /// Weakest and strongest guidance.
    #[getter]
    fn guidance_range(&self) -> (f32, f32) {
        self.0.guidance_range()
    }

    /// Number of classes, 0 if the model takes none.
    #[getter]
    fn classes(&self) -> u32 {
        self.0.model().classes()
    }

    /// The model's numbers.
    #[getter]
    fn precision(&self) -> &'static str {
        self.0.model().precision().name()
    }

    /// Bytes of working memory of a thread.
    #[getter]
    fn arena_bytes(&self) -> usize {
        self.0.model().arena_len()
    }

    /// Length of the file.
    #[getter]
    fn file_bytes(&self) -> usize {
        self.0.file().len()
    }

    /// The kernels that compute.
    #[getter]
    fn kernels(&self) -> &'static str {
        self.0.kernels().name()
    }

    /// What the quantizer wrote about the model: JSON.
    #[getter]
    fn metadata(&self) -> String {
        String::from_utf8_lossy(self.0.model().metadata()).into_owned()
    }

    /// SHA-256 of the file.
    #[getter]
    fn sha256(&self, py: Python<'_>) -> String {
        py.detach(|| Sha256::digest(self.0.file()).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl PyGenerator {
    fn make(
        &self,
        pool: Option<&ThreadPool>,
        requests: &[Request],
        pixels: &mut [u8],
    ) -> Result<(), driftlet_owned::Error> {
        let pictures = pixels.par_chunks_mut(self.0.image_len()).zip(requests);
        let all = || {
            pictures.try_for_each_init(Arena::default, |arena, (pixels, request)| {
                self.0.generate_in(arena, request, pixels)
            })
        };
        match pool {
            Some(pool) => pool.install(all),
            None => all(),
        }
    }
}

fn value_error(error: driftlet_owned::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pymodule]
fn _driftlet(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyGenerator>()
}
