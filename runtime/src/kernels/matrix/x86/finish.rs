//! From sums to stored numbers by AVX2 and AVX-512, in 32 bits.
//!
//! The exact number before rounding, `sum * multiplier + residual * factor`, takes 64 bits. Where its lowest 32 or more are
//! dropped, as nearly everywhere without a residual, only the upper half counts: products are formed of the even and of the odd
//! outputs, their upper halves lie side by side again and are shifted on by what is left. With a residual of about the output's
//! scale, 30 or 31 bits are dropped: then what is left of the lower half counts too. The zero point is added with the rounding term.
//! Outputs that drop fewer bits, and those that fill no register, are left to [`write_some`].

use core::arch::x86_64::*;
use core::ops::{Range, RangeInclusive};

use super::super::finish::write_some;
use super::super::{GROUP, Group};
use crate::kernels::int8::{Epilogue, Int, Residual, Weights};

/// Bits that may be dropped. The sum stays below 2^63: 2^62 + 2^48 of the products, and 255 * 2^53 of the zero point and the
/// rounding term. What is left of its lower half has at most 16 bits.
const SHIFTS: RangeInclusive<i32> = 16..=54;

/// What an instruction set does with vectors of 32-bit numbers, or of half as many with 64 bits ("long").
///
/// # Safety
/// Every function needs the processor's instructions, and what its pointer points to.
pub unsafe trait Lanes {
    type V: Copy;
    const LANES: usize;

    unsafe fn splat(x: i32) -> Self::V;
    unsafe fn load(at: *const i32) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Shifts to the right, each by its own count; by less than 0 as by 31.
    unsafe fn shift(v: Self::V, counts: Self::V) -> Self::V;
    /// The same with zeros for the sign; by 32 or more nothing is left.
    unsafe fn shift_bits(v: Self::V, counts: Self::V) -> Self::V;
    /// Shifts to the left; by less than 0 nothing is left.
    unsafe fn shift_left(v: Self::V, counts: Self::V) -> Self::V;
    unsafe fn and(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn or(a: Self::V, b: Self::V) -> Self::V;
    /// Odd numbers in place of the even ones before them.
    unsafe fn odd(v: Self::V) -> Self::V;
    /// Long products of even numbers.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn add_long(a: Self::V, b: Self::V) -> Self::V;
    /// A number shifted to the left by every even count.
    unsafe fn shifted_long(x: i64, counts: Self::V) -> Self::V;
    /// Upper halves of two vectors of long numbers, in turn.
    unsafe fn uppers(even: Self::V, odd: Self::V) -> Self::V;
    /// Lower halves.
    unsafe fn lowers(even: Self::V, odd: Self::V) -> Self::V;
    unsafe fn bytes(at: *const i8) -> Self::V;
    unsafe fn words(at: *const i16) -> Self::V;
    /// Stores the nearest bytes.
    unsafe fn store_bytes(v: Self::V, at: *mut i8);
    /// Stores the nearest words.
    unsafe fn store_words(v: Self::V, at: *mut i16);
}

/// Most numbers of a vector.
const MAX_LANES: usize = 16;

/// AVX2.
struct Lanes256;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for Lanes256 {
    type V = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: i32) -> __m256i {
        unsafe { _mm256_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const i32) -> __m256i {
        unsafe { _mm256_loadu_si256(at.cast()) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_min_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_max_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn shift(v: __m256i, counts: __m256i) -> __m256i {
        unsafe { _mm256_srav_epi32(v, counts) }
    }
    #[inline(always)]
    unsafe fn shift_bits(v: __m256i, counts: __m256i) -> __m256i {
        unsafe { _mm256_srlv_epi32(v, counts) }
    }
    #[inline(always)]
    unsafe fn shift_left(v: __m256i, counts: __m256i) -> __m256i {
        unsafe { _mm256_sllv_epi32(v, counts) }
    }
    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_and_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_or_si256(a, b) }
    }
    #[inline(always)]
    unsafe fn odd(v: __m256i) -> __m256i {
        unsafe { _mm256_srli_epi64::<32>(v) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_mul_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn add_long(a: __m256i, b: __m256i) -> __m256i {
        unsafe { _mm256_add_epi64(a, b) }
    }
    #[inline(always)]
    unsafe fn shifted_long(x: i64, counts: __m256i) -> __m256i {
        unsafe { _mm256_sllv_epi64(_mm256_set1_epi64x(x), _mm256_blend_epi32::<0xaa>(counts, _mm256_setzero_si256())) }
    }
    #[inline(always)]
    unsafe fn uppers(even: __m256i, odd: __m256i) -> __m256i {
        unsafe { _mm256_blend_epi32::<0xaa>(_mm256_srli_epi64::<32>(even), odd) }
    }
    #[inline(always)]
    unsafe fn lowers(even: __m256i, odd: __m256i) -> __m256i {
        unsafe { _mm256_blend_epi32::<0xaa>(even, _mm256_slli_epi64::<32>(odd)) }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8) -> __m256i {
        unsafe { _mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast())) }
    }
    #[inline(always)]
    unsafe fn words(at: *const i16) -> __m256i {
        unsafe { _mm256_cvtepi16_epi32(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn store_bytes(v: __m256i, at: *mut i8) {
        unsafe {
            let words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm_storel_epi64(at.cast(), _mm_packs_epi16(words, words));
        }
    }
    #[inline(always)]
    unsafe fn store_words(v: __m256i, at: *mut i16) {
        unsafe {
            let words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm_storeu_si128(at.cast(), words);
        }
    }
}

/// AVX-512.
struct Lanes512;

// SAFETY: each function does what the trait says, given its instructions and pointers.
unsafe impl Lanes for Lanes512 {
    type V = __m512i;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: i32) -> __m512i {
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load(at: *const i32) -> __m512i {
        unsafe { _mm512_loadu_si512(at.cast()) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_min_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_max_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn shift(v: __m512i, counts: __m512i) -> __m512i {
        unsafe { _mm512_srav_epi32(v, counts) }
    }
    #[inline(always)]
    unsafe fn shift_bits(v: __m512i, counts: __m512i) -> __m512i {
        unsafe { _mm512_srlv_epi32(v, counts) }
    }
    #[inline(always)]
    unsafe fn shift_left(v: __m512i, counts: __m512i) -> __m512i {
        unsafe { _mm512_sllv_epi32(v, counts) }
    }
    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn odd(v: __m512i) -> __m512i {
        unsafe { _mm512_srli_epi64::<32>(v) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_mul_epi32(a, b) }
    }
    #[inline(always)]
    unsafe fn add_long(a: __m512i, b: __m512i) -> __m512i {
        unsafe { _mm512_add_epi64(a, b) }
    }
    #[inline(always)]
    unsafe fn shifted_long(x: i64, counts: __m512i) -> __m512i {
        unsafe { _mm512_sllv_epi64(_mm512_set1_epi64(x), _mm512_maskz_mov_epi32(0x5555, counts)) }
    }
    #[inline(always)]
    unsafe fn uppers(even: __m512i, odd: __m512i) -> __m512i {
        // Even places get the odd half before them, in one instruction.
        unsafe { _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even) }
    }
    #[inline(always)]
    unsafe fn lowers(even: __m512i, odd: __m512i) -> __m512i {
        unsafe { _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xaaaa, odd) }
    }
    #[inline(always)]
    unsafe fn bytes(at: *const i8) -> __m512i {
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast())) }
    }
    #[inline(always)]
    unsafe fn words(at: *const i16) -> __m512i {
        unsafe { _mm512_cvtepi16_epi32(_mm256_loadu_si256(at.cast())) }
    }
    #[inline(always)]
    unsafe fn store_bytes(v: __m512i, at: *mut i8) {
        unsafe { _mm_storeu_si128(at.cast(), _mm512_cvtsepi32_epi8(v)) }
    }
    #[inline(always)]
    unsafe fn store_words(v: __m512i, at: *mut i16) {
        unsafe { _mm256_storeu_si256(at.cast(), _mm512_cvtsepi32_epi16(v)) }
    }
}

/// Stored numbers.
pub trait Number: Int {
    /// # Safety
    /// As for [`Lanes::bytes`].
    unsafe fn read<L: Lanes>(at: *const Self) -> L::V;
    /// # Safety
    /// As for [`Lanes::store_bytes`].
    unsafe fn write<L: Lanes>(v: L::V, at: *mut Self);
}

impl Number for i8 {
    #[inline(always)]
    unsafe fn read<L: Lanes>(at: *const Self) -> L::V {
        // SAFETY: promised by the caller.
        unsafe { L::bytes(at) }
    }
    #[inline(always)]
    unsafe fn write<L: Lanes>(v: L::V, at: *mut Self) {
        // SAFETY: promised by the caller.
        unsafe { L::store_bytes(v, at) }
    }
}

impl Number for i16 {
    #[inline(always)]
    unsafe fn read<L: Lanes>(at: *const Self) -> L::V {
        // SAFETY: promised by the caller.
        unsafe { L::words(at) }
    }
    #[inline(always)]
    unsafe fn write<L: Lanes>(v: L::V, at: *mut Self) {
        // SAFETY: promised by the caller.
        unsafe { L::store_words(v, at) }
    }
}

/// Writes the outputs of some positions.
///
/// # Safety
/// Needs AVX2; `out` holds the positions' outputs, and nobody else touches those of the group.
#[target_feature(enable = "avx2")]
pub unsafe fn finish_256<O: Number>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    // SAFETY: the caller's promises.
    unsafe { finish::<Lanes256, O>(group, sums, positions, out) }
}

/// Writes the outputs of some positions.
///
/// # Safety
/// Needs AVX-512; otherwise as [`finish_256`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub unsafe fn finish_512<O: Number>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    // SAFETY: the caller's promises.
    unsafe { finish::<Lanes512, O>(group, sums, positions, out) }
}

/// # Safety
/// Needs the instructions; otherwise as [`finish_256`].
#[inline(always)]
unsafe fn finish<L: Lanes, O: Number>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    let width = group.starts.len();
    // Few outputs fill registers with those of several positions, if these lie side by side.
    let several = (1..=GROUP / width.max(1)).find(|several| (several * width).is_multiple_of(L::LANES));
    match several {
        Some(several) if several > 1 && width == group.channels && positions.len() >= several => {
            let rest = positions.len() % several;
            let (together, alone) = (positions.start..positions.end - rest, positions.end - rest..positions.end);
            let (many, few) = sums.split_at(together.len() * width);
            // SAFETY: the caller's promises; the numbers begin where the first position's do.
            unsafe {
                side_by_side::<L, O>(group, several, many, together, out);
                write_some(group, few, alone, 0..width, out);
            }
        }
        // SAFETY: the caller's promises.
        _ => unsafe { columns::<L, O>(group, sums, positions, out) },
    }
}

/// Writes all outputs of so many positions as if they were those of one.
///
/// # Safety
/// As for [`finish`]; the group has all outputs of a position, so many times at most [`GROUP`].
#[inline(always)]
unsafe fn side_by_side<L: Lanes, O: Number>(
    group: &Group,
    several: usize,
    sums: &[i32],
    positions: Range<usize>,
    out: *mut O,
) {
    let width = group.starts.len();
    let fields = fields(group);
    let (mut starts, mut rescale) = ([0; GROUP], [0; 3 * GROUP]);
    for (starts, rescale) in starts.chunks_exact_mut(width).zip(rescale.chunks_exact_mut(width * fields)).take(several)
    {
        starts.copy_from_slice(group.starts);
        rescale.copy_from_slice(&group.w.rescale[..width * fields]);
    }
    let first = positions.start * width;
    let residual = match group.epilogue.residual {
        Residual::None => Residual::None,
        Residual::I8(r, zero) => Residual::I8(&r[first..], zero),
        Residual::I16(r) => Residual::I16(&r[first..]),
        Residual::InPlace(zero) => Residual::InPlace(zero),
    };
    let wide = Group {
        w: &Weights { rescale: &rescale, ..*group.w },
        epilogue: &Epilogue { residual, ..*group.epilogue },
        starts: &starts[..several * width],
        first_output: 0,
        channels: several * width,
    };
    // SAFETY: the same numbers, counted from the first position on.
    unsafe { columns::<L, O>(&wide, sums, 0..positions.len() / several, out.add(first)) };
}

/// Numbers of an output's rescaling.
#[inline(always)]
fn fields(group: &Group) -> usize {
    if matches!(group.epilogue.residual, Residual::None) { 2 } else { 3 }
}

/// Writes the outputs of some positions, a register of outputs for all of them, then the next.
///
/// # Safety
/// As for [`finish`].
#[inline(always)]
unsafe fn columns<L: Lanes, O: Number>(group: &Group, sums: &[i32], positions: Range<usize>, out: *mut O) {
    let width = group.starts.len();
    let mut at = 0;
    while at < width {
        let outputs = at..width.min(at + L::LANES);
        at = outputs.end;
        // SAFETY: the caller's promises, and outputs of the group.
        unsafe {
            match Factors::<L>::of(group, outputs.clone()) {
                Some(factors) => {
                    let column = Column { group, factors, sums, first: outputs.start };
                    match group.epilogue.residual {
                        Residual::None => column.write(positions.clone(), out, |_| None),
                        Residual::I8(r, _) => {
                            column.write(positions.clone(), out, |at| Some(L::bytes(r[at..].as_ptr())))
                        }
                        Residual::I16(r) => column.write(positions.clone(), out, |at| Some(L::words(r[at..].as_ptr()))),
                        Residual::InPlace(_) => {
                            column.write(positions.clone(), out, |at| Some(O::read::<L>(out.add(at))))
                        }
                    }
                }
                None => write_some(group, sums, positions.clone(), outputs, out),
            }
        }
    }
}

/// Fixed-point factors of a register of outputs; of pairs, those of even and of odd ones.
struct Factors<L: Lanes> {
    start: L::V,
    multiplier: [L::V; 2],
    residual: [L::V; 2],
    /// What is added before bits are dropped: half of the last bit that stays, and zero points.
    more: [L::V; 2],
    /// Bits to be dropped beyond 32.
    shift: L::V,
    below: Option<Below<L>>,
}

/// For outputs of which some drop less than 32 bits.
struct Below<L: Lanes> {
    /// Bits to be dropped.
    dropped: L::V,
    /// Bits of the lower half that stay.
    stay: L::V,
    /// Bounds of the upper half, so that it has room beside them: far beyond what is stored.
    bounds: [L::V; 2],
    /// All bits of outputs that drop more than 32.
    beyond: L::V,
}

impl<L: Lanes> Below<L> {
    /// # Safety
    /// Needs the instructions.
    #[inline(always)]
    unsafe fn of(counts: &[i32; MAX_LANES]) -> Self {
        let mut fields = [*counts, [0; MAX_LANES], [0; MAX_LANES], [0; MAX_LANES], [0; MAX_LANES]];
        for (i, &count) in counts.iter().enumerate().take(L::LANES) {
            let bound = if count < 32 { 1 << (count - 1) } else { i32::MIN };
            fields[1][i] = 32 - count;
            fields[2][i] = 0i32.wrapping_sub(bound);
            fields[3][i] = bound.wrapping_sub(1);
            fields[4][i] = if count > 32 { -1 } else { 0 };
        }
        // SAFETY: promised by the caller.
        unsafe {
            let [dropped, stay, least, most, beyond] = &fields;
            let load = |field: &[i32; MAX_LANES]| L::load(field.as_ptr());
            Self { dropped: load(dropped), stay: load(stay), bounds: [load(least), load(most)], beyond: load(beyond) }
        }
    }

    /// Drops bits, given the halves, and how many to drop beyond 32.
    ///
    /// # Safety
    /// Needs the instructions.
    #[inline(always)]
    unsafe fn shift(&self, upper: L::V, lower: L::V, beyond: L::V) -> L::V {
        // SAFETY: promised by the caller.
        unsafe {
            let upper = L::min(L::max(upper, self.bounds[0]), self.bounds[1]);
            let both = L::or(L::shift_left(upper, self.stay), L::shift_bits(lower, self.dropped));
            L::or(both, L::and(L::shift(upper, beyond), self.beyond))
        }
    }
}

impl<L: Lanes> Factors<L> {
    /// The factors of some outputs; `None` if they fill no register, or drop too few bits.
    ///
    /// # Safety
    /// Needs the instructions; the outputs exist.
    #[inline(always)]
    unsafe fn of(group: &Group, outputs: Range<usize>) -> Option<Self> {
        if outputs.len() < L::LANES {
            return None;
        }
        let fields = fields(group);
        let rows = &group.w.rescale[(group.first_output + outputs.start) * fields..][..L::LANES * fields];
        let [multiplier, counts, residual] = match fields {
            2 => apart(rows.as_chunks::<2>().0),
            _ => apart(rows.as_chunks::<3>().0),
        };
        let (mut least, mut most) = (i32::MAX, i32::MIN);
        for &count in &counts[..L::LANES] {
            (least, most) = (least.min(count), most.max(count));
        }
        if !SHIFTS.contains(&least) || !SHIFTS.contains(&most) {
            return None;
        }
        // SAFETY: promised by the caller; there are as many numbers as a register has, or more.
        unsafe {
            let below = if least < 32 { Some(Below::of(&counts)) } else { None };
            let [multiplier, counts, residual] =
                [L::load(multiplier.as_ptr()), L::load(counts.as_ptr()), L::load(residual.as_ptr())];
            let (multiplier, residual) = ([multiplier, L::odd(multiplier)], [residual, L::odd(residual)]);
            // The rounding term is half of the last bit that stays, and zero point times 2^shift is added to it.
            let last = L::add(counts, L::splat(-1));
            let more = 1 + 2 * i64::from(group.epilogue.zero_point);
            let mut more = [L::shifted_long(more, last), L::shifted_long(more, L::odd(last))];
            let zero = match group.epilogue.residual {
                Residual::I8(_, zero) | Residual::InPlace(zero) => zero,
                Residual::None | Residual::I16(_) => 0,
            };
            for (more, factor) in more.iter_mut().zip(residual) {
                *more = L::add_long(*more, L::mul(factor, L::splat(-zero)));
            }
            let start = L::load(group.starts[outputs].as_ptr());
            Some(Self { start, multiplier, residual, more, shift: L::add(counts, L::splat(-32)), below })
        }
    }
}

/// Fields of rows, each side by side: of at most three.
#[inline(always)]
fn apart<const N: usize>(rows: &[[i32; N]]) -> [[i32; MAX_LANES]; 3] {
    let mut fields = [[0; MAX_LANES]; 3];
    for (i, row) in rows.iter().enumerate().take(MAX_LANES) {
        for (field, &number) in fields.iter_mut().zip(row) {
            field[i] = number;
        }
    }
    fields
}

/// A register of outputs of some positions.
struct Column<'a, L: Lanes> {
    group: &'a Group<'a>,
    factors: Factors<L>,
    sums: &'a [i32],
    /// The first output's place in the group.
    first: usize,
}

impl<L: Lanes> Column<'_, L> {
    /// # Safety
    /// As for [`finish`]; `residual` may be called for the outputs' places.
    #[inline(always)]
    unsafe fn write<O: Number>(&self, positions: Range<usize>, out: *mut O, residual: impl Fn(usize) -> Option<L::V>) {
        let Self { group, factors: f, .. } = self;
        let (epilogue, width) = (group.epilogue, group.starts.len());
        let limit = 1i32 << (epilogue.bits - 1);
        // Relu comes before the zero point: what it lets through is at least that.
        let lowest = if epilogue.relu { epilogue.zero_point.max(-limit) } else { -limit };
        // SAFETY: promised by the caller; there is a row of sums for each position.
        unsafe {
            let (low, high) = (L::splat(lowest.min(limit - 1)), L::splat(limit - 1));
            for (sums, position) in self.sums.chunks_exact(width).zip(positions) {
                let at = position * group.channels + group.first_output + self.first;
                let sum = L::add(f.start, L::load(sums.as_ptr().add(self.first)));
                let [mut even, mut odd] = [L::mul(sum, f.multiplier[0]), L::mul(L::odd(sum), f.multiplier[1])];
                if let Some(residual) = residual(at) {
                    even = L::add_long(even, L::mul(residual, f.residual[0]));
                    odd = L::add_long(odd, L::mul(L::odd(residual), f.residual[1]));
                }
                let (even, odd) = (L::add_long(even, f.more[0]), L::add_long(odd, f.more[1]));
                let mut y = L::uppers(even, odd);
                match &f.below {
                    None => y = L::shift(y, f.shift),
                    Some(below) => y = below.shift(y, L::lowers(even, odd), f.shift),
                }
                O::write::<L>(L::min(L::max(y, low), high), out.add(at));
            }
        }
    }
}
