//! Loops over instructions of x86-64. Independent sums hide an instruction's latency, and all operands stay in registers. They
//! are assembly, because a compiler moves and merges what it understands.
#![allow(unsafe_code, reason = "assembly, and functions for a CPU feature behind the test that the CPU has it")]

use std::arch::asm;
use std::arch::x86_64::*;
use std::hint::black_box;

use super::{Peak, Products};

/// Sums in the 32 registers of AVX-512.
const WIDE: usize = 16;
/// Sums in the 16 registers of AVX2.
const NARROW: usize = 12;

/// Names of kernels, from the fastest to the slowest.
const NAMES: [&str; 4] = ["avx512-vnni", "avx512", "avx-vnni", "avx2"];

/// The loop of kernels of a name, `None` where this CPU has none. The fastest for names that are not known.
pub fn peak(products: Products, kernels: &str) -> Option<Peak> {
    let known = NAMES.contains(&kernels);
    NAMES.into_iter().filter(|&name| name == kernels || !known).find_map(|name| loop_of(products, name))
}

fn loop_of(products: Products, kernels: &str) -> Option<Peak> {
    let (avx2, fma) = (is_x86_feature_detected!("avx2"), is_x86_feature_detected!("fma"));
    let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    let peak = |name, width: u64, sums: usize, run| Some(Peak { name, macs: width * sums as u64, run });
    match (kernels, products) {
        ("avx512-vnni" | "avx512", Products::Floats) if wide => {
            // SAFETY: the CPU has the feature.
            peak("AVX-512 vfmadd231ps", 16, WIDE, |rounds| unsafe { vfmadd231ps_512(rounds) })
        }
        ("avx512-vnni", Products::Bytes) if wide && is_x86_feature_detected!("avx512vnni") => {
            // SAFETY: the CPU has the features.
            peak("AVX-512 VNNI vpdpbusd", 64, WIDE, |rounds| unsafe { vpdpbusd_512(rounds) })
        }
        ("avx512-vnni", Products::Words) if wide && is_x86_feature_detected!("avx512vnni") => {
            // SAFETY: the CPU has the features.
            peak("AVX-512 VNNI vpdpwssd", 32, WIDE, |rounds| unsafe { vpdpwssd_512(rounds) })
        }
        ("avx512", Products::Bytes | Products::Words) if wide => {
            // SAFETY: the CPU has the features.
            peak("AVX-512 vpmaddwd, vpaddd", 32, WIDE, |rounds| unsafe { vpmaddwd_512(rounds) })
        }
        ("avx-vnni" | "avx2", Products::Floats) if avx2 && fma => {
            // SAFETY: the CPU has the features.
            peak("FMA vfmadd231ps", 8, NARROW, |rounds| unsafe { vfmadd231ps_256(rounds) })
        }
        ("avx-vnni", Products::Bytes) if avx2 && is_x86_feature_detected!("avxvnni") => {
            // SAFETY: the CPU has the features.
            peak("AVX-VNNI vpdpbusd", 32, NARROW, |rounds| unsafe { vpdpbusd_256(rounds) })
        }
        ("avx-vnni", Products::Words) if avx2 && is_x86_feature_detected!("avxvnni") => {
            // SAFETY: the CPU has the features.
            peak("AVX-VNNI vpdpwssd", 16, NARROW, |rounds| unsafe { vpdpwssd_256(rounds) })
        }
        ("avx2", Products::Bytes | Products::Words) if avx2 => {
            // SAFETY: the CPU has the feature.
            peak("AVX2 vpmaddwd, vpaddd", 16, NARROW, |rounds| unsafe { vpmaddwd_256(rounds) })
        }
        _ => None,
    }
}

/// A function that loops over instructions: they add to `sum` the product of `a` and `b`, by way of `product` if need be.
macro_rules! looped {
    ($name:ident, $features:literal, $fill:ident, $register:ident, $sums:ident, [$($text:literal),+] $(, $product:ident)?) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: u64) {
            // One half as a float, and no zero as integers.
            let factors = $fill(0x3f00_0000);
            let mut sums = [$fill(0); $sums];
            for _ in 0..rounds {
                for sum in &mut sums {
                    // SAFETY: the instructions read and write the registers named, nothing else.
                    unsafe {
                        asm!($($text),+, sum = inout($register) *sum, a = in($register) factors, b = in($register) factors,
                            $($product = out($register) _,)? options(pure, nomem, nostack, preserves_flags));
                    }
                }
            }
            black_box(sums);
        }
    };
}

looped!(vpdpbusd_512, "avx512f,avx512vnni", _mm512_set1_epi32, zmm_reg, WIDE, ["vpdpbusd {sum}, {a}, {b}"]);
looped!(vpdpwssd_512, "avx512f,avx512vnni", _mm512_set1_epi32, zmm_reg, WIDE, ["vpdpwssd {sum}, {a}, {b}"]);
looped!(vfmadd231ps_512, "avx512f", _mm512_set1_epi32, zmm_reg, WIDE, ["vfmadd231ps {sum}, {a}, {b}"]);
looped!(
    vpmaddwd_512,
    "avx512f,avx512bw",
    _mm512_set1_epi32,
    zmm_reg,
    WIDE,
    ["vpmaddwd {product}, {a}, {b}", "vpaddd {sum}, {sum}, {product}"],
    product
);
looped!(vpdpbusd_256, "avx2,avxvnni", _mm256_set1_epi32, ymm_reg, NARROW, ["{{vex}} vpdpbusd {sum}, {a}, {b}"]);
looped!(vpdpwssd_256, "avx2,avxvnni", _mm256_set1_epi32, ymm_reg, NARROW, ["{{vex}} vpdpwssd {sum}, {a}, {b}"]);
looped!(vfmadd231ps_256, "avx2,fma", _mm256_set1_epi32, ymm_reg, NARROW, ["vfmadd231ps {sum}, {a}, {b}"]);
looped!(
    vpmaddwd_256,
    "avx2",
    _mm256_set1_epi32,
    ymm_reg,
    NARROW,
    ["vpmaddwd {product}, {a}, {b}", "vpaddd {sum}, {sum}, {product}"],
    product
);
