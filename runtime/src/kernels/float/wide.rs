//! The portable loops that take most of the time, compiled again for the wide registers of x86-64: the same operations in the
//! same order, so the same bits, several times faster. No multiplication is fused with an addition: the compiler never does
//! that by itself.
#![allow(unsafe_code)]

use super::attention::{Attention, attention_loops};
use super::conv::{Residual, Weights, conv_loops};
use super::weight::Weight;
use crate::kernels::Geometry;
use crate::kernels::isa::has;

/// Proof that the processor has AVX2.
#[derive(Clone, Copy)]
pub struct Wide(());

impl Wide {
    /// Looks whether it has.
    pub fn here() -> Option<Self> {
        has!("avx2").then_some(Self(()))
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
        #[target_feature(enable = "avx2")]
        fn wide<W: Weight>(g: &Geometry, x: &[f32], w: &Weights<W>, residual: Residual, relu: bool, out: &mut [f32]) {
            conv_loops(g, x, w, residual, relu, out);
        }
        // SAFETY: the processor has AVX2.
        unsafe { wide(g, x, w, residual, relu, out) }
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
        // SAFETY: the processor has AVX2.
        unsafe { wide(p, q, k, v, scratch, out) }
    }
}
