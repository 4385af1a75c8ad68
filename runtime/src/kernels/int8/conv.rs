//! Convolutions and linear layers: 8-bit weights, 32-bit sums, one fixed-point rounding.

use core::ops::Range;

use super::fixed::{Int, round_shift};
use crate::kernels::Geometry;
use crate::kernels::matrix::{Layer, small};
use crate::panels::{PANEL, Panels};

/// Fixed-point scales of one output channel.
#[derive(Clone, Copy, Debug)]
pub struct Rescale {
    /// Factor of the sum, `0..2^31`.
    pub multiplier: i32,
    /// Bits dropped after the products, `1..=62`.
    pub shift: u32,
    /// Factor of the residual.
    pub residual: i32,
}

impl Rescale {
    /// `floor((sum * multiplier + residual * factor) / 2^shift + 1/2)`. The products stay below `2^62 + 2^48` and the
    /// rounding term below `2^61 + 1`, so 64 bits never overflow.
    #[inline(always)]
    pub fn apply(self, sum: i32, residual: i32) -> i64 {
        let exact = i64::from(sum) * i64::from(self.multiplier) + i64::from(residual) * i64::from(self.residual);
        round_shift(exact, self.shift)
    }
}

/// What a convolution adds to the rescaled sum.
pub enum Residual<'a> {
    None,
    /// Numbers and their zero point.
    I8(&'a [i8], i32),
    I16(&'a [i16]),
    /// The numbers lie in the output; their zero point. The convolution's input lies elsewhere.
    InPlace(i32),
}

/// What happens to a sum before it is stored.
pub struct Epilogue<'a> {
    pub residual: Residual<'a>,
    pub relu: bool,
    pub zero_point: i32,
    /// Bits of what is stored.
    pub bits: u8,
}

/// Weights of a convolution in [`Panels`](crate::panels::Panels) (depthwise `[channels, kernel height, kernel width, 1]`), bias with the input's zero
/// point folded in, and `[out, 2]` scales (multiplier, shift), or `[out, 3]` with a residual (its factor).
pub struct Weights<'a> {
    /// All panels, or some that follow one another: only their outputs are computed.
    pub weight: &'a [i8],
    /// The first panel that `weight` holds.
    pub first_panel: usize,
    pub bias: &'a [i32],
    pub rescale: &'a [i32],
}

impl Weights<'_> {
    /// The panels that there are.
    pub fn panels(&self, panels: &Panels) -> Range<usize> {
        self.first_panel..self.first_panel + self.weight.len().div_ceil(PANEL * panels.terms)
    }

    /// The weights of so many outputs, from the first of a panel on.
    #[inline]
    pub fn of(&self, panels: &Panels, panel: usize, outputs: usize) -> &[i8] {
        &self.weight[panels.start(panel - self.first_panel)..][..outputs * panels.terms]
    }
}

/// Convolution (plain, depthwise or transposed) or linear layer. A tap without an input reads `in_zero`, so that the
/// folded bias holds at the borders too.
pub fn conv<I: Int, O: Int>(g: &Geometry, x: &[I], in_zero: I, w: &Weights, epilogue: &Epilogue, out: &mut [O]) {
    small::run(&Layer { g, x, in_zero, w, epilogue }, out);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Backwards, Random};
    use super::*;
    use crate::kernels::Kernels;
    use crate::kernels::matrix::{self, Stored};
    use crate::panels::QUAD;
    use crate::workers::{Alone, Workers};

    /// Inputs, with the matrix kernels that take them.
    trait Input: Int + PartialEq {
        fn run<O: Stored>(kernels: Kernels, workers: &dyn Workers, layer: &Layer<Self>, out: &mut [O]);
    }

    impl Input for i8 {
        fn run<O: Stored>(kernels: Kernels, workers: &dyn Workers, layer: &Layer<Self>, out: &mut [O]) {
            matrix::bytes(kernels, workers, layer, out);
        }
    }

    impl Input for i16 {
        fn run<O: Stored>(kernels: Kernels, workers: &dyn Workers, layer: &Layer<Self>, out: &mut [O]) {
            matrix::words(kernels, workers, layer, out);
        }
    }

    #[test]
    fn rescale_rounds_half_up() {
        let half = Rescale { multiplier: 1, shift: 1, residual: 0 };
        assert_eq!([-3, -2, -1, 0, 1, 2, 3].map(|v| half.apply(v, 0)), [-1, -1, 0, 0, 1, 1, 2]);
    }

    #[test]
    fn rescale_survives_extremes() {
        let r = Rescale { multiplier: i32::MAX, shift: 62, residual: i32::MAX };
        assert_eq!(r.apply(i32::MAX, 65535), 1);
        assert_eq!(r.apply(i32::MIN, -65535), -1);
    }

    /// A random convolution of some form.
    fn geometry(random: &mut Random, depthwise: bool, transposed: bool) -> Geometry {
        loop {
            let [kernel_height, kernel_width] = [(); 2].map(|()| random.size(1, 4));
            let (stride, padding) = (random.size(1, 3), random.size(0, kernel_height.min(kernel_width) - 1));
            let upsample = if transposed { 1 } else { random.size(1, 2) };
            let extra = if transposed { random.size(0, stride - 1) } else { 0 };
            let [in_height, in_width] = [(); 2].map(|()| random.size(1, 9));
            let size = |len: usize, kernel: usize| {
                if transposed {
                    ((len - 1) * stride + kernel + extra).checked_sub(2 * padding)
                } else {
                    (len * upsample + 2 * padding).checked_sub(kernel).map(|steps| steps / stride + 1)
                }
            };
            let (Some(out_height), Some(out_width)) = (size(in_height, kernel_height), size(in_width, kernel_width))
            else {
                continue;
            };
            if out_height == 0 || out_width == 0 {
                continue;
            }
            let in_channels = random.size(1, 9);
            let out_channels = match random.size(0, 5) {
                _ if depthwise => in_channels,
                0 => 1,
                _ => random.size(1, 120),
            };
            return Geometry {
                in_height,
                in_width,
                in_channels,
                out_height,
                out_width,
                out_channels,
                kernel_height,
                kernel_width,
                stride,
                padding,
                top: padding as isize,
                upsample,
                depthwise,
                transposed,
            };
        }
    }

    /// A random convolution of 3 x 3 with a border of one, wide or narrow, of many channels or few.
    fn three_by_three(random: &mut Random, upsample: usize) -> Geometry {
        let [in_height, in_width] = [random.size(1, 5), random.size(1, 80)];
        let most_channels = if random.size(0, 3) == 0 { 150 } else { 40 };
        Geometry {
            in_height,
            in_width,
            in_channels: random.size(1, most_channels),
            out_height: upsample * in_height,
            out_width: upsample * in_width,
            out_channels: random.size(1, 40),
            kernel_height: 3,
            kernel_width: 3,
            stride: 1,
            padding: 1,
            top: 1,
            upsample,
            depthwise: false,
            transposed: false,
        }
    }

    /// Sums by their definition: every input is scattered to the outputs that it reaches.
    fn scattered(g: &Geometry, x: &[i64], weight: &[i8]) -> Vec<i64> {
        let mut sums = vec![0; g.out_height * g.out_width * g.out_channels];
        // Upsampled by copying, so that upsampling is not in the index.
        let (height, width) = (g.in_height * g.upsample, g.in_width * g.upsample);
        for (iy, ix, ky, kx) in (0..height).flat_map(|iy| {
            (0..width).flat_map(move |ix| {
                (0..g.kernel_height).flat_map(move |ky| (0..g.kernel_width).map(move |kx| (iy, ix, ky, kx)))
            })
        }) {
            let target = |i: usize, k: usize, len: usize| {
                let (i, k, stride, padding) = (i as i64, k as i64, g.stride as i64, g.padding as i64);
                let spread = if g.transposed { i * stride + k - padding } else { i + padding - k };
                let o = if g.transposed { spread } else { spread / stride };
                let hit = spread >= 0 && (g.transposed || spread % stride == 0) && o < len as i64;
                hit.then_some(o as usize)
            };
            let (Some(oy), Some(ox)) = (target(iy, ky, g.out_height), target(ix, kx, g.out_width)) else { continue };
            let pixel = (iy / g.upsample * g.in_width + ix / g.upsample) * g.in_channels;
            for o in 0..g.out_channels {
                let filter = (o * g.kernel_height + ky) * g.kernel_width + kx;
                let sum = &mut sums[(oy * g.out_width + ox) * g.out_channels + o];
                if g.depthwise {
                    *sum += x[pixel + o] * i64::from(weight[filter]);
                    continue;
                }
                for i in 0..g.in_channels {
                    *sum += x[pixel + i] * i64::from(weight[filter * g.in_channels + i]);
                }
            }
        }
        sums
    }

    /// Weights `[out, kernel height, kernel width, in]` as a file holds them.
    fn in_panels(g: &Geometry, weight: &[i8]) -> Vec<i8> {
        let panels = g.panels(QUAD);
        let padded = g.in_channels.next_multiple_of(QUAD);
        let mut stored = vec![0; panels.outputs * panels.terms];
        for (i, &w) in weight.iter().enumerate() {
            let (tap, channel) = (i / g.in_channels, i % g.in_channels);
            let taps = g.kernel_height * g.kernel_width;
            stored[panels.at(tap / taps, tap % taps * padded + channel)] = w;
        }
        stored
    }

    /// Equality with the definition for random shapes, for every form and residual, of one pair of types.
    fn check<I: Input, O: Stored + PartialEq + core::fmt::Debug>(seed: u64, in_bits: u8, out_bits: u8) {
        let mut random = Random(seed);
        for round in 0..400 {
            let g = match round % 8 {
                0 => three_by_three(&mut random, 2),
                4 => three_by_three(&mut random, 1),
                _ => geometry(&mut random, round % 2 == 1, round / 2 % 2 == 1),
            };
            let taps = g.kernel_height * g.kernel_width * g.filter_depth();
            let limit = 1 << (in_bits - 1);
            let zero = random.zero(in_bits);
            let draw = |random: &mut Random, n: usize, low, high| -> Vec<i32> {
                (0..n).map(|_| random.between(low, high)).collect()
            };
            let x = draw(&mut random, g.in_height * g.in_width * g.in_channels, -limit, limit - 1);
            let weight: Vec<i8> =
                draw(&mut random, g.out_channels * taps, -127, 127).into_iter().map(|w| w as i8).collect();
            let bias = draw(&mut random, g.out_channels, -100_000, 100_000);
            let len = g.out_height * g.out_width * g.out_channels;
            let sums = scattered(&g, &x.iter().map(|x| i64::from(x - zero)).collect::<Vec<_>>(), &weight);
            let folded: Vec<_> = bias
                .iter()
                .zip(weight.chunks_exact(taps))
                .map(|(b, filter)| b - zero * filter.iter().map(|&w| i32::from(w)).sum::<i32>())
                .collect();

            let (zero_point, relu) = (random.zero(out_bits), random.between(0, 1) == 1);
            let form = random.between(0, 3);
            let residual_zero = if form == 1 || form == 3 && out_bits == 8 { random.zero(8) } else { 0 };
            let residual_bits = if form == 3 {
                out_bits
            } else if form == 1 {
                8
            } else {
                16
            };
            let r_limit = 1 << (residual_bits - 1);
            let r = draw(&mut random, len, -r_limit, r_limit - 1);
            let r8: Vec<i8> = r.iter().map(|&v| v as i8).collect();
            let r16: Vec<i16> = r.iter().map(|&v| v as i16).collect();
            let residual = match form {
                0 => Residual::None,
                1 => Residual::I8(&r8, residual_zero),
                2 => Residual::I16(&r16),
                _ => Residual::InPlace(residual_zero),
            };
            // Shifts that fit 32 bits for all outputs, for some, or none in particular.
            let (least, most) = [(32, 45), (20, 45), (1, 62)][random.size(0, 2)];
            let rescale: Vec<i32> = (0..g.out_channels)
                .flat_map(|_| {
                    [random.between(0, i32::MAX), random.between(least, most), random.between(0, i32::MAX)]
                        .into_iter()
                        .take(if form == 0 { 2 } else { 3 })
                })
                .collect();
            let epilogue = Epilogue { residual, relu, zero_point, bits: out_bits };
            let mut results = Vec::new();
            let mut out: Vec<O> = r.iter().map(|&v| O::saturate(v.into())).collect();
            let inputs: Vec<I> = x.iter().map(|&v| I::saturate(v.into())).collect();
            let stored = if g.depthwise { weight.clone() } else { in_panels(&g, &weight) };
            let weights = Weights { weight: &stored, first_panel: 0, bias: &folded, rescale: &rescale };
            for kernels in Kernels::available().filter(|&kernels| matrix::takes(kernels, &g)) {
                for workers in [&Alone as &dyn Workers, &Backwards] {
                    let mut fast: Vec<O> = r.iter().map(|&v| O::saturate(v.into())).collect();
                    let in_zero = I::saturate(zero.into());
                    let layer = Layer { g: &g, x: &inputs, in_zero, w: &weights, epilogue: &epilogue };
                    I::run(kernels, workers, &layer, &mut fast);
                    results.push((kernels, fast));
                }
            }
            conv(&g, &inputs, I::saturate(zero.into()), &weights, &epilogue, &mut out);
            for (kernels, fast) in results {
                assert!(fast == out, "{kernels:?}, {g:?}");
            }

            let scales: Vec<_> = rescale.chunks_exact(if form == 0 { 2 } else { 3 }).collect();
            let limit = 1i128 << (out_bits - 1);
            for (i, &y) in out.iter().enumerate() {
                let o = i % g.out_channels;
                let mut exact = i128::from(sums[i] + i64::from(bias[o])) * i128::from(scales[o][0]);
                if form != 0 {
                    exact += i128::from(r[i] - residual_zero) * i128::from(scales[o][2]);
                }
                let shift = scales[o][1];
                let mut expected = (exact + (1 << (shift - 1))).div_euclid(1 << shift);
                if relu {
                    expected = expected.max(0);
                }
                let expected = (expected + i128::from(zero_point)).clamp(-limit, limit - 1);
                assert_eq!(i128::from(y.into()), expected, "{g:?}, number {i}");
            }
        }
    }

    /// A part of a map begins with rows that are there, or that were left out.
    #[test]
    fn parts_of_maps_equal_the_reference() {
        let mut random = Random(21);
        for _ in 0..60 {
            let plain = three_by_three(&mut random, 1);
            let (top, out_height) = (random.between(-1, 2) as isize, random.size(1, plain.in_height + 1));
            let g = Geometry { top, out_height, ..plain };
            let mut bytes = |n: usize| -> Vec<i8> { (0..n).map(|_| random.between(-127, 127) as i8).collect() };
            let x = bytes(g.in_height * g.in_width * g.in_channels);
            let weight = in_panels(&g, &bytes(g.out_channels * 9 * g.in_channels));
            let rescale = [1 << 30, 38].repeat(g.out_channels);
            let bias = vec![1000; g.out_channels];
            let w = Weights { weight: &weight, first_panel: 0, bias: &bias, rescale: &rescale };
            let epilogue = Epilogue { residual: Residual::None, relu: false, zero_point: 3, bits: 16 };
            let mut expected = vec![0i16; g.out_height * g.out_width * g.out_channels];
            conv(&g, &x, -5, &w, &epilogue, &mut expected);
            for kernels in Kernels::available().filter(|&kernels| matrix::takes(kernels, &g)) {
                let mut fast = vec![0i16; expected.len()];
                let layer = Layer { g: &g, x: &x, in_zero: -5, w: &w, epilogue: &epilogue };
                matrix::bytes(kernels, &Backwards, &layer, &mut fast);
                assert!(fast == expected, "{kernels:?}, {g:?}");
            }
        }
    }

    /// The largest sums of the most channels that are transformed.
    #[test]
    fn transforms_have_room_for_extremes() {
        let g = Geometry {
            in_height: 4,
            in_width: 9,
            in_channels: 2048,
            out_height: 4,
            out_width: 9,
            out_channels: 9,
            kernel_height: 3,
            kernel_width: 3,
            stride: 1,
            padding: 1,
            top: 1,
            upsample: 1,
            depthwise: false,
            transposed: false,
        };
        let epilogue = Epilogue { residual: Residual::None, relu: false, zero_point: 0, bits: 16 };
        let rescale = [1 << 30, 44].repeat(9);
        for (x, weight) in [(-128, -128), (-128, 127), (127, -128)] {
            let (x, weight) = (vec![x; 4 * 9 * 2048], vec![weight; 9 * 9 * 2048]);
            let w = Weights { weight: &weight, first_panel: 0, bias: &[0; 9], rescale: &rescale };
            let mut expected = [0i16; 4 * 9 * 9];
            conv(&g, &x, 0, &w, &epilogue, &mut expected);
            // The first output sees 2 x 2 pixels.
            let products = i32::from(x[0]) * i32::from(weight[0]) * 2048;
            assert_eq!(i32::from(expected[0]), (4 * products + (1 << 13)) >> 14);
            for kernels in Kernels::available().filter(|&kernels| matrix::takes(kernels, &g)) {
                let mut fast = [0i16; 4 * 9 * 9];
                let layer = Layer { g: &g, x: &x, in_zero: 0, w: &w, epilogue: &epilogue };
                matrix::bytes(kernels, &Alone, &layer, &mut fast);
                assert!(fast == expected, "{kernels:?}");
            }
        }
    }

    #[test]
    fn every_form_equals_its_definition() {
        check::<i8, i8>(15, 8, 8);
        check::<i8, i16>(16, 8, 14);
        check::<i16, i8>(17, 12, 8);
        check::<i16, i16>(18, 16, 16);
    }
}
