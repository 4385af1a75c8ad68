//! Products of words in pairs, and Winograd's transforms around them, by AVX2, AVX-VNNI, AVX-512 and AVX-512 VNNI.

use core::arch::x86_64::*;

use super::super::pairs::{Pairs, Part, Product, Words, filters, products};
use super::super::winograd::{self, Block, Products, Room, Steps, Sums};
use super::super::{Geometry, Layer};
use crate::kernels::int8::{Lanes256, Lanes512};
use crate::kernels::isa::Isa;

/// How an instruction set multiplies words in pairs.
pub fn pairs(isa: Isa) -> Pairs<i16> {
    let products = match isa {
        Isa::Avx512Vnni => products_avx512_vnni,
        Isa::Avx512 => products_avx512,
        Isa::AvxVnni => products_avx_vnni,
        _ => products_avx2,
    };
    Pairs { filters: filters_avx2, products }
}

/// The steps of Winograd's way.
pub fn winograd(isa: Isa) -> Steps {
    Steps { filters: winograd_filters, inputs: winograd_inputs, pairs: pairs(isa), outputs: winograd_outputs }
}

/// Defines products by an instruction set, in tiles of so many rows and registers.
macro_rules! products {
    ($($name:ident: $lanes:ty, $rows:literal, $wide:literal, $features:literal;)*) => {$(
        #[target_feature(enable = $features)]
        unsafe fn $name(product: &Product<i16>) {
            // SAFETY: the caller's promises, and the features of this function.
            unsafe { products::<$lanes, $rows, $wide>(product) }
        }
    )*};
}

products! {
    products_avx512_vnni: Lanes512<true>, 8, 1, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni";
    products_avx512: Lanes512<false>, 8, 1, "avx512f,avx512bw,avx512vl,avx512dq";
    products_avx_vnni: Lanes256<true>, 6, 2, "avx2,avxvnni";
    products_avx2: Lanes256<false>, 6, 2, "avx2";
}

#[target_feature(enable = "avx2")]
unsafe fn filters_avx2(weight: &[i8], taps: usize, part: Part, to: *mut i32) {
    // SAFETY: the caller's promises.
    unsafe { filters::<__m256i>(weight, taps, part, to) }
}

#[target_feature(enable = "avx2")]
unsafe fn winograd_filters(weight: &[i8], part: Part, room: *mut Room) {
    // SAFETY: the caller's promises.
    unsafe { winograd::filters::<__m256i>(weight, part, room) }
}

#[target_feature(enable = "avx2")]
unsafe fn winograd_inputs(layer: &Layer<i8>, block: &Block, part: Part, room: *mut Room) -> usize {
    // SAFETY: the caller's promises.
    unsafe { winograd::inputs::<__m256i>(layer, block, part, room) }
}

#[target_feature(enable = "avx2")]
unsafe fn winograd_outputs(g: &Geometry, block: &Block, width: usize, products: &Products, sums: &mut Sums) {
    // SAFETY: the caller's promises.
    unsafe { winograd::outputs(g, block, width, products, sums) }
}

// SAFETY: each function does what the trait says, given AVX2 and its pointers.
unsafe impl Words for __m256i {
    #[inline(always)]
    unsafe fn widened(at: *const i8) -> Self {
        unsafe { _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm256_add_epi16(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm256_sub_epi16(self, other) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut i16) {
        unsafe { _mm256_storeu_si256(at.cast(), self) }
    }
    #[inline(always)]
    unsafe fn store_apart(self, even: *mut i32, odd: *mut i32) {
        unsafe {
            let apart = _mm256_permutevar8x32_epi32(self, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
            _mm_storeu_si128(even.cast(), _mm256_castsi256_si128(apart));
            _mm_storeu_si128(odd.cast(), _mm256_extracti128_si256::<1>(apart));
        }
    }
}
