//! The portable kernels: the reference that every other kernel has to equal.

#[cfg(feature = "float")]
pub mod float;
pub mod int8;

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
}

impl Geometry {
    /// Input row that tap `k` of output row `o` reads, `None` in the padding.
    pub fn input_row(&self, o: usize, k: usize) -> Option<usize> {
        Self::source(o, k, self.stride, self.padding, self.upsample, self.in_height)
    }

    /// Input column that tap `k` of output column `o` reads, `None` in the padding.
    pub fn input_column(&self, o: usize, k: usize) -> Option<usize> {
        Self::source(o, k, self.stride, self.padding, self.upsample, self.in_width)
    }

    fn source(o: usize, k: usize, stride: usize, padding: usize, upsample: usize, len: usize) -> Option<usize> {
        let at = (o * stride + k).checked_sub(padding)?;
        // Upsampling is 1 or 2; a shift spares microcontrollers the division.
        let at = at >> (upsample - 1);
        (at < len).then_some(at)
    }
}
