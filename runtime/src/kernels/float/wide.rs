//! The portable loops that take most of the time, compiled again for the wide registers of x86-64: the same operations in the
//! same order, so the same bits, several times faster. No multiplication is fused with an addition: the compiler never does
//! that by itself.
#![allow(unsafe_code)]

use super::attention::{Attention, attention_loops};
use super::conv::{Residual, Weights, conv_loops};
use super::norm::{Norm, norm_loops};
use super::weight::Weight;
use crate::kernels::Geometry;
use crate::kernels::isa::has;
use crate::panels::PANEL;

/// Wide registers that the processor has: only [`Wide::here`] makes one, and it looks first.
#[derive(Clone, Copy)]
pub struct Wide(Width);

#[derive(Clone, Copy)]
enum Width {
    Avx2,
    Avx512,
}

impl Wide {
    /// The widest.
    pub fn here() -> Option<Self> {
        let widths = [(Width::Avx512, has!("avx2", "avx512f", "avx512vl")), (Width::Avx2, has!("avx2"))];
        widths.into_iter().find_map(|(width, there)| there.then_some(Self(width)))
    }

    pub fn conv<W: Weight>(
        self,
        g: &Geometry,
        x: &[f32],
        w: &Weights<W>,
        residual: Residual,
        relu: bool,
        out: &mut [f32],
    ) {
        type Loops<W> = unsafe fn(&Geometry, &[f32], &Weights<W>, Residual, bool, &mut [f32]);
        #[target_feature(enable = "avx2")]
        fn avx2<W: Weight>(g: &Geometry, x: &[f32], w: &Weights<W>, residual: Residual, relu: bool, out: &mut [f32]) {
            conv_loops::<W, 8>(g, x, w, residual, relu, out);
        }
        #[target_feature(enable = "avx2,avx512f,avx512vl")]
        fn avx512<W: Weight>(g: &Geometry, x: &[f32], w: &Weights<W>, residual: Residual, relu: bool, out: &mut [f32]) {
            conv_loops::<W, PANEL>(g, x, w, residual, relu, out);
        }
        let loops: Loops<W> = match self.0 {
            Width::Avx2 => avx2,
            Width::Avx512 => avx512,
        };
        // SAFETY: the processor has these registers.
        unsafe { loops(g, x, w, residual, relu, out) }
    }

    pub fn attention(
        self,
        p: &Attention,
        q: Option<&[f32]>,
        k: &[f32],
        v: &[f32],
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        #[target_feature(enable = "avx2")]
        fn wide(p: &Attention, q: Option<&[f32]>, k: &[f32], v: &[f32], scratch: &mut [f32], out: &mut [f32]) {
            attention_loops(p, q, k, v, scratch, out);
        }
        // SAFETY: the processor has AVX2, whatever else.
        unsafe { wide(p, q, k, v, scratch, out) }
    }

    pub fn norm(self, x: Option<&[f32]>, p: &Norm, out: &mut [f32]) {
        #[target_feature(enable = "avx2")]
        fn wide(x: Option<&[f32]>, p: &Norm, out: &mut [f32]) {
            norm_loops(x, p, out);
        }
        // SAFETY: the processor has AVX2, whatever else.
        unsafe { wide(x, p, out) }
    }
}
