//! The bytes of a `.drift` file: header and table records, each with its reader and its writer side by side.
//!
//! `docs/format.md` describes the layout for people. Everything is little-endian. Nothing here is trusted: these are raw
//! views; [`crate::Model::parse`] turns them into a model whose every field is proved.

/// First eight bytes. The high bit and the line ends reveal a transfer that mangled the file.
pub const MAGIC: [u8; 8] = *b"\x89DRIFT\r\n";
/// Files of a newer major version are refused; a newer minor version only adds what old readers may ignore.
pub const VERSION_MAJOR: u16 = 1;
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
    /// A row between two rows of a table, chosen by the guidance strength, added to the input.
    GuidanceEmbedding = 3,
    /// Matrix product with every row of the input, bias, optional residual, activation.
    Linear = 4,
    /// 2-D convolution of an optionally nearest-upsampled map, bias, optional residual, activation.
    Conv2d = 5,
    /// Mean over all positions.
    GlobalAvgPool = 6,
    /// Output activation and rounding to 8-bit pixels.
    Pixels = 7,
}

impl OpKind {
    /// The operator's name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            OpKind::Noise => "noise",
            OpKind::Input => "input",
            OpKind::ClassEmbedding => "class embedding",
            OpKind::GuidanceEmbedding => "guidance embedding",
            OpKind::Linear => "linear",
            OpKind::Conv2d => "conv2d",
            OpKind::GlobalAvgPool => "global avg pool",
            OpKind::Pixels => "pixels",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => OpKind::Noise,
            1 => OpKind::Input,
            2 => OpKind::ClassEmbedding,
            3 => OpKind::GuidanceEmbedding,
            4 => OpKind::Linear,
            5 => OpKind::Conv2d,
            6 => OpKind::GlobalAvgPool,
            7 => OpKind::Pixels,
            _ => return None,
        })
    }
}

/// Function applied to an operator's result before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Activation {
    /// The result itself.
    None = 0,
    /// `max(x, 0)`.
    Relu = 1,
    /// `tanh(x)`; for [`OpKind::Pixels`] only.
    Tanh = 2,
}

impl Activation {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Activation::None,
            1 => Activation::Relu,
            2 => Activation::Tanh,
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
        b
    }

    /// Whether the bytes that no field owns are zero, as this version demands.
    pub fn reserved_is_zero(b: &[u8; HEADER_LEN]) -> bool {
        b[25..28].iter().chain(&b[92..]).all(|&v| v == 0)
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
    /// Last operator that reads it; the number of operators for results.
    pub last: u32,
}

impl ValueRecord {
    /// Bytes of a record.
    pub const LEN: usize = 36;

    /// Real value of one integer step; 1 for floats. For tools; integer execution does not read it.
    pub fn scale(&self) -> f32 {
        f32::from_bits(self.scale_bits)
    }

    /// Reads a record; `None` for an unknown type or a reserved byte that is not zero.
    pub fn from_bytes(b: &[u8; Self::LEN]) -> Option<Self> {
        if b[32..] != [0; 4] {
            return None;
        }
        Some(Self {
            dtype: DType::from_code(b[0])?,
            bits: b[1],
            zero_point: u16_at(b, 2) as i16,
            shape: [u32_at(b, 4), u32_at(b, 8), u32_at(b, 12)],
            offset: u32_at(b, 16),
            scale_bits: u32_at(b, 20),
            first: u32_at(b, 24),
            last: u32_at(b, 28),
        })
    }

    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        (b[0], b[1]) = (self.dtype as u8, self.bits);
        b[2..4].copy_from_slice(&self.zero_point.to_le_bytes());
        let [h, w, c] = self.shape;
        for (i, v) in [h, w, c, self.offset, self.scale_bits, self.first, self.last].iter().enumerate() {
            b[4 + 4 * i..8 + 4 * i].copy_from_slice(&v.to_le_bytes());
        }
        b
    }
}

/// An operator: what it reads, what it writes, with which weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpRecord {
    /// What it does.
    pub kind: OpKind,
    /// Applied before storing.
    pub activation: Activation,
    /// Stride of a convolution, else 1.
    pub stride: u8,
    /// Nearest upsampling of a convolution's input: 1 or 2, else 1.
    pub upsample: u8,
    /// Zero padding on each side of a convolution, else 0.
    pub padding: u8,
    /// Value read, [`NONE`] for sources.
    pub input: u32,
    /// Value added before the activation, or [`NONE`].
    pub residual: u32,
    /// Value written.
    pub output: u32,
    /// Weights or table.
    pub weight: u32,
    /// Bias per output channel, or [`NONE`].
    pub bias: u32,
    /// Fixed-point scales of integer operators, or [`NONE`].
    pub rescale: u32,
}

impl OpRecord {
    /// Bytes of a record.
    pub const LEN: usize = 32;

    /// Reads a record; `None` for an unknown kind or activation or a reserved byte that is not zero.
    pub fn from_bytes(b: &[u8; Self::LEN]) -> Option<Self> {
        if b[5..8] != [0; 3] {
            return None;
        }
        Some(Self {
            kind: OpKind::from_code(b[0])?,
            activation: Activation::from_code(b[1])?,
            stride: b[2],
            upsample: b[3],
            padding: b[4],
            input: u32_at(b, 8),
            residual: u32_at(b, 12),
            output: u32_at(b, 16),
            weight: u32_at(b, 20),
            bias: u32_at(b, 24),
            rescale: u32_at(b, 28),
        })
    }

    /// Writes the record.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut b = [0; Self::LEN];
        b[..5].copy_from_slice(&[self.kind as u8, self.activation as u8, self.stride, self.upsample, self.padding]);
        let fields = [self.input, self.residual, self.output, self.weight, self.bias, self.rescale];
        for (i, v) in fields.iter().enumerate() {
            b[8 + 4 * i..12 + 4 * i].copy_from_slice(&v.to_le_bytes());
        }
        b
    }
}

/// CRC-32 (IEEE 802.3, as in zip and PNG) of `bytes`, continued from `crc`; start with 0.
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
            activation: Activation::Relu,
            stride: 2,
            upsample: 1,
            padding: 1,
            input: 1,
            residual: NONE,
            output: 2,
            weight: 3,
            bias: 4,
            rescale: 5,
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
        };
        assert_eq!(Header::from_bytes(&header.to_bytes()), header);
        assert!(Header::reserved_is_zero(&header.to_bytes()));
    }
}
