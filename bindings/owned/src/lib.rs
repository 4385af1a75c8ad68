//! A generator that owns its file and its arena: what the bindings to other languages share. The runtime itself
//! (`driftlet_runtime`) borrows both.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use driftlet_owned::{Generator, Request};
//!
//! let mut generator = Generator::new(std::fs::read("model.drift")?)?;
//! let mut pixels = vec![0; generator.image_len()];
//! generator.generate(&Request { seed: 42, class: 3, guidance: 1.5, towards: None }, &mut pixels)?;
//! # Ok(()) }
//! ```

mod error;
#[cfg(test)]
mod tests;

pub use driftlet_runtime::Kernels;
use driftlet_runtime::{Class, Guidance, LineSampler, Model, Start};
pub use error::Error;
use self_cell::self_cell;

/// Bytes that [`LineSampler::new`] may skip to reach an address that is a multiple of 16.
const ARENA_SLACK: usize = 15;

self_cell!(
    struct Proved {
        owner: Vec<u8>,
        #[covariant]
        dependent: Model,
    }
);

/// A generator of pictures with all the memory that it needs.
pub struct Generator {
    proved: Proved,
    arena: Arena,
    kernels: Kernels,
}

/// Working memory for one picture at a time.
#[derive(Clone, Debug, Default)]
pub struct Arena(Vec<u8>);

/// Which picture to make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Names the noise that the picture starts from.
    pub seed: u64,
    /// The class by number; 0 for a model without classes.
    pub class: u32,
    /// Strength of guidance, within [`Generator::guidance_range`].
    pub guidance: f32,
    /// On the way from `seed` to another one: that seed, and how much of the way, in `0..=1`.
    pub towards: Option<(u64, f32)>,
}

impl Generator {
    /// Proves a file and keeps it, and sets the arena aside.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with the file.
    pub fn new(file: Vec<u8>) -> Result<Self, Error> {
        let proved = Proved::try_new(file, |file| Model::parse(file))?;
        let model = *proved.borrow_dependent();
        if !model.verify_weights() {
            return Err(Error::TornWeights);
        }
        if model.image_shape().is_none() {
            return Err(Error::NoPictures);
        }
        let mut arena = Arena(vec![0; model.arena_len() + ARENA_SLACK]);
        let kernels = LineSampler::new(&model, &mut arena.0)?.kernels();
        Ok(Self { proved, arena, kernels })
    }

    /// Makes a picture: 8-bit pixels, `[height, width, channels]` row-major, [`Generator::image_len`] of them.
    ///
    /// # Errors
    /// [`Error::NoSuchClass`], [`Error::Guidance`], [`Error::Position`], or [`Error::Length`] of `pixels`.
    pub fn generate(&mut self, request: &Request, pixels: &mut [u8]) -> Result<(), Error> {
        let Self { proved, arena, .. } = self;
        generate(proved.borrow_dependent(), arena, request, pixels)
    }

    /// As [`Generator::generate`] with other working memory, so that several threads can make pictures at once.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn generate_in(&self, arena: &mut Arena, request: &Request, pixels: &mut [u8]) -> Result<(), Error> {
        arena.0.resize(self.arena.0.len(), 0);
        generate(self.model(), arena, request, pixels)
    }

    /// Whether a request can be met, before any work is done.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn check(&self, request: &Request) -> Result<(), Error> {
        check(self.model(), request).map(|_| ())
    }

    /// The model, for all that it tells about itself.
    pub fn model(&self) -> &Model<'_> {
        self.proved.borrow_dependent()
    }

    /// The file.
    pub fn file(&self) -> &[u8] {
        self.proved.borrow_owner()
    }

    /// The kernels that compute.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Height, width and channels of a picture.
    pub fn image_shape(&self) -> [usize; 3] {
        self.model().image_shape().unwrap_or_default()
    }

    /// Pixels of a picture, channels counted apart.
    pub fn image_len(&self) -> usize {
        self.model().image_len()
    }

    /// Names of the classes; their numbers where the file tells none.
    #[cfg(feature = "names")]
    pub fn class_names(&self) -> Vec<String> {
        let notes: serde_json::Value = serde_json::from_slice(self.model().metadata()).unwrap_or_default();
        let name = |index: u32| notes["class_names"][index as usize].as_str().map(str::to_owned);
        (0..self.model().classes()).map(|index| name(index).unwrap_or_else(|| index.to_string())).collect()
    }

    /// Weakest and strongest guidance that the model was trained on.
    pub fn guidance_range(&self) -> (f32, f32) {
        guidance_range(self.model())
    }
}

fn generate(model: &Model, arena: &mut Arena, request: &Request, pixels: &mut [u8]) -> Result<(), Error> {
    let (expected, given) = (model.image_len(), pixels.len());
    if expected != given {
        return Err(Error::Length { expected, given });
    }
    let (start, class, guidance) = check(model, request)?;
    // Also of models that keep no whole picture.
    LineSampler::new(model, &mut arena.0)?.generate_into(start, class, guidance, pixels);
    Ok(())
}

fn check(model: &Model, request: &Request) -> Result<(Start<'static>, Class, Guidance), Error> {
    let Request { seed, class, guidance, towards } = *request;
    let (weakest, strongest) = guidance_range(model);
    if !(weakest..=strongest).contains(&guidance) {
        return Err(Error::Guidance { given: guidance, weakest, strongest });
    }
    let start = match towards {
        None => Start::Seed(seed),
        Some((_, position)) if !(0.0..=1.0).contains(&position) => return Err(Error::Position(position)),
        // The end itself has no number in 1/65536.
        Some((to, 1.0)) => Start::Seed(to),
        Some((to, position)) => Start::Between { from: seed, to, position: (position * 65536.0) as u16 },
    };
    let class = model.class(class).ok_or(Error::NoSuchClass { given: class, classes: model.classes() })?;
    Ok((start, class, Guidance::from_f32(guidance)))
}

fn guidance_range(model: &Model) -> (f32, f32) {
    let (weakest, strongest) = model.guidance_range();
    (weakest.to_f32(), strongest.to_f32())
}
