//! What applications call: a [`Sampler`] that makes pictures, a [`Network`] that looks at them.

use core::fmt;
use core::ops::ControlFlow;

use crate::execute::{Engine, Inputs, Step, View, run, view};
use crate::format::{NONE, OpKind};
use crate::kernels::Kernels;
use crate::model::{Class, Guidance, Model};
use crate::pieces::Pieces;
use crate::start::Start;
use crate::workers::{Alone, Workers};

#[cfg(feature = "float")]
use crate::format::Function;

/// Alignment that the arena's values rely on.
const ARENA_ALIGN: usize = 16;

/// Bytes aligned to 64, for models and arenas that are statics.
///
/// ```
/// use driftlet_runtime::Aligned;
/// static MODEL: &Aligned<[u8]> = &Aligned(*b"include_bytes!(..) goes here");
/// static mut ARENA: Aligned<[u8; 4096]> = Aligned([0; 4096]);
/// ```
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

/// A generator with its arena: makes one picture per call.
///
/// ```no_run
/// use driftlet_runtime::{Guidance, Model, Sampler};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file = std::fs::read("model.drift")?;
/// let model = Model::parse(&file)?;
/// let mut arena = vec![0; model.arena_len() + 15];
/// let mut sampler = Sampler::new(&model, &mut arena)?;
/// let class = model.class(3).ok_or("no such class")?;
/// for seed in 0..10 {
///     let pixels: &[u8] = sampler.generate(seed, class, Guidance::from_q8(256));
///     println!("{:?}", pixels.first());
/// }
/// # Ok(()) }
/// ```
pub struct Sampler<'a> {
    model: Model<'a>,
    arena: &'a mut [u8],
    engine: Engine<'a>,
}

impl<'a> Sampler<'a> {
    /// Joins a generator with memory of the caller's: [`Model::arena_len`] bytes, and up to 15 more if the memory does
    /// not start at a multiple of 16.
    ///
    /// # Errors
    /// [`StartError::ArenaTooSmall`]; [`StartError::NotAGenerator`] for a model that looks at pictures;
    /// [`StartError::MakesLines`] for one that keeps no picture, which [`LineSampler`](crate::LineSampler) starts.
    pub fn new(model: &Model<'a>, arena: &'a mut [u8]) -> Result<Self, StartError> {
        if model.source(OpKind::Input).is_some() {
            return Err(StartError::NotAGenerator);
        }
        if model.bands().is_some() {
            return Err(StartError::MakesLines);
        }
        Ok(Self { model: *model, arena: place(model, arena)?, engine: engine()? })
    }

    /// Computes with other kernels than the fastest that the processor has. All give the same bytes for integer models.
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.engine.kernels = kernels;
    }

    /// Shares the work of operators among workers; until then the calling thread is alone. Their number changes no byte.
    ///
    /// ```no_run
    /// # #[cfg(feature = "std")] {
    /// # use driftlet_runtime::{Model, Pool, Sampler};
    /// # fn example<'a>(model: &Model<'a>, arena: &'a mut [u8], pool: &'a Pool) -> Result<(), driftlet_runtime::StartError> {
    /// let mut sampler = Sampler::new(model, arena)?;
    /// sampler.set_workers(pool);
    /// # Ok(()) }
    /// # }
    /// ```
    pub fn set_workers(&mut self, workers: &'a dyn Workers) {
        self.engine.workers = workers;
    }

    /// The kernels that compute.
    pub fn kernels(&self) -> Kernels {
        self.engine.kernels
    }

    /// Makes the picture of a seed: 8-bit pixels, `[height, width, channels]` row-major, valid until the next call. A model
    /// that makes latents gives no pixels; [`Sampler::unrounded`] has them.
    pub fn generate(&mut self, seed: u64, class: Class, guidance: Guidance) -> &[u8] {
        self.generate_from(Start::Seed(seed), class, guidance)
    }

    /// As [`Sampler::generate`], from any start: on the way between two seeds, or from given noise.
    ///
    /// ```no_run
    /// # use driftlet_runtime::{Class, Guidance, Sampler, Start};
    /// # fn example(sampler: &mut Sampler, class: Class) {
    /// for position in (0..u16::MAX).step_by(4096) {
    ///     let frame = sampler.generate_from(Start::Between { from: 1, to: 2, position }, class, Guidance::from_q8(256));
    ///     println!("{:?}", frame.first());
    /// }
    /// # }
    /// ```
    pub fn generate_from(&mut self, start: Start, class: Class, guidance: Guidance) -> &[u8] {
        // An observer that never stops.
        let _ = self.run(start, class, guidance, &mut |_| ControlFlow::Continue(()));
        self.picture()
    }

    /// As [`Sampler::generate_from`]; calls `observe` after each operator, for progress. `None` if it broke off.
    ///
    /// ```no_run
    /// # use core::ops::ControlFlow;
    /// # use driftlet_runtime::{Class, Guidance, Sampler, Start};
    /// # fn example(sampler: &mut Sampler, class: Class, cancelled: &core::sync::atomic::AtomicBool) {
    /// let picture = sampler.generate_observed(Start::Seed(7), class, Guidance::from_q8(256), &mut |step| {
    ///     println!("{} of {}", step.index + 1, step.count);
    ///     if cancelled.load(core::sync::atomic::Ordering::Relaxed) {
    ///         return ControlFlow::Break(());
    ///     }
    ///     ControlFlow::Continue(())
    /// });
    /// # let _ = picture;
    /// # }
    /// ```
    pub fn generate_observed(
        &mut self,
        start: Start,
        class: Class,
        guidance: Guidance,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> Option<&[u8]> {
        match self.run(start, class, guidance, observe) {
            ControlFlow::Continue(()) => Some(self.picture()),
            ControlFlow::Break(()) => None,
        }
    }

    /// Begins a picture that is made piece by piece, each of about `limit` multiply-accumulates; see [`Pieces`]. When they are
    /// through, [`Sampler::picture`] has it.
    pub fn start<'s>(&'s mut self, start: Start<'s>, class: Class, guidance: Guidance, limit: u32) -> Pieces<'s> {
        let inputs = Inputs { class: class.0, guidance: guidance.0, start, image: &[] };
        Pieces::new(self.engine, &self.model, self.arena, inputs, limit)
    }

    /// Makes pictures one after the other, by one arena, into `out`: until it is full or the requests end. Returns how many.
    ///
    /// ```no_run
    /// # use driftlet_runtime::{Class, Guidance, Model, Sampler};
    /// # fn example(model: &Model, sampler: &mut Sampler, class: Class) {
    /// let mut pictures = vec![0; 16 * model.image_len()];
    /// let made = sampler.generate_batch((0..16).map(|seed| (seed, class, Guidance::from_q8(256))), &mut pictures);
    /// assert_eq!(made, 16);
    /// # }
    /// ```
    pub fn generate_batch(
        &mut self,
        requests: impl IntoIterator<Item = (u64, Class, Guidance)>,
        out: &mut [u8],
    ) -> usize {
        let len = self.model.image_len();
        if len == 0 {
            return 0;
        }
        let pairs = out.chunks_exact_mut(len).zip(requests);
        pairs.map(|(out, (seed, class, guidance))| out.copy_from_slice(self.generate(seed, class, guidance))).count()
    }

    /// The last picture: 8-bit pixels, `[height, width, channels]` row-major; empty for a model that makes latents.
    pub fn picture(&self) -> &[u8] {
        match self.model.header.pixels {
            NONE => &[],
            pixels => &self.arena[self.model.value(pixels).range()],
        }
    }

    /// The last picture as red, green and blue, whatever its channels.
    ///
    /// ```no_run
    /// # fn example(sampler: &driftlet_runtime::Sampler) {
    /// let rgb: Vec<u8> = sampler.rgb().flatten().collect();
    /// # }
    /// ```
    pub fn rgb(&self) -> impl Iterator<Item = [u8; 3]> + '_ {
        let picture = self.picture();
        let channels = self.model.image_shape().map_or(1, |shape| shape[2]);
        picture.chunks_exact(channels).map(move |pixel| {
            // One and two channels are grey, four carry more than a colour.
            if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] }
        })
    }

    /// The last picture in grey, `(77 red + 150 green + 29 blue + 128) / 256` (ITU-R BT.601).
    ///
    /// ```no_run
    /// # fn example(sampler: &driftlet_runtime::Sampler, display: &mut [u8]) {
    /// for (cell, grey) in display.iter_mut().zip(sampler.gray()) {
    ///     *cell = grey;
    /// }
    /// # }
    /// ```
    pub fn gray(&self) -> impl Iterator<Item = u8> + '_ {
        self.rgb().map(|pixel| {
            let [red, green, blue] = pixel.map(u32::from);
            ((77 * red + 150 * green + 29 * blue + 128) >> 8) as u8
        })
    }

    /// The raw result of the last pass as it is stored, before `tanh` and rounding: integers of an integer model;
    /// [`Model::output_shape`], row-major.
    ///
    /// ```no_run
    /// # fn example(sampler: &driftlet_runtime::Sampler) {
    /// if let driftlet_runtime::View::I16(numbers) = sampler.raw() {
    ///     println!("{} numbers of 16 bits", numbers.len());
    /// }
    /// # }
    /// ```
    pub fn raw(&self) -> View<'_> {
        view(self.arena, &self.model.value(self.model.header.output))
    }

    /// The raw result of the last pass: the picture before it was rounded to pixels, in `[-1, 1]`, or a latent;
    /// [`Model::output_shape`], row-major.
    ///
    /// ```no_run
    /// # fn example(sampler: &driftlet_runtime::Sampler) {
    /// let latent: Vec<f32> = sampler.unrounded().collect();
    /// assert_eq!(latent.len(), sampler.model().output_shape().iter().product());
    /// # }
    /// ```
    #[cfg(feature = "float")]
    pub fn unrounded(&self) -> impl Iterator<Item = f32> + '_ {
        let output = self.model.value(self.model.header.output);
        let pixels = self.model.header.pixels;
        let tanh = pixels != NONE && self.model.op(self.model.value(pixels).first).function == Function::Tanh;
        let view = view(self.arena, &output);
        (0..output.elements()).map(move |i| {
            let y = match view {
                View::F32(v) => v[i],
                View::I8(v) => (f32::from(v[i]) - f32::from(output.zero_point)) * output.scale(),
                View::I16(v) => f32::from(v[i]) * output.scale(),
                View::U8(v) => f32::from(v[i]),
            };
            if tanh { libm::tanhf(y) } else { y }
        })
    }

    /// The model.
    pub fn model(&self) -> &Model<'a> {
        &self.model
    }

    fn run(
        &mut self,
        start: Start,
        class: Class,
        guidance: Guidance,
        observe: &mut dyn FnMut(Step) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let inputs = Inputs { class: class.0, guidance: guidance.0, start, image: &[] };
        run(self.engine, &self.model, self.arena, &inputs, observe)
    }
}

/// A network that looks at pictures, a classifier say, with its arena.
///
/// ```no_run
/// use driftlet_runtime::{Model, Network};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::read("classifier.drift")?;
/// let model = Model::parse(&file)?;
/// let mut arena = vec![0; model.arena_len() + 15];
/// let mut network = Network::new(&model, &mut arena)?;
/// let picture = vec![128; network.image_len()];
/// let seen = network.run(&picture)?;
/// let best = seen.output.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
/// println!("{best:?}, {} features", seen.features.len());
/// # Ok(()) }
/// ```
#[cfg(feature = "float")]
pub struct Network<'a> {
    model: Model<'a>,
    arena: &'a mut [u8],
    engine: Engine<'a>,
    image_len: usize,
}

/// What a [`Network`] saw.
#[cfg(feature = "float")]
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// The feature vector, empty if the network has none.
    pub features: &'s [f32],
    /// The result of the last operator.
    pub output: &'s [f32],
}

#[cfg(feature = "float")]
impl<'a> Network<'a> {
    /// Joins a network with memory of the caller's, as [`Sampler::new`].
    ///
    /// # Errors
    /// [`StartError::ArenaTooSmall`], or [`StartError::NotANetwork`] for a model that takes no pictures.
    pub fn new(model: &Model<'a>, arena: &'a mut [u8]) -> Result<Self, StartError> {
        let Some(input) = model.source(OpKind::Input) else { return Err(StartError::NotANetwork) };
        let (arena, engine) = (place(model, arena)?, engine()?);
        Ok(Self { model: *model, arena, engine, image_len: input.elements() })
    }

    /// Computes with other kernels than the fastest that the processor has, as [`Sampler::set_kernels`]; the portable ones give the
    /// same numbers everywhere.
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.engine.kernels = kernels;
    }

    /// Looks at a picture of [`Network::image_len`] 8-bit pixels, `[height, width, channels]` row-major.
    ///
    /// # Errors
    /// [`InputError`] if the length differs.
    pub fn run(&mut self, image: &[u8]) -> Result<Seen<'_>, InputError> {
        check_length(self.image_len, image.len())?;
        let inputs = Inputs { class: 0, guidance: 0, start: Start::Seed(0), image };
        // An observer that never stops.
        let _ = run(self.engine, &self.model, self.arena, &inputs, &mut |_| ControlFlow::Continue(()));
        let floats = |index: u32| match view(self.arena, &self.model.value(index)) {
            View::F32(v) => v,
            _ => &[],
        };
        let header = &self.model.header;
        let features = if header.features == NONE { &[] } else { floats(header.features) };
        Ok(Seen { features, output: floats(header.output) })
    }

    /// Pixels of a picture.
    pub fn image_len(&self) -> usize {
        self.image_len
    }
}

/// The fastest kernels that the processor has, or those that the environment asks for.
pub(crate) fn engine<'e>() -> Result<Engine<'e>, StartError> {
    #[cfg(feature = "std")]
    let kernels = Kernels::chosen().ok_or(StartError::NoSuchKernels)?;
    #[cfg(not(feature = "std"))]
    let kernels = Kernels::best();
    Ok(Engine { kernels, workers: &Alone })
}

/// Cuts the arena to the length that the model needs, from the first aligned byte on.
pub(crate) fn place<'a>(model: &Model, arena: &'a mut [u8]) -> Result<&'a mut [u8], StartError> {
    let skip = arena.as_ptr().align_offset(ARENA_ALIGN);
    let (needed, given) = (skip.saturating_add(model.arena_len()), arena.len());
    arena.get_mut(skip..needed).ok_or(StartError::ArenaTooSmall { needed, given })
}

#[cfg(feature = "float")]
fn check_length(expected: usize, given: usize) -> Result<(), InputError> {
    if expected == given { Ok(()) } else { Err(InputError { expected, given }) }
}

/// Why a model cannot be started.
///
/// ```
/// use driftlet_runtime::StartError;
/// let error = StartError::ArenaTooSmall { needed: 56_448, given: 4096 };
/// assert_eq!(error.to_string(), "the arena has 4096 bytes, the model needs 56448; see `Model::arena_len`");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The arena is too short.
    ArenaTooSmall {
        /// Bytes needed from the start of the memory given.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// A [`Sampler`] needs a generator.
    NotAGenerator,
    /// A `Network` needs a model that takes pictures.
    NotANetwork,
    /// The model makes its picture in bands and keeps none of it; a [`LineSampler`](crate::LineSampler) hands out lines.
    MakesLines,
    /// The environment variable `DRIFTLET_KERNEL` names none of this processor's [`Kernels`].
    NoSuchKernels,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::ArenaTooSmall { needed, given } => {
                write!(f, "the arena has {given} bytes, the model needs {needed}; see `Model::arena_len`")
            }
            Self::NotAGenerator => f.write_str("the model looks at pictures and makes none; give a generator"),
            Self::NotANetwork => f.write_str("the model takes no pictures; give a classifier"),
            Self::MakesLines => f.write_str(
                "the model makes its picture line by line and keeps none of it; start it with `LineSampler`",
            ),
            Self::NoSuchKernels => {
                f.write_str("DRIFTLET_KERNEL names no kernels of this processor; those there are:")?;
                Kernels::available().try_for_each(|kernels| write!(f, " {}", kernels.name()))
            }
        }
    }
}

impl core::error::Error for StartError {}

/// An input of the wrong length.
#[cfg(feature = "float")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Numbers that the model takes.
    pub expected: usize,
    /// Numbers given.
    pub given: usize,
}

#[cfg(feature = "float")]
impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "the model takes {} numbers, but {} were given", self.expected, self.given)
    }
}

#[cfg(feature = "float")]
impl core::error::Error for InputError {}
