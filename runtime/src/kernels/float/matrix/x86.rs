//! x86-64: products of AVX2 and of AVX-512.

use core::arch::x86_64::{__m256, __m512};

use super::tile::{Block, Product, Stored, product};
use crate::kernels::isa::Isa;

/// How an instruction set multiplies.
pub fn method<W: Stored>(isa: Isa) -> Product<W> {
    match isa {
        Isa::Avx512 | Isa::Avx512Vnni => avx512,
        _ => avx2,
    }
}

/// 24 of the 32 registers hold sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,f16c,fma")]
unsafe fn avx512<W: Stored>(block: &Block<W>) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { product::<__m512, W, 4>(block) }
}

/// 12 of the 16 registers hold sums.
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn avx2<W: Stored>(block: &Block<W>) {
    // SAFETY: the caller's promises, and the features of this function.
    unsafe { product::<__m256, W, 2>(block) }
}
