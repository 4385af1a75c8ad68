//! What the tests of several kernels use.

use super::Weights;
use crate::kernels::{Geometry, Kernels};
use crate::workers::Workers;

/// Workers that come one after the other, the last first.
pub struct Several(pub usize);

// SAFETY: each part once.
#[allow(unsafe_code)]
unsafe impl Workers for Several {
    fn count(&self) -> usize {
        self.0
    }

    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().for_each(work);
    }
}

/// The kernels of this processor that have registers of floats.
pub fn fast_kernels() -> impl Iterator<Item = Kernels> {
    Kernels::available().filter(|&kernels| super::lanes::has_lanes(kernels))
}

/// The bits of numbers.
pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Reproducible numbers, roughly normal with variance 1.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = move || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / 2f64.powi(64)
    };
    (0..len).map(|_| ((0..12).map(|_| uniform()).sum::<f64>() - 6.0) as f32).collect()
}

/// The same numbers, up to a tolerance relative to the largest of them.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= tolerance * largest, "{i}: {found} for {expected}, largest {largest}");
    }
}

/// The numbers in double precision.
pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// A convolution of 3 x 3 taps: plain, upsampled, depthwise or transposed; or of a row or a column of three.
pub fn geometry(kind: &str, [height, width]: [usize; 2], [ins, outs]: [usize; 2], stride: usize) -> Geometry {
    let transposed = kind == "transposed";
    let upsample = if kind == "upsampled" { 2 } else { 1 };
    let (kernel, padding) = (3, 1);
    let [kernel_height, kernel_width] = match kind {
        "row" => [1, kernel],
        "column" => [kernel, 1],
        _ => [kernel, kernel],
    };
    let out = |len: usize, kernel: usize| {
        if kernel == 1 {
            (len - 1) / stride + 1
        } else if transposed {
            // With an output padding that doubles the size exactly.
            (len - 1) * stride + kernel - 2 * padding + (stride - 1)
        } else {
            (len * upsample + 2 * padding - kernel) / stride + 1
        }
    };
    Geometry {
        in_height: height,
        in_width: width,
        in_channels: ins,
        out_height: out(height, kernel_height),
        out_width: out(width, kernel_width),
        out_channels: outs,
        kernel_height,
        kernel_width,
        stride,
        padding,
        top: if kernel_height == 1 { 0 } else { padding as isize },
        upsample,
        depthwise: kind == "depthwise",
        transposed,
    }
}

/// Where a file holds the weight of an output and a term.
fn stored_at(g: &Geometry, output: usize, term: usize) -> usize {
    if g.depthwise { term * g.out_channels + output } else { g.panels(1).at(output, term) }
}

/// A convolution in double precision, and transposed by scattering what the kernel gathers.
pub fn conv_model(g: &Geometry, x: &[f32], w: &Weights<f32>) -> Vec<f64> {
    let mut out: Vec<f64> =
        (0..g.out_height * g.out_width).flat_map(|_| w.bias.iter().map(|&b| f64::from(b))).collect();
    let depth = g.filter_depth();
    let taps = (0..g.kernel_height).flat_map(|ky| (0..g.kernel_width).map(move |kx| (ky, kx)));
    for (t, (ky, kx)) in taps.enumerate() {
        let places = if g.transposed { [g.in_height, g.in_width] } else { [g.out_height, g.out_width] };
        for (a, b) in (0..places[0]).flat_map(|a| (0..places[1]).map(move |b| (a, b))) {
            let padding = |taps: usize| if taps == 1 { 0 } else { g.padding as isize };
            let y = (a * g.stride + ky) as isize - padding(g.kernel_height);
            let x_ = (b * g.stride + kx) as isize - padding(g.kernel_width);
            let (of, to) =
                if g.transposed { ((a as isize, b as isize), (y, x_)) } else { ((y, x_), (a as isize, b as isize)) };
            let of = (of.0.div_euclid(g.upsample as isize), of.1.div_euclid(g.upsample as isize));
            let inside = |(y, x): (isize, isize), [h, w]: [usize; 2]| {
                (0..h as isize).contains(&y) && (0..w as isize).contains(&x)
            };
            if !inside(of, [g.in_height, g.in_width]) || !inside(to, [g.out_height, g.out_width]) {
                continue;
            }
            let of = (of.0 as usize * g.in_width + of.1 as usize) * g.in_channels;
            let to = (to.0 as usize * g.out_width + to.1 as usize) * g.out_channels;
            for o in 0..g.out_channels {
                for i in 0..depth {
                    let x = x[of + if g.depthwise { o } else { i }];
                    out[to + o] += f64::from(x) * f64::from(w.weight[stored_at(g, o, t * depth + i)]);
                }
            }
        }
    }
    out
}
