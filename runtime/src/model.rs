//! A proved model: what a `.drift` file holds, and how the rest of the crate reads it.

use core::fmt;

use crate::format::{
    ConvMode, DType, Function, Header, NONE, OpKind, OpRecord, Precision, Section, TensorRecord, ValueRecord, crc32,
};

/// A `.drift` file of which everything has been proved: every offset, shape, parameter and arena range.
///
/// It borrows the file's bytes and copies no weights.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::read("model.drift")?;
/// let model = driftlet_runtime::Model::parse(&file)?;
/// println!("{} bytes of arena, {} classes, pictures {:?}", model.arena_len(), model.classes(), model.image_shape());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct Model<'a> {
    pub(crate) file: &'a [u8],
    pub(crate) header: Header,
    pub(crate) precision: Precision,
}

/// A class that a model knows, from [`Model::class`].
///
/// ```no_run
/// # fn example(model: &driftlet_runtime::Model) {
/// for class in (0..model.classes().max(1)).filter_map(|index| model.class(index)) {
///     println!("{class:?}");
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(pub(crate) u32);

/// Strength of classifier-free guidance in steps of 1/65536; models clamp it to the range they were trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guidance(pub(crate) u32);

impl Guidance {
    /// A strength in 1/256: 256 is 1.0.
    ///
    /// ```
    /// use driftlet_runtime::Guidance;
    /// assert_eq!(Guidance::from_q8(384), Guidance::from_f32(1.5));
    /// ```
    pub const fn from_q8(q8: u16) -> Self {
        Self((q8 as u32) << 8)
    }

    /// The strength in 1/256, rounded down.
    pub const fn to_q8(self) -> u16 {
        (self.0 >> 8) as u16
    }

    /// A strength in 1/65536, up to just below 256.
    pub const fn from_q16(q16: u32) -> Self {
        Self(if q16 < 1 << 24 { q16 } else { (1 << 24) - 1 })
    }

    /// The strength in 1/65536.
    pub const fn to_q16(self) -> u32 {
        self.0
    }

    /// The nearest multiple of 1/65536; what lies outside `0..256`, and not-a-number, goes to the nearest end.
    #[cfg(feature = "float")]
    pub fn from_f32(strength: f32) -> Self {
        // The cast saturates; rounding by adding would lose bits of large numbers.
        Self((libm::rintf(strength * 65536.0) as u32).min((1 << 24) - 1))
    }

    /// The strength as a number.
    #[cfg(feature = "float")]
    pub fn to_f32(self) -> f32 {
        self.0 as f32 / 65536.0
    }
}

impl<'a> Model<'a> {
    /// Reads a file and proves it; `docs/format.md` lists what is proved. The weights' own checksum is left to
    /// [`Model::verify_weights`]: damaged weights make a wrong picture, never an unsafe one.
    ///
    /// # Errors
    /// [`ParseError`] says which field of which record is wrong. The bytes must be aligned to 4 (see
    /// [`crate::Aligned`] for files that are linked in).
    pub fn parse(file: &'a [u8]) -> Result<Self, ParseError> {
        crate::validate::model(file)
    }

    /// Whether the weights are those that were written: reads the whole file.
    ///
    /// ```no_run
    /// # fn example(model: &driftlet_runtime::Model) -> Result<(), &'static str> {
    /// if !model.verify_weights() {
    ///     return Err("the download is torn; fetch the model again");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn verify_weights(&self) -> bool {
        crc32(0, &self.file[self.header.weights.offset as usize..]) == self.header.weights_crc
    }

    /// The class with an index, `None` if the model has fewer. A model without classes has class 0 only.
    pub fn class(&self, index: u32) -> Option<Class> {
        (index < self.header.classes.max(1)).then_some(Class(index))
    }

    /// Number of classes, 0 if the model takes none.
    pub fn classes(&self) -> u32 {
        self.header.classes
    }

    /// Weakest and strongest guidance that the model knows.
    ///
    /// ```no_run
    /// # fn example(model: &driftlet_runtime::Model) {
    /// let (weakest, strongest) = model.guidance_range();
    /// println!("a slider from {} to {}", weakest.to_f32(), strongest.to_f32());
    /// # }
    /// ```
    pub fn guidance_range(&self) -> (Guidance, Guidance) {
        (Guidance::from_q8(self.header.guidance_min), Guidance::from_q8(self.header.guidance_max))
    }

    /// Arithmetic of the model.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes of arena that execution needs, exactly, from an address that is a multiple of 16.
    pub fn arena_len(&self) -> usize {
        self.header.arena_len as usize
    }

    /// Height, width and channels of the picture, `None` for a model that makes none.
    pub fn image_shape(&self) -> Option<[usize; 3]> {
        (self.header.pixels != NONE).then(|| self.value(self.header.pixels).shape.map(|d| d as usize))
    }

    /// Pixels of a picture: the product of [`Model::image_shape`], 0 for a model that makes none.
    pub fn image_len(&self) -> usize {
        self.image_shape().map_or(0, |shape| shape.iter().product())
    }

    /// Number of noise samples that the model starts from, 0 if it takes none.
    pub fn noise_len(&self) -> usize {
        self.source(OpKind::Noise).map_or(0, |v| v.elements())
    }

    /// Number of style indices that the model takes, and how many values each can have; zero if it takes none.
    pub fn styles(&self) -> (u32, u32) {
        let op = (0..self.op_count()).map(|i| self.op(i)).find(|op| op.kind == OpKind::StyleEmbedding);
        op.map_or((0, 0), |op| {
            let [_, styles, rows, _] = self.tensor(op.weight).dims;
            (styles, rows)
        })
    }

    /// Height, width and channels of the raw result: of the picture before rounding, or of a latent.
    pub fn output_shape(&self) -> [usize; 3] {
        self.value(self.header.output).shape.map(|d| d as usize)
    }

    /// JSON for people and tools, as written by the quantizer; not checked to be UTF-8.
    pub fn metadata(&self) -> &'a [u8] {
        let Section { offset, count } = self.header.metadata;
        &self.file[offset as usize..][..count as usize]
    }

    /// Bytes of all weights and tables of weights.
    pub fn weight_len(&self) -> usize {
        self.header.weights.count as usize
    }

    /// The operators that run a few rows at a time, see [`crate::bands`]; `None` for a model that makes whole maps.
    pub fn bands(&self) -> Option<Bands> {
        let Header { bands_first: first, bands_height: height, .. } = self.header;
        // Without the feature the parse refuses them, and the compiler drops what they need.
        (cfg!(feature = "bands") && height > 0).then_some(Bands { first, height })
    }

    /// Number of operators.
    pub fn op_count(&self) -> u32 {
        self.header.ops.count
    }

    /// Multiply-accumulate operations of a pass.
    pub fn macs(&self) -> u64 {
        (0..self.op_count()).map(|index| self.op_info(index).macs).sum()
    }

    /// An operator by its place in the order of execution; for listings.
    ///
    /// ```no_run
    /// # fn example(model: &driftlet_runtime::Model) {
    /// for op in (0..model.op_count()).map(|index| model.op_info(index)) {
    ///     println!("{} {:?} {} MACs", op.kind.name(), op.output.shape, op.macs);
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    /// If `index` is not below [`Model::op_count`].
    pub fn op_info(&self, index: u32) -> OpInfo {
        let op = self.op(index);
        let tensors = [op.weight, op.bias, op.rescale, op.shared].into_iter().filter(|&t| t != NONE);
        let weight_len = tensors.map(|t| self.tensor_bytes(t).len() as u64).sum();
        let output = self.value(op.output);
        OpInfo {
            kind: op.kind,
            function: op.function,
            inputs: op.inputs.map(|input| (input != NONE).then(|| self.value(input))),
            scratch_len: if op.scratch == NONE { 0 } else { self.value(op.scratch).elements() },
            in_place: op.in_place_operands().iter().any(|&i| {
                let input = op.inputs[i];
                input != NONE && self.value(input).range() == output.range()
            }),
            macs: self.op_macs(&op, &output),
            output,
            weight_len,
        }
    }

    /// Which kernels compute an operator for a sampler that has been given some: these, or the portable ones where no others
    /// are made for it.
    ///
    /// ```no_run
    /// # fn example(model: &driftlet_runtime::Model, sampler: &driftlet_runtime::Sampler) {
    /// let kernels = (0..model.op_count()).map(|index| model.op_kernels(index, sampler.kernels()));
    /// # }
    /// ```
    ///
    /// # Panics
    /// If `index` is not below [`Model::op_count`].
    pub fn op_kernels(&self, index: u32, kernels: crate::Kernels) -> crate::Kernels {
        crate::execute::kernels_of(self, index, kernels)
    }

    /// Multiply-accumulate operations of the operators that consist of them.
    pub(crate) fn op_macs(&self, op: &OpRecord, output: &ValueRecord) -> u64 {
        match op.kind {
            OpKind::Linear => u64::from(self.value(op.inputs[0]).shape[2]) * output.elements() as u64,
            OpKind::Conv2d => {
                // A transposed convolution spreads its input instead of gathering its output.
                let transposed = ConvMode::from_code(op.mode) == Some(ConvMode::Transposed);
                let map = if transposed { self.value(op.inputs[0]) } else { *output };
                let dims = self.tensor(op.weight).dims.map(u64::from);
                let taps = if self.is_integer() { dims[1] * dims[2] } else { dims[0] * dims[1] };
                let depthwise = ConvMode::from_code(op.mode) == Some(ConvMode::Depthwise);
                // Without the zeros that fill groups up.
                let depth = if depthwise { 1 } else { u64::from(self.value(op.inputs[0]).shape[2]) };
                taps * depth * u64::from(self.out_channels(op)) * u64::from(map.shape[0]) * u64::from(map.shape[1])
            }
            // Scores and weighted sums.
            OpKind::Attention => {
                let tokens = u64::from(output.shape[0]) * u64::from(output.shape[1]);
                2 * tokens * tokens * u64::from(output.shape[2])
            }
            _ => 0,
        }
    }

    /// An upper bound of the steps of one pass, up to a small constant factor: products, taps of filters, numbers read and
    /// written. It is known before anything runs. An application that runs files of strangers compares it, and
    /// [`Model::arena_len`], with what it allows; `docs/security.md` says more.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let file = std::fs::read("model.drift")?;
    /// let model = driftlet_runtime::Model::parse(&file)?;
    /// if model.work() > 1 << 32 || model.arena_len() > 64 << 20 {
    ///     return Err("the model asks for more than this app gives".into());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn work(&self) -> u64 {
        let whole = (0..self.op_count()).map(|index| self.op_work(&self.op(index)));
        whole.chain([self.bands_work()]).fold(0, u64::saturating_add)
    }

    /// What bands add: operators run, and windows move, at most once a band; the rows made are the same.
    fn bands_work(&self) -> u64 {
        let Some(bands) = self.bands() else { return 0 };
        let ops = (bands.first..self.op_count()).map(|index| self.op(index));
        let once = ops.map(|op| {
            let tensors = [op.weight, op.bias, op.rescale].into_iter().filter(|&t| t != NONE);
            let tensors = tensors.map(|t| self.weights(t)).sum::<u64>();
            tensors.saturating_add(self.value(op.output).range().len() as u64).saturating_add(64)
        });
        let count = self.value(self.header.pixels).shape[0].div_ceil(bands.height);
        once.fold(0, u64::saturating_add).saturating_mul(count.into())
    }

    fn op_work(&self, op: &OpRecord) -> u64 {
        let value = |index: u32| if index == NONE { 0 } else { self.value(index).elements() as u64 };
        let tensor = |index: u32| if index == NONE { 0 } else { self.tensor(index).elements() };
        let positions = |value: &ValueRecord| u64::from(value.shape[0]) * u64::from(value.shape[1]);
        let output = self.value(op.output);
        let products = match op.kind {
            OpKind::Linear => self.weights(op.weight) * positions(&self.value(op.inputs[0])),
            // Every tap is looked at for every output, whether or not it has an input.
            OpKind::Conv2d => self.weights(op.weight) * positions(&output),
            OpKind::Pool => (u64::from(op.count) * u64::from(op.count)).saturating_mul(output.elements() as u64),
            OpKind::Attention => {
                // Kernels fill up the last of their blocks.
                let tokens = positions(&output).next_multiple_of(8);
                (2 * tokens * tokens).saturating_mul(output.shape[2].into())
            }
            _ => 0,
        };
        let values = op.inputs.into_iter().chain([op.output, op.scratch]).map(value).sum::<u64>();
        // Those of 4 bits are expanded first.
        let weights = if op.weight == NONE { 0 } else { self.weights(op.weight) };
        let tensors = weights + [op.bias, op.rescale, op.shared].into_iter().map(tensor).sum::<u64>();
        products.saturating_add(values + tensors)
    }

    /// Whether the arithmetic is that of integers; without the feature `float` the parse admits nothing else.
    pub(crate) fn is_integer(&self) -> bool {
        !cfg!(feature = "float") || self.precision == Precision::Int8
    }

    /// Numbers of a tensor; bytes hold two weights of 4 bits each.
    fn weights(&self, index: u32) -> u64 {
        let tensor = self.tensor(index);
        tensor.elements() * if tensor.dtype == DType::U8 { 2 } else { 1 }
    }

    /// The value that a source operator writes.
    pub(crate) fn source(&self, kind: OpKind) -> Option<ValueRecord> {
        (0..self.op_count()).map(|i| self.op(i)).find(|op| op.kind == kind).map(|op| self.value(op.output))
    }

    /// Output channels of a linear layer or convolution.
    pub(crate) fn out_channels(&self, op: &OpRecord) -> u32 {
        let dims = self.tensor(op.weight).dims;
        if self.is_integer() { dims[0] } else { dims[3] }
    }

    // Records are decoded in one place: flash is small.
    #[inline(never)]
    pub(crate) fn op(&self, index: u32) -> OpRecord {
        proved(OpRecord::from_bytes(self.record(self.header.ops, index)))
    }

    #[inline(never)]
    pub(crate) fn value(&self, index: u32) -> ValueRecord {
        proved(ValueRecord::from_bytes(self.record(self.header.values, index)))
    }

    #[inline(never)]
    pub(crate) fn tensor(&self, index: u32) -> TensorRecord {
        proved(TensorRecord::from_bytes(self.record(self.header.tensors, index)))
    }

    /// The bytes of a tensor, in place.
    pub(crate) fn tensor_bytes(&self, index: u32) -> &'a [u8] {
        let t = self.tensor(index);
        &self.file[t.offset as usize..][..(t.elements() * u64::from(t.dtype.size())) as usize]
    }

    /// The numbers of a tensor, in place; an empty slice stands for [`NONE`].
    pub(crate) fn tensor_data<T: bytemuck::AnyBitPattern>(&self, index: u32) -> &'a [T] {
        if index == NONE { &[] } else { bytemuck::cast_slice(self.tensor_bytes(index)) }
    }

    fn record<const LEN: usize>(&self, section: Section, index: u32) -> &'a [u8; LEN] {
        let at = section.offset as usize + index as usize * LEN;
        proved(self.file[at..].first_chunk())
    }
}

/// Takes out what the parse has proved to be there.
fn proved<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => unreachable!("the parse proved every record"),
    }
}

/// The section of a model that runs in bands: from an operator to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Its first operator.
    pub first: u32,
    /// Rows of the picture that a band makes.
    pub height: u32,
}

/// What an operator is, for listings.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// What it does.
    pub kind: OpKind,
    /// Function applied.
    pub function: Function,
    /// What it reads: its operands in order, `None` for those that it does not take.
    pub inputs: [Option<ValueRecord>; 3],
    /// What it writes.
    pub output: ValueRecord,
    /// Bytes of working memory.
    pub scratch_len: usize,
    /// Whether the result takes the place of an operand.
    pub in_place: bool,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Bytes of weights, biases, tables and scales; tables that operators share count for each.
    pub weight_len: u64,
}

impl TensorRecord {
    /// Number of elements; dimensions were proved small enough.
    pub(crate) fn elements(&self) -> u64 {
        self.dims.iter().map(|&d| u64::from(d)).product()
    }
}

impl ValueRecord {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().map(|&d| d as usize).product()
    }

    /// The bytes that it takes in the arena.
    pub fn range(&self) -> core::ops::Range<usize> {
        let start = self.offset as usize;
        let rows = if self.window == 0 { self.shape[0] } else { self.window };
        start..start + rows as usize * self.row_len()
    }

    /// Bytes of a row.
    pub(crate) fn row_len(&self) -> usize {
        self.shape[1] as usize * self.shape[2] as usize * self.dtype.size() as usize
    }

    /// Some rows of it, the first of which lies in the arena so many rows behind its beginning.
    pub(crate) fn rows(&self, behind: u32, count: u32) -> Self {
        let offset = self.offset + behind * self.row_len() as u32;
        Self { offset, shape: [count, self.shape[1], self.shape[2]], window: 0, ..*self }
    }
}

/// Why a file is not a model. The text names the field; callers add the file's name.
///
/// ```
/// use driftlet_runtime::{Aligned, Model, ParseError};
/// let text = Aligned(*b"not a model");
/// let error = Model::parse(&text.0).err();
/// assert_eq!(error, Some(ParseError::NotDrift));
/// assert!(error.is_some_and(|error| error.to_string().contains("driftlet quantize")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The bytes do not start at a multiple of 4.
    Misaligned,
    /// The file does not start like a `.drift` file.
    NotDrift,
    /// The file ends too early or too late.
    Length {
        /// Bytes that the header announces.
        expected: u32,
        /// Bytes that there are.
        found: usize,
    },
    /// Written by a quantizer of another time.
    Version {
        /// The file's major version.
        major: u16,
    },
    /// Header and tables are not those that were written.
    Checksum,
    /// The model needs a feature that this build of the runtime leaves out.
    NotBuilt {
        /// Its name.
        feature: &'static str,
    },
    /// A field of the header is wrong.
    Header(&'static str),
    /// A weight tensor is wrong.
    Tensor {
        /// Its place in the tensor table.
        index: u32,
        /// What is wrong.
        problem: &'static str,
    },
    /// An activation is wrong.
    Value {
        /// Its place in the value table.
        index: u32,
        /// What is wrong.
        problem: &'static str,
    },
    /// An operator is wrong.
    Op {
        /// Its place in the op list.
        index: u32,
        /// What is wrong.
        problem: &'static str,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Misaligned => f.write_str(
                "the model's bytes do not start at a multiple of 4; map the file, or wrap linked bytes in `Aligned`",
            ),
            Self::NotDrift => f.write_str("not a .drift file (wrong magic); make one with `driftlet quantize`"),
            Self::Length { expected, found } => {
                write!(f, "{found} bytes long where its header says {expected}: torn or padded; copy it again")
            }
            Self::Version { major } => write!(
                f,
                "format version {major}, but this runtime reads version {}; quantize again, or take the runtime of that version",
                crate::format::VERSION_MAJOR
            ),
            Self::Checksum => f.write_str("header or tables are damaged (checksum); copy or quantize it again"),
            Self::NotBuilt { feature: "float" } => {
                f.write_str("a float model, but this runtime was built without its `float` feature; quantize to int8")
            }
            Self::NotBuilt { feature } => {
                write!(
                    f,
                    "this runtime was built without its `{feature}` feature, which the model needs; build it with the feature"
                )
            }
            Self::Header(problem) => write!(f, "header: {problem}"),
            Self::Tensor { index, problem } => write!(f, "tensor {index}: {problem}"),
            Self::Value { index, problem } => write!(f, "value {index}: {problem}"),
            Self::Op { index, problem } => write!(f, "op {index}: {problem}"),
        }
    }
}

impl core::error::Error for ParseError {}
