//! The bytes of a `.drift` file: header and table records, each with its reader and its writer side by side.
//!
//! `docs/format.md` describes the layout for people. Everything is little-endian. Nothing here is trusted: these are raw
//! views; [`crate::Model::parse`] turns them into a model whose every field is proved.
//!
//! ```
//! use driftlet_runtime::format::{OpKind, OpRecord};
//!
//! let op = OpRecord { inputs: [0, 1, u32::MAX], output: 2, ..OpRecord::new(OpKind::Add) };
//! assert_eq!(OpRecord::from_bytes(&op.to_bytes()), Some(op));
//! ```

/// First eight bytes. The high bit and the line ends reveal a transfer that mangled the file.
pub const MAGIC: [u8; 8] = *b"\x89DRIFT\r\n";
/// Files of a newer major version are refused; a newer minor version only adds what old readers may ignore.
pub const VERSION_MAJOR: u16 = 5;
/// See [`VERSION_MAJOR`].
pub const VERSION_MINOR: u16 = 0;
/// Bytes of the header.
pub const HEADER_LEN: usize = 128;
/// Alignment of every weight tensor, counted from the start of the file, and of every arena offset.
pub const ALIGN: u32 = 64;
/// "No such value" or "no such tensor" in an index field.
pub const NONE: u32 = u32::MAX;
/// Tables are small; the bound keeps the work of a parse small too.
pub const MAX_RECORDS: u32 = 4096;

/// Element type of a tensor or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DType {
    /// IEEE 754 single precision.
    F32 = 0,
    /// IEEE 754 half precision, finite numbers only.
    F16 = 1,
    /// Signed 8-bit integer.
    I8 = 2,
    /// Signed 16-bit integer.
    I16 = 3,
    /// Signed 32-bit integer.
    I32 = 4,
    /// Unsigned 8-bit integer: pixels.
    U8 = 5,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> u32 {
        match self {
            DType::I8 | DType::U8 => 1,
            DType::F16 | DType::I16 => 2,
            DType::F32 | DType::I32 => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => DType::F32,
            1 => DType::F16,
            2 => DType::I8,
            3 => DType::I16,
            4 => DType::I32,
            5 => DType::U8,
            _ => return None,
        })
    }
}

/// Arithmetic of a whole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Precision {
    /// Weights and activations in single precision: the reference.
    F32 = 0,
    /// Half-precision weights, single-precision activations.
    F16 = 1,
    /// Integers only, from noise to pixels.
    Int8 = 2,
}

impl Precision {
    /// The name used on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
            Precision::Int8 => "int8",
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Precision::F32,
            1 => Precision::F16,
            2 => Precision::Int8,
            _ => return None,
        })
    }
}

/// What an operator does. `docs/arithmetic.md` states the arithmetic of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OpKind {
    /// Standard Gaussian noise of the seed, see [`crate::noise`].
    Noise = 0,
    /// The caller's 8-bit pixels, as `x = p / 127.5 - 1`.
    Input = 1,
    /// A row of a table, chosen by the class.
    ClassEmbedding = 2,
    /// The input plus one row of each of several tables, chosen by the seed's style indices.
    StyleEmbedding = 3,
    /// The input plus a row between two rows of a table, chosen by the guidance strength.
    GuidanceEmbedding = 4,
    /// Matrix product with every position of the input, bias, optional residual, relu.
    Linear = 5,
    /// 2-D convolution of an optionally nearest-upsampled map, bias, optional residual, relu; see [`ConvMode`].
    Conv2d = 6,
    /// Mean over all positions.
    GlobalAvgPool = 7,
    /// Normalization to mean square 1, then gain and shift per channel; see [`NormMode`].
    Norm = 8,
    /// A function of every number.
    Lookup = 9,
    /// A function of the first input times the second (SwiGLU).
    Mul = 10,
    /// The second input plus the first times a factor per channel (adaLN-zero).
    Gate = 11,
    /// Sum of two values, or of a value and a constant; one position is added to all.
    Add = 12,
    /// Multi-head attention of queries, keys and values, optionally with QK-norm and rotary embedding.
    Attention = 13,
    /// Two values one after the other; see [`ConcatMode`].
    Concat = 14,
    /// Some positions, from [`OpRecord::count`] on.
    Slice = 15,
    /// Map of twice the size, or in float models of any size; see [`ResizeMode`].
    Resize = 16,
    /// Squares of [`OpRecord::count`] positions become channels.
    SpaceToDepth = 17,
    /// The inverse of [`OpKind::SpaceToDepth`].
    DepthToSpace = 18,
    /// Output function and rounding to 8-bit pixels.
    Pixels = 19,
    /// Largest or mean number of every window; see [`PoolMode`]. Float models only.
    Pool = 20,
}

impl OpKind {
    /// The name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            OpKind::Noise => "noise",
            OpKind::Input => "input",
            OpKind::ClassEmbedding => "class embedding",
            OpKind::StyleEmbedding => "style embedding",
            OpKind::GuidanceEmbedding => "guidance embedding",
            OpKind::Linear => "linear",
            OpKind::Conv2d => "conv2d",
            OpKind::GlobalAvgPool => "global avg pool",
            OpKind::Norm => "norm",
            OpKind::Lookup => "activation",
            OpKind::Mul => "gated product",
            OpKind::Gate => "gate",
            OpKind::Add => "add",
            OpKind::Attention => "attention",
            OpKind::Concat => "concat",
            OpKind::Slice => "slice",
            OpKind::Resize => "resize",
            OpKind::SpaceToDepth => "patchify",
            OpKind::DepthToSpace => "unpatchify",
            OpKind::Pixels => "pixels",
            OpKind::Pool => "pool",
        }
    }

    /// Whether integer models that have it need the runtime's feature `transformer`.
    pub const fn needs_transformer(self) -> bool {
        !matches!(
            self,
            OpKind::Noise
                | OpKind::ClassEmbedding
                | OpKind::GuidanceEmbedding
                | OpKind::Linear
                | OpKind::Conv2d
                | OpKind::Pixels
        )
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => OpKind::Noise,
            1 => OpKind::Input,
            2 => OpKind::ClassEmbedding,
            3 => OpKind::StyleEmbedding,
            4 => OpKind::GuidanceEmbedding,
            5 => OpKind::Linear,
            6 => OpKind::Conv2d,
            7 => OpKind::GlobalAvgPool,
            8 => OpKind::Norm,
            9 => OpKind::Lookup,
            10 => OpKind::Mul,
            11 => OpKind::Gate,
            12 => OpKind::Add,
            13 => OpKind::Attention,
            14 => OpKind::Concat,
            15 => OpKind::Slice,
            16 => OpKind::Resize,
            17 => OpKind::SpaceToDepth,
            18 => OpKind::DepthToSpace,
            19 => OpKind::Pixels,
            20 => OpKind::Pool,
            _ => return None,
        })
    }
}

/// Function applied to an operator's result, or by [`OpKind::Lookup`], [`OpKind::Mul`] and [`OpKind::Pixels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Function {
    /// The number itself.
    Identity = 0,
    /// `max(x, 0)`.
    Relu = 1,
    /// `tanh(x)`.
    Tanh = 2,
    /// `x / (1 + exp(-x))`.
    Silu = 3,
    /// `x / 2 (1 + erf(x / sqrt 2))`.
    Gelu = 4,
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh = 5,
    /// `1 / (1 + exp(-x))`.
    Sigmoid = 6,
}

impl Function {
    /// The name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Function::Identity => "identity",
            Function::Relu => "relu",
            Function::Tanh => "tanh",
            Function::Silu => "silu",
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu (tanh)",
            Function::Sigmoid => "sigmoid",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Function::Identity,
            1 => Function::Relu,
            2 => Function::Tanh,
            3 => Function::Silu,
            4 => Function::Gelu,
            5 => Function::GeluTanh,
            6 => Function::Sigmoid,
            _ => return None,
        })
    }
}

/// [`OpRecord::mode`] of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConvMode {
    /// Every output channel reads every input channel.
    Dense = 0,
    /// Every channel is filtered by itself.
    Depthwise = 1,
    /// Every input position is spread over the kernel; strides enlarge the map.
    Transposed = 2,
}

impl ConvMode {
    /// The mode with a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => ConvMode::Dense,
            1 => ConvMode::Depthwise,
            2 => ConvMode::Transposed,
            _ => return None,
        })
    }
}

/// [`OpRecord::mode`] of a normalization: which numbers share their statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NormMode {
    /// The channels of a position; the mean stays.
    Rms = 0,
    /// The channels of a position.
    Layer = 1,
    /// [`OpRecord::count`] groups of channels, over all positions.
    Group = 2,
}

impl NormMode {
    /// The mode with a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => NormMode::Rms,
            1 => NormMode::Layer,
            2 => NormMode::Group,
            _ => return None,
        })
    }
}

/// [`OpRecord::mode`] of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConcatMode {
    /// The positions of the second follow those of the first.
    Positions = 0,
    /// At every position, the channels of the second follow those of the first.
    Channels = 1,
}

impl ConcatMode {
    /// The mode with a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => ConcatMode::Positions,
            1 => ConcatMode::Channels,
            _ => return None,
        })
    }
}

/// [`OpRecord::mode`] of a resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ResizeMode {
    /// Every position four times.
    Nearest = 0,
    /// Weights 9, 3, 3, 1 over 16, half-pixel centres, edges repeated.
    Bilinear = 1,
    /// Linear between the two nearest rows and columns, half-pixel centres, edges repeated, to any size. Float models only.
    Stretch = 2,
}

impl ResizeMode {
    /// The mode with a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => ResizeMode::Nearest,
            1 => ResizeMode::Bilinear,
            2 => ResizeMode::Stretch,
            _ => return None,
        })
    }
}

/// [`OpRecord::mode`] of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PoolMode {
    /// The largest number.
    Max = 0,
    /// The mean of the numbers; positions outside the map do not count.
    Average = 1,
}

impl PoolMode {
    /// The mode with a code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => PoolMode::Max,
            1 => PoolMode::Average,
            _ => return None,
        })
    }
}

/// A part of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// First byte, from the start of the file.
    pub offset: u32,
    /// Records in a table, bytes in metadata and weights.
    pub count: u32,
}

/// The first [`HEADER_LEN`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version, see [`VERSION_MAJOR`].
    pub major: u16,
    /// Minor version.
    pub minor: u16,
    /// Length of the file in bytes.
    pub file_len: u32,
    /// CRC-32 of the header from byte 24 on and of everything up to the weights.
    pub tables_crc: u32,
    /// CRC-32 of the weight section.
    pub weights_crc: u32,
    /// Code of a [`Precision`].
    pub precision: u8,
    /// Bytes that the caller's arena needs.
    pub arena_len: u32,
    /// JSON for people and tools; the runtime does not read it.
    pub metadata: Section,
    /// [`TensorRecord`]s.
    pub tensors: Section,
    /// [`ValueRecord`]s.
    pub values: Section,
    /// [`OpRecord`]s in order of execution.
    pub ops: Section,
    /// Bytes of all weight tensors.
    pub weights: Section,
    /// Number of classes; 0 where the model takes none.
    pub classes: u32,
    /// Smallest guidance strength, in 1/256.
    pub guidance_min: u16,
    /// Largest guidance strength, in 1/256.
    pub guidance_max: u16,
    /// Value that holds the raw result: an image in `[-1, 1]` before rounding (or before `tanh`), or logits.
    pub output: u32,
    /// Value that holds the 8-bit pixels; [`NONE`] where the model makes no picture.
    pub pixels: u32,
    /// Value that holds a feature vector; [`NONE`] where there is none.
    pub features: u32,
    /// First operator of the section that runs in bands, see [`crate::bands`]; it goes on to the last. 0 where there is none.
    pub bands_first: u32,
    /// Rows of the picture that a band makes; 0 where no section runs in bands.
    pub bands_height: u32,
}

impl Header {
    /// Reads the fields; checks nothing.
    pub fn from_bytes(b: &[u8; HEADER_LEN]) -> Self {
        let section = |at| Section { offset: u32_at(b, at), count: u32_at(b, at + 4) };
        Self {
            major: u16_at(b, 8),
            minor: u16_at(b, 10),
            file_len: u32_at(b, 12),
            tables_crc: u32_at(b, 16),
            weights_crc: u32_at(b, 20),
            precision: b[24],
            arena_len: u32_at(b, 28),
            metadata: section(32),
            tensors: section(40),
            values: section(48),
            ops: section(56),
            weights: section(64),
            classes: u32_at(b, 72),
            guidance_min: u16_at(b, 76),
            guidance_max: u16_at(b, 78),
            output: u32_at(b, 80),
            pixels: u32_at(b, 84),
            features: u32_at(b, 88),
            bands_first: u32_at(b, 92),
            bands_height: u32_at(b, 96),
        }
    }

    /// Writes the fields; bytes that no field owns are zero.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut b = [0; HEADER_LEN];
        b[..8].copy_from_slice(&MAGIC);
        b[8..10].copy_from_slice(&self.major.to_le_bytes());
        b[10..12].copy_from_slice(&self.minor.to_le_bytes());
        b[24] = self.precision;
        let mut put = |at: usize, v: u32| b[at..at + 4].copy_from_slice(&v.to_le_bytes());
        put(12, self.file_len);
        put(16, self.tables_crc);
        put(20, self.weights_crc);
        put(28, self.arena_len);
        for (i, s) in [self.metadata, self.tensors, self.values, self.ops, self.weights].iter().enumerate() {
            put(32 + 8 * i, s.offset);
            put(36 + 8 * i, s.count);
        }
        put(72, self.classes);
        put(76, u32::from(self.guidance_min) | u32::from(self.guidance_max) << 16);
        put(80, self.output);
        put(84, self.pixels);
        put(88, self.features);
        put(92, self.bands_first);
        put(96, self.bands_height);
        b
    }

    /// Whether the bytes that no field owns are zero, as this version demands.
    pub fn reserved_is_zero(b: &[u8; HEADER_LEN]) -> bool {
        b[25..28].iter().chain(&b[100..]).all(|&v| v == 0)
    }
}

/// A weight tensor, row-major, last dimension fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorRecord {
    /// Element type.
    pub dtype: DType,
    /// Dimensions; unused ones at the front are 1.
    pub dims: [u32; 4],
    /// First byte, from the start of the file, a multiple of [`ALIGN`].
    pub offset: u32,
}

impl TensorRecord {
    /// Bytes of a record.
    pub const LEN: usize = 32;

    /// Reads a record; `None` for an unknown type or a reserved byte that is not zero.
    pub fn from_bytes(b: &[u8; Self::LEN]) -> Option<Self> {
        if b[1..4].iter().chain(&b[24..]).any(|&v| v != 0) {
            return None;
        }
        let dims = [u32_at(b, 4), u32_at(b, 8), u32_at(b, 12), u32_at(b, 16)];
        Some(Self { dtype: DType::from_code(b[0])?, dims, offset: u32_at(b, 20) })
    }

    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        b[0] = self.dtype as u8;
        for (i, d) in self.dims.iter().chain([&self.offset]).enumerate() {
            b[4 + 4 * i..8 + 4 * i].copy_from_slice(&d.to_le_bytes());
        }
        b
    }
}

/// An activation: its type, shape, place in the arena and life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRecord {
    /// Element type.
    pub dtype: DType,
    /// Bits that its numbers have: at most those of the type, fewer where long sums of products have to fit.
    pub bits: u8,
    /// Integer that stands for zero.
    pub zero_point: i16,
    /// Height, width, channels. A vector is `[1, 1, n]`.
    pub shape: [u32; 3],
    /// First byte in the arena, a multiple of [`ALIGN`].
    pub offset: u32,
    /// Bits of [`ValueRecord::scale`]: kept as an integer, so that reading a record takes no float register.
    pub scale_bits: u32,
    /// Operator that writes it.
    pub first: u32,
    /// Last operator that reads it; the number of operators for results, and where bands read or keep it to the end.
    pub last: u32,
    /// Rows that the arena holds at a time, of a value that is made in bands; 0 for all.
    pub window: u32,
}

impl ValueRecord {
    /// Bytes of a record.
    pub const LEN: usize = 36;

    /// Real value of one integer step; 1 for floats. For tools; integer execution does not read it.
    pub fn scale(&self) -> f32 {
        f32::from_bits(self.scale_bits)
    }

    /// Reads a record; `None` for an unknown type.
    pub fn from_bytes(b: &[u8; Self::LEN]) -> Option<Self> {
        Some(Self {
            dtype: DType::from_code(b[0])?,
            bits: b[1],
            zero_point: u16_at(b, 2) as i16,
            shape: [u32_at(b, 4), u32_at(b, 8), u32_at(b, 12)],
            offset: u32_at(b, 16),
            scale_bits: u32_at(b, 20),
            first: u32_at(b, 24),
            last: u32_at(b, 28),
            window: u32_at(b, 32),
        })
    }

    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        (b[0], b[1]) = (self.dtype as u8, self.bits);
        b[2..4].copy_from_slice(&self.zero_point.to_le_bytes());
        let [h, w, c] = self.shape;
        for (i, v) in [h, w, c, self.offset, self.scale_bits, self.first, self.last, self.window].iter().enumerate() {
            b[4 + 4 * i..8 + 4 * i].copy_from_slice(&v.to_le_bytes());
        }
        b
    }
}

/// An operator: what it reads, what it writes, with which weights. `docs/format.md` says which kind uses which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpRecord {
    /// What it does.
    pub kind: OpKind,
    /// Applied before storing.
    pub function: Function,
    /// Variant of the kind: a [`ConvMode`], [`NormMode`], [`ConcatMode`], [`ResizeMode`] or [`PoolMode`], else 0.
    pub mode: u8,
    /// Stride of a convolution or a pool, else 1.
    pub stride: u8,
    /// Nearest upsampling of a convolution's input: 1 or 2, else 1.
    pub upsample: u8,
    /// Padding on each side of a convolution or a pool, else 0. In float models an axis along which the kernel has a single
    /// tap has none.
    pub padding: u8,
    /// Values read, in the order of the kind's operands; [`NONE`] for those that it does not take.
    pub inputs: [u32; 3],
    /// Value written.
    pub output: u32,
    /// Value used as working memory, or [`NONE`].
    pub scratch: u32,
    /// Weights or table.
    pub weight: u32,
    /// Bias per output channel, or [`NONE`].
    pub bias: u32,
    /// Fixed-point scales of integer operators, or [`NONE`].
    pub rescale: u32,
    /// A table that several operators may share, or [`NONE`].
    pub shared: u32,
    /// Groups, heads, size of a patch or window, or first position, else 0.
    pub count: u32,
}

impl OpRecord {
    /// Bytes of a record.
    pub const LEN: usize = 48;

    /// An operator of a kind without operands, weights or parameters.
    pub const fn new(kind: OpKind) -> Self {
        Self {
            kind,
            function: Function::Identity,
            mode: 0,
            stride: 1,
            upsample: 1,
            padding: 0,
            inputs: [NONE; 3],
            output: NONE,
            scratch: NONE,
            weight: NONE,
            bias: NONE,
            rescale: NONE,
            shared: NONE,
            count: 0,
        }
    }

    /// Reads a record; `None` for an unknown kind or function or a reserved byte that is not zero.
    pub fn from_bytes(b: &[u8; Self::LEN]) -> Option<Self> {
        if b[6..8] != [0; 2] {
            return None;
        }
        let word = |i: usize| u32_at(b, 8 + 4 * i);
        Some(Self {
            kind: OpKind::from_code(b[0])?,
            function: Function::from_code(b[1])?,
            mode: b[2],
            stride: b[3],
            upsample: b[4],
            padding: b[5],
            inputs: [word(0), word(1), word(2)],
            output: word(3),
            scratch: word(4),
            weight: word(5),
            bias: word(6),
            rescale: word(7),
            shared: word(8),
            count: word(9),
        })
    }

    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        let bytes = [self.kind as u8, self.function as u8, self.mode, self.stride, self.upsample, self.padding];
        b[..6].copy_from_slice(&bytes);
        let [x, y, z] = self.inputs;
        let words = [x, y, z, self.output, self.scratch, self.weight, self.bias, self.rescale, self.shared, self.count];
        for (i, v) in words.iter().enumerate() {
            b[8 + 4 * i..12 + 4 * i].copy_from_slice(&v.to_le_bytes());
        }
        b
    }

    /// The operands whose place in the arena the result may take, where they die here: the kernel reads each of their
    /// numbers before it writes that number's place, and never after.
    pub const fn in_place_operands(&self) -> &'static [usize] {
        match self.kind {
            OpKind::Lookup | OpKind::Norm | OpKind::Attention => &[0],
            OpKind::Mul | OpKind::Gate | OpKind::Add => &[0, 1],
            // The residual is read where the sum is stored.
            OpKind::Linear | OpKind::Conv2d => &[1],
            _ => &[],
        }
    }
}

/// CRC-32 (IEEE 802.3, as in zip and PNG) of `bytes`, continued from `crc`; start with 0.
///
/// ```
/// use driftlet_runtime::format::crc32;
/// assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
/// assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xcbf4_3926);
/// ```
pub fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    // A table of 16 words instead of 256: small in flash, and only tables are checked on every start.
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut i = 0;
        while i < 16 {
            let mut v = i as u32;
            let mut bit = 0;
            while bit < 4 {
                v = if v & 1 == 1 { v >> 1 ^ 0xEDB8_8320 } else { v >> 1 };
                bit += 1;
            }
            table[i] = v;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!crc, |crc, &byte| {
        let crc = crc ^ u32::from(byte);
        let crc = crc >> 4 ^ TABLE[(crc & 15) as usize];
        crc >> 4 ^ TABLE[(crc & 15) as usize]
    })
}

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([b[at], b[at + 1]])
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_known_answer() {
        assert_eq!(crc32(0, b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xCBF4_3926);
    }

    #[test]
    fn records_round_trip() {
        let op = OpRecord {
            kind: OpKind::Conv2d,
            function: Function::Relu,
            mode: ConvMode::Transposed as u8,
            stride: 2,
            upsample: 1,
            padding: 3,
            inputs: [4, 5, NONE],
            output: 6,
            scratch: 7,
            weight: 8,
            bias: 9,
            rescale: 10,
            shared: 11,
            count: 12,
        };
        assert_eq!(OpRecord::from_bytes(&op.to_bytes()), Some(op));
        let value = ValueRecord {
            dtype: DType::I8,
            bits: 8,
            zero_point: -128,
            shape: [7, 6, 5],
            offset: 64,
            scale_bits: 0.5f32.to_bits(),
            first: 1,
            last: 9,
            window: 3,
        };
        assert_eq!(ValueRecord::from_bytes(&value.to_bytes()), Some(value));
        let tensor = TensorRecord { dtype: DType::F16, dims: [1, 2, 3, 4], offset: 128 };
        assert_eq!(TensorRecord::from_bytes(&tensor.to_bytes()), Some(tensor));
        let section = |n| Section { offset: n, count: n + 1 };
        let header = Header {
            major: 1,
            minor: 2,
            file_len: 3,
            tables_crc: 4,
            weights_crc: 5,
            precision: 2,
            arena_len: 6,
            metadata: section(7),
            tensors: section(9),
            values: section(11),
            ops: section(13),
            weights: section(15),
            classes: 17,
            guidance_min: 18,
            guidance_max: 19,
            output: 20,
            pixels: 21,
            features: 22,
            bands_first: 23,
            bands_height: 24,
        };
        assert_eq!(Header::from_bytes(&header.to_bytes()), header);
        assert!(Header::reserved_is_zero(&header.to_bytes()));
    }
}
