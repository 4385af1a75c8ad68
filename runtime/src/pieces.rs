//! A picture in pieces, for applications that have other things to do.

use crate::execute::{Engine, Inputs, Pass, Step, View};
use crate::format::DType;
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

    /// Puts other numbers in the place of what an operator has written, as they are stored: for tools that ask what the rest of the
    /// network makes of them. `false`, and nothing is changed, for numbers of another type or another count, and where there is no
    /// such operator. It has to be the last that ran: others may have given their memory to those behind them.
    ///
    /// ```no_run
    /// # fn example(mut pieces: driftlet_runtime::Pieces, rounded: &[f32]) {
    /// while let Some(step) = pieces.step() {
    ///     if step.index == 3 {
    ///         assert!(pieces.replace(3, driftlet_runtime::View::F32(rounded)));
    ///     }
    /// }
    /// # }
    /// ```
    pub fn replace(&mut self, index: u32, numbers: View) -> bool {
        if index >= self.model.op_count() {
            return false;
        }
        let value = self.model.value(self.model.op(index).output);
        let (dtype, bytes) = match numbers {
            View::F32(numbers) => (DType::F32, bytemuck::cast_slice(numbers)),
            View::I8(numbers) => (DType::I8, bytemuck::cast_slice(numbers)),
            View::I16(numbers) => (DType::I16, bytemuck::cast_slice(numbers)),
            View::U8(numbers) => (DType::U8, numbers),
        };
        let place = &mut self.arena[value.range()];
        let fits = dtype == value.dtype && bytes.len() == place.len();
        if fits {
            place.copy_from_slice(bytes);
        }
        fits
    }

    /// Changes the multiply-accumulates of the pieces to come, when there is more time, or less.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }
}
