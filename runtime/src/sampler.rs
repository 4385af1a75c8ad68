//! What applications call: a [`Sampler`] that makes pictures, a [`Network`] that looks at them.

use core::fmt;

use crate::execute::{Inputs, Noise, Step, run};
use crate::format::OpKind;
use crate::model::{Class, Guidance, Model};

#[cfg(feature = "float")]
use crate::{
    execute::{View, view},
    format::{Activation, NONE},
};

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
pub struct Sampler<'a> {
    model: Model<'a>,
    arena: &'a mut [u8],
}

impl<'a> Sampler<'a> {
    /// Joins a generator with memory of the caller's: [`Model::arena_len`] bytes, and up to 15 more if the memory does
    /// not start at a multiple of 16.
    ///
    /// # Errors
    /// [`StartError::ArenaTooSmall`], or [`StartError::NotAGenerator`] for a model that makes no pictures.
    pub fn new(model: &Model<'a>, arena: &'a mut [u8]) -> Result<Self, StartError> {
        if model.image_shape().is_none() || model.source(OpKind::Input).is_some() {
            return Err(StartError::NotAGenerator);
        }
        Ok(Self { model: *model, arena: place(model, arena)? })
    }

    /// Makes the picture of a seed: 8-bit pixels, `[height, width, channels]` row-major, valid until the next call.
    pub fn generate(&mut self, seed: u64, class: Class, guidance: Guidance) -> &[u8] {
        self.generate_observed(seed, class, guidance, &mut |_| {})
    }

    /// As [`Sampler::generate`]; calls `observe` after each operator.
    pub fn generate_observed(
        &mut self,
        seed: u64,
        class: Class,
        guidance: Guidance,
        observe: &mut dyn FnMut(Step),
    ) -> &[u8] {
        self.run(class, guidance, Noise::Seed(seed), observe)
    }

    /// Makes a picture from given noise; integer models round it to multiples of 1/32 in `-127/32..=127/32`.
    ///
    /// # Errors
    /// [`InputError`] unless there are [`Model::noise_len`] numbers.
    #[cfg(feature = "float")]
    pub fn generate_from(&mut self, noise: &[f32], class: Class, guidance: Guidance) -> Result<&[u8], InputError> {
        check_length(self.model.noise_len(), noise.len())?;
        Ok(self.run(class, guidance, Noise::Given(noise), &mut |_| {}))
    }

    /// The last picture before it was rounded to pixels, in `[-1, 1]`, `[height, width, channels]` row-major.
    #[cfg(feature = "float")]
    pub fn unrounded(&self) -> impl Iterator<Item = f32> + '_ {
        let output = self.model.value(self.model.header.output);
        let pixels_op = self.model.op(self.model.value(self.model.header.pixels).first);
        let tanh = pixels_op.activation == Activation::Tanh;
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

    fn run(&mut self, class: Class, guidance: Guidance, noise: Noise, observe: &mut dyn FnMut(Step)) -> &[u8] {
        let inputs = Inputs { class: class.0, guidance: guidance.0, noise, image: &[] };
        run(&self.model, self.arena, &inputs, observe);
        &self.arena[self.model.value(self.model.header.pixels).range()]
    }
}

/// A network that looks at pictures, a classifier say, with its arena.
#[cfg(feature = "float")]
pub struct Network<'a> {
    model: Model<'a>,
    arena: &'a mut [u8],
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
        Ok(Self { model: *model, arena: place(model, arena)?, image_len: input.elements() })
    }

    /// Looks at a picture of [`Network::image_len`] 8-bit pixels, `[height, width, channels]` row-major.
    ///
    /// # Errors
    /// [`InputError`] if the length differs.
    pub fn run(&mut self, image: &[u8]) -> Result<Seen<'_>, InputError> {
        check_length(self.image_len, image.len())?;
        let inputs = Inputs { class: 0, guidance: 0, noise: Noise::Seed(0), image };
        run(&self.model, self.arena, &inputs, &mut |_| {});
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

/// Cuts the arena to the length that the model needs, from the first aligned byte on.
fn place<'a>(model: &Model, arena: &'a mut [u8]) -> Result<&'a mut [u8], StartError> {
    let skip = arena.as_ptr().align_offset(ARENA_ALIGN);
    let (needed, given) = (skip.saturating_add(model.arena_len()), arena.len());
    arena.get_mut(skip..needed).ok_or(StartError::ArenaTooSmall { needed, given })
}

#[cfg(feature = "float")]
fn check_length(expected: usize, given: usize) -> Result<(), InputError> {
    if expected == given { Ok(()) } else { Err(InputError { expected, given }) }
}

/// Why a model cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The arena is too short.
    ArenaTooSmall {
        /// Bytes needed from the start of the memory given.
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// A [`Sampler`] needs a model that makes pictures.
    NotAGenerator,
    /// A `Network` needs a model that takes pictures.
    NotANetwork,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::ArenaTooSmall { needed, given } => {
                write!(f, "the arena has {given} bytes, the model needs {needed}; see `Model::arena_len`")
            }
            Self::NotAGenerator => f.write_str("the model makes no pictures; give a generator"),
            Self::NotANetwork => f.write_str("the model takes no pictures; give a classifier"),
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
