//! The portable kernels: the reference that every other kernel has to equal.

pub use isa::Kernels;

use crate::format::Precision;
use crate::panels::Panels;

#[cfg(feature = "float")]
pub mod float;
pub mod int8;
mod isa;
pub mod matrix;
pub mod moves;
mod vectors;

/// Bytes of working memory that attention of so many tokens and heads of this length needs.
///
/// ```
/// use driftlet_runtime::{attention_scratch_len, format::Precision};
/// // The keys of one head and a few queries, not the scores of all.
/// assert_eq!(attention_scratch_len(Precision::Int8, 272, 64), 37_632);
/// ```
pub fn attention_scratch_len(precision: Precision, tokens: usize, head: usize) -> usize {
    match precision {
        #[cfg(feature = "float")]
        Precision::F32 | Precision::F16 => float::attention_scratch_len(tokens, head).saturating_mul(4),
        _ => int8::attention_scratch_len(tokens, head),
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
    /// Columns of padding on either side. In float models an axis along which the kernel has a single tap has none.
    pub padding: usize,
    /// Rows of padding above, where the map is whole; less where rows above are there, or have been left out: a part of a
    /// map begins wherever this says. There is padding behind the last row, too, as far as taps reach.
    pub top: isize,
    /// Every input pixel stands for a square of this many; the upsampled map never exists in memory. 1 or 2.
    pub upsample: usize,
    /// Output channel `c` reads input channel `c` alone.
    pub depthwise: bool,
    /// The stride spreads the input instead of skipping over it: input `i` reaches outputs from `i * stride - padding` on,
    /// one for each tap.
    pub transposed: bool,
}

impl Geometry {
    /// Input row that tap `k` of output row `o` reads, `None` in the padding or, transposed, between rows.
    pub fn input_row(&self, o: usize, k: usize) -> Option<usize> {
        self.source(o, k, self.in_height, self.top)
    }

    /// Input column that tap `k` of output column `o` reads, `None` in the padding or, transposed, between columns.
    pub fn input_column(&self, o: usize, k: usize) -> Option<usize> {
        self.source(o, k, self.in_width, padding_along(self.kernel_width, self.padding) as isize)
    }

    /// Input channels that a filter reads.
    #[cfg(any(test, feature = "float"))]
    pub fn filter_depth(&self) -> usize {
        if self.depthwise { 1 } else { self.in_channels }
    }

    /// Order of the weights of a filter that is not depthwise, with groups of so many terms.
    pub fn panels(&self, group: usize) -> Panels {
        let terms = self.kernel_height * self.kernel_width * self.in_channels.next_multiple_of(group);
        Panels { outputs: self.out_channels, terms, group }
    }

    fn source(&self, o: usize, k: usize, len: usize, padding: isize) -> Option<usize> {
        if self.transposed {
            return self.transposed_source(o, k, len, padding);
        }
        // What lies before the first becomes large, and is too far behind the last.
        let at = (o * self.stride + k).wrapping_add_signed(-padding);
        // Upsampling is 1 or 2; a shift spares microcontrollers the division.
        let at = at >> (self.upsample - 1);
        (at < len).then_some(at)
    }

    /// Apart, so that other convolutions stay small.
    #[inline(never)]
    fn transposed_source(&self, o: usize, k: usize, len: usize, padding: isize) -> Option<usize> {
        let spread = usize::try_from((o as isize + padding) - k as isize).ok()?;
        let at = spread / self.stride;
        (at * self.stride == spread && at < len).then_some(at)
    }
}

/// Padding along an axis with so many taps. Integer models have square padding: firmware compiles no such test.
pub fn padding_along(taps: usize, padding: usize) -> usize {
    if cfg!(feature = "float") && taps == 1 { 0 } else { padding }
}
