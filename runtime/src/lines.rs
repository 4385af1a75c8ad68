//! Pictures line by line.

use core::ops::ControlFlow;

use crate::execute::{Engine, Inputs, Step, View, run};
use crate::format::{NONE, OpKind};
use crate::kernels::Kernels;
use crate::model::{Class, Guidance, Model};
use crate::pieces::Pieces;
use crate::sampler::{StartError, engine, place};
use crate::start::Start;
use crate::workers::Workers;

/// A generator with its arena that hands out pictures line by line. A model that makes bands never holds a whole picture; of
/// others the lines come all at once, and of one that makes latents there are none.
///
/// ```no_run
/// use driftlet_runtime::{Guidance, LineSampler, Model, Start};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file = std::fs::read("model.drift")?;
/// # fn send_to_display(_: usize, _: &[u8]) {}
/// let model = Model::parse(&file)?;
/// let mut arena = vec![0; model.arena_len() + 15];
/// let mut sampler = LineSampler::new(&model, &mut arena)?;
/// let class = model.class(3).ok_or("no such class")?;
/// sampler.generate_lines(Start::Seed(42), class, Guidance::from_q8(256), &mut |row, pixels| send_to_display(row, pixels));
/// # Ok(()) }
/// ```
pub struct LineSampler<'a> {
    model: Model<'a>,
    arena: &'a mut [u8],
    engine: Engine<'a>,
}

impl<'a> LineSampler<'a> {
    /// Joins a generator with memory of the caller's, as [`Sampler::new`](crate::Sampler::new) but for any model.
    ///
    /// # Errors
    /// [`StartError::ArenaTooSmall`], or [`StartError::NotAGenerator`] for a model that looks at pictures.
    pub fn new(model: &Model<'a>, arena: &'a mut [u8]) -> Result<Self, StartError> {
        if model.source(OpKind::Input).is_some() {
            return Err(StartError::NotAGenerator);
        }
        Ok(Self { model: *model, arena: place(model, arena)?, engine: engine()? })
    }

    /// Computes with other kernels, see [`Sampler::set_kernels`](crate::Sampler::set_kernels).
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.engine.kernels = kernels;
    }

    /// Shares the work of operators, see [`Sampler::set_workers`](crate::Sampler::set_workers).
    pub fn set_workers(&mut self, workers: &'a dyn Workers) {
        self.engine.workers = workers;
    }

    /// The kernels that compute.
    pub fn kernels(&self) -> Kernels {
        self.engine.kernels
    }

    /// Makes a picture; calls `line` with each row of it, from the top, and its number: 8-bit pixels, `[width, channels]`.
    pub fn generate_lines(
        &mut self,
        start: Start,
        class: Class,
        guidance: Guidance,
        line: &mut dyn FnMut(usize, &[u8]),
    ) {
        let index = self.model.header.pixels;
        let pixels = (index != NONE).then(|| self.model.value(index));
        let (writer, len) = pixels.map_or((NONE, 1), |pixels| (pixels.first, pixels.row_len()));
        // An observer that never stops.
        let _ = self.generate_observed(start, class, guidance, &mut |step| {
            if let (View::U8(rows), true) = (step.output, step.index == writer) {
                for (row, pixels) in (step.row as usize..).zip(rows.chunks_exact(len)) {
                    line(row, pixels);
                }
            }
            ControlFlow::Continue(())
        });
    }

    /// Makes a picture and puts it together in memory of the caller's, [`Model::image_len`] bytes; of a shorter one the
    /// lines that it holds are filled.
    pub fn generate_into(&mut self, start: Start, class: Class, guidance: Guidance, picture: &mut [u8]) {
        self.generate_lines(start, class, guidance, &mut |row, pixels| {
            if let Some(place) = picture.get_mut(row * pixels.len()..(row + 1) * pixels.len()) {
                place.copy_from_slice(pixels);
            }
        });
    }

    /// Makes a picture; calls `observe` after each operator, and for one that runs in bands after each band, until it breaks
    /// off. The operator that writes [`Step::output`] of type [`View::U8`] hands out the picture.
    pub fn generate_observed(
        &mut self,
        start: Start,
        class: Class,
        guidance: Guidance,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let inputs = Inputs { class: class.0, guidance: guidance.0, start, image: &[] };
        run(self.engine, &self.model, self.arena, &inputs, observe)
    }

    /// Begins a picture that is made piece by piece, each of about `limit` multiply-accumulates; see [`Pieces`]. Pieces whose
    /// output is of type [`View::U8`] hand out the picture, row by row.
    pub fn start<'s>(&'s mut self, start: Start<'s>, class: Class, guidance: Guidance, limit: u32) -> Pieces<'s> {
        let inputs = Inputs { class: class.0, guidance: guidance.0, start, image: &[] };
        Pieces::new(self.engine, &self.model, self.arena, inputs, limit)
    }

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }
}
