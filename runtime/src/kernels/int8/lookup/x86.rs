//! x86-64: segments of tables by permutations of registers (AVX-512) or gathers (AVX2).
#![allow(unsafe_code)]

use core::arch::x86_64::*;

use crate::kernels::isa::Isa;

/// Both ends of segments of a table of 257 entries, the lower one in the lower half.
pub fn ends(isa: Isa, entries: &[i16], segments: &[u8], ends: &mut [i32]) {
    assert!(entries.len() >= 257 && segments.len() == ends.len());
    // SAFETY: the processor has the instructions, since the set comes from `Kernels`; lengths are as asserted.
    unsafe {
        match isa {
            Isa::Avx512 | Isa::Avx512Vnni => ends_512(entries.as_ptr(), segments, ends),
            _ => ends_256(entries.as_ptr(), segments, ends),
        }
    }
}

/// # Safety
/// Needs AVX-512, 257 entries, and as many ends as segments.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn ends_512(entries: *const i16, segments: &[u8], ends: &mut [i32]) {
    // SAFETY: promised by the caller; 8 registers hold the entries 0 to 255, 8 others 1 to 256.
    let [lower, upper] = [0, 1].map(|from| {
        [0, 32, 64, 96, 128, 160, 192, 224].map(|at| unsafe { _mm512_loadu_si512(entries.add(from + at).cast()) })
    });
    for (segments, ends) in segments.chunks(32).zip(ends.chunks_mut(32)) {
        let some = ((1u64 << segments.len()) - 1) as u32;
        // SAFETY: the mask keeps to the segments.
        let index = _mm512_cvtepu8_epi16(unsafe { _mm256_maskz_loadu_epi8(some, segments.as_ptr().cast()) });
        let bit = |bit: i16| _mm512_test_epi16_mask(index, _mm512_set1_epi16(bit));
        let (bit_6, bit_7) = (bit(64), bit(128));
        // Two registers answer six bits of the index, the other two bits choose among four such answers.
        let look_up = |table: [__m512i; 8]| {
            let pair = |i: usize| _mm512_permutex2var_epi16(table[2 * i], index, table[2 * i + 1]);
            let low = _mm512_mask_mov_epi16(pair(0), bit_6, pair(1));
            let high = _mm512_mask_mov_epi16(pair(2), bit_6, pair(3));
            _mm512_mask_mov_epi16(low, bit_7, high)
        };
        let (low, high) = (look_up(lower), look_up(upper));
        let both = |low, high| {
            _mm512_or_si512(_mm512_cvtepu16_epi32(low), _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(high)))
        };
        let first = both(_mm512_castsi512_si256(low), _mm512_castsi512_si256(high));
        let second = both(_mm512_extracti64x4_epi64::<1>(low), _mm512_extracti64x4_epi64::<1>(high));
        let at = ends.as_mut_ptr();
        // SAFETY: masks keep to the ends, as many as the segments.
        unsafe {
            _mm512_mask_storeu_epi32(at, some as u16, first);
            _mm512_mask_storeu_epi32(at.wrapping_add(16), (some >> 16) as u16, second);
        }
    }
}

/// # Safety
/// Needs AVX2, 257 entries, and as many ends as segments.
#[target_feature(enable = "avx2")]
unsafe fn ends_256(entries: *const i16, segments: &[u8], ends: &mut [i32]) {
    let (eights, rest) = segments.as_chunks::<8>();
    let (places, last_places) = ends.split_at_mut(eights.len() * 8);
    // Two neighbouring entries are one number of 32 bits.
    for (segments, place) in eights.iter().zip(places.chunks_exact_mut(8)) {
        // SAFETY: eight segments are read and eight numbers written; the entry after each segment's first exists.
        unsafe {
            let index = _mm256_cvtepu8_epi32(_mm_loadl_epi64(segments.as_ptr().cast()));
            let both = _mm256_i32gather_epi32::<2>(entries.cast(), index);
            _mm256_storeu_si256(place.as_mut_ptr().cast(), both);
        }
    }
    for (&segment, place) in rest.iter().zip(last_places) {
        // SAFETY: as above.
        *place = unsafe { entries.add(segment.into()).cast::<i32>().read_unaligned() };
    }
}
