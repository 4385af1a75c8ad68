//! Functions of one number, over registers. All by multiplications and additions in one order, so that every width of
//! registers gives the same bits.

use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E};

use super::Lanes;
use crate::format::Function;

/// The function of each number.
///
/// # Safety
/// The processor has the instructions, here and below.
#[inline(always)]
pub unsafe fn apply<L: Lanes>(function: Function, x: L) -> L {
    // SAFETY: promised by the caller.
    unsafe {
        match function {
            Function::Identity => x,
            Function::Relu => x.max(L::splat(0.0)),
            Function::Silu => x.over(one_and_exp(x.times(L::splat(-1.0)))),
            Function::Gelu => {
                let half = x.times(L::splat(0.5));
                half.times_plus(erf(x.times(L::splat(FRAC_1_SQRT_2))), half)
            }
            Function::GeluTanh => {
                // (1 + tanh u) / 2 = 1 / (1 + exp(-2 u))
                let cube = x.times(x).times(x);
                let inner = cube.times_plus(L::splat(0.044715), x);
                x.over(one_and_exp(inner.times(L::splat(-2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2))))
            }
            Function::Tanh => tanh(x),
            Function::Sigmoid => L::splat(1.0).over(one_and_exp(x.times(L::splat(-1.0)))),
        }
    }
}

/// `1 + exp(x)`.
#[inline(always)]
unsafe fn one_and_exp<L: Lanes>(x: L) -> L {
    // SAFETY: promised by the caller.
    unsafe { exp(x).add(L::splat(1.0)) }
}

/// `c[0] x^(n-1) + ... + c[n-1]`.
#[inline(always)]
unsafe fn polynomial<L: Lanes, const N: usize>(x: L, coefficients: [f32; N]) -> L {
    // SAFETY: promised by the caller.
    unsafe {
        let mut sum = L::splat(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = sum.times_plus(x, L::splat(c));
        }
        sum
    }
}

/// Powers of e: 0 and infinity where they fit no number.
#[inline(always)]
pub unsafe fn exp<L: Lanes>(x: L) -> L {
    // SAFETY: promised by the caller.
    unsafe {
        let x = x.clamp(-104.0, 89.0);
        // exp x = 2^n exp r, |r| <= ln 2 / 2; ln 2 in two parts, of which the first has few digits.
        let n = x.times(L::splat(LOG2_E)).round();
        let r = n.times_plus(L::splat(-0.693_359_4), x);
        let r = n.times_plus(L::splat(2.121_944_4e-4), r);
        // Cephes, expf.
        let tail = polynomial(r, [1.987_569_2e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]);
        tail.times_plus(r.times(r), r).add(L::splat(1.0)).scale(n)
    }
}

#[inline(always)]
unsafe fn tanh<L: Lanes>(x: L) -> L {
    // SAFETY: promised by the caller.
    unsafe {
        // Near 0 1 - 2 / (1 + exp 2 x) has few digits. Cephes, tanhf.
        let square = x.times(x);
        let small = polynomial(square, [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1]);
        let small = small.times(square).times_plus(x, x);
        let large = L::splat(1.0).minus(L::splat(2.0).over(one_and_exp(x.add(x))));
        small.where_near_0(x, 0.625, large)
    }
}

/// The error function.
#[inline(always)]
unsafe fn erf<L: Lanes>(x: L) -> L {
    // SAFETY: promised by the caller.
    unsafe {
        // A rational function, as Eigen has it; from 4 on what is missing from 1 fits no number.
        let square = x.times(x);
        let above = polynomial(
            square,
            [
                -2.726_142_3e-10,
                2.770_681_4e-8,
                -2.101_024e-6,
                -5.692_506_5e-5,
                -7.349_906_3e-4,
                -2.954_6e-3,
                -1.609_603_3e-2,
            ],
        );
        let below =
            polynomial(square, [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2]);
        let sign = L::splat(-1.0).max(L::splat(1.0).min(x));
        x.times(above).over(below).where_near_0(x, 4.0, sign)
    }
}
