//! A picture in pieces, for applications that have other things to do.

use crate::execute::{Engine, Inputs, Pass, Step};
use crate::model::Model;

/// A picture in the making: each call of [`Pieces::step`] runs an operator or some rows of one, and returns to the caller, who
/// may do something else before the next. The pieces together make the bytes that the whole pass makes.
///
/// ```no_run
/// use driftlet_runtime::{Guidance, Model, Sampler, Start};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file = std::fs::read("model.drift")?;
/// # fn answer_the_radio() {}
/// let model = Model::parse(&file)?;
/// let mut arena = vec![0; model.arena_len() + 15];
/// let mut sampler = Sampler::new(&model, &mut arena)?;
/// let class = model.class(3).ok_or("no such class")?;
/// let mut pieces = sampler.start(Start::Seed(42), class, Guidance::from_q8(256), 100_000);
/// while pieces.step().is_some() {
///     answer_the_radio();
/// }
/// let pixels = sampler.picture();
/// # Ok(()) }
/// ```
///
/// # How long a piece takes
///
/// A piece has about as many multiply-accumulates as the limit says, a number written counting as 16, but no less than one row of an
/// operator's result. Operators that need all of their operand for every row (attention, norms of groups, embeddings, pooling)
/// are not cut. With `u32::MAX` every piece is a whole operator, or its part of a band.
pub struct Pieces<'s> {
    engine: Engine<'s>,
    model: &'s Model<'s>,
    arena: &'s mut [u8],
    inputs: Inputs<'s>,
    limit: u32,
    pass: Pass,
}

impl<'s> Pieces<'s> {
    pub(crate) fn new(
        engine: Engine<'s>,
        model: &'s Model<'s>,
        arena: &'s mut [u8],
        inputs: Inputs<'s>,
        limit: u32,
    ) -> Self {
        Self { engine, model, arena, inputs, limit, pass: Pass::new() }
    }

    /// Runs the next piece and says what it wrote; `None` if the picture is made. Rows of the picture are of type
    /// [`View::U8`](crate::View::U8).
    pub fn step(&mut self) -> Option<Step<'_>> {
        self.pass.step(self.engine, self.model, self.arena, &self.inputs, self.limit)
    }

    /// Changes the multiply-accumulates of the pieces to come, when there is more time, or less.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }
}
