//! The portable kernels: the reference that every other kernel has to equal.

use crate::format::Precision;

#[cfg(feature = "float")]
pub mod float;
pub mod int8;
pub mod moves;

/// Bytes of working memory that attention of so many tokens and heads of this length needs.
pub fn attention_scratch_len(precision: Precision, tokens: usize, head: usize) -> usize {
    match precision {
        #[cfg(feature = "float")]
        Precision::F32 | Precision::F16 => 4 * float::attention_scratch_len(tokens, head),
        _ => 0,
    }
}

/// Shape of a convolution; a linear layer is one with a 1 x 1 kernel over a single line of rows.
///
/// Maps are `[height, width, channels]`, row-major.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub in_height: usize,
    pub in_width: usize,
    pub in_channels: usize,
    pub out_height: usize,
    pub out_width: usize,
    pub out_channels: usize,
    pub kernel_height: usize,
    pub kernel_width: usize,
    pub stride: usize,
    pub padding: usize,
    /// Every input pixel stands for a square of this many; the upsampled map never exists in memory.
    pub upsample: usize,
    /// Every channel has a filter of its own.
    pub depthwise: bool,
    /// Strides enlarge the map instead of reducing it.
    pub transposed: bool,
}

impl Geometry {
    /// Input row that tap `k` of output row `o` reads, `None` in the padding.
    pub fn input_row(&self, o: usize, k: usize) -> Option<usize> {
        self.source(o, k, self.in_height)
    }

    /// Input column that tap `k` of output column `o` reads, `None` in the padding.
    pub fn input_column(&self, o: usize, k: usize) -> Option<usize> {
        self.source(o, k, self.in_width)
    }

    fn source(&self, o: usize, k: usize, len: usize) -> Option<usize> {
        let at = if self.transposed {
            // Only every stride-th place has an input.
            let place = (o + self.padding).checked_sub(k)?;
            if !place.is_multiple_of(self.stride) {
                return None;
            }
            place / self.stride
        } else {
            // Upsampling is 1 or 2; a shift spares microcontrollers the division.
            (o * self.stride + k).checked_sub(self.padding)? >> (self.upsample - 1)
        };
        (at < len).then_some(at)
    }
}
