//! Noise that is the same on every machine: a counter-based generator and an integer Gaussian.
//!
//! `docs/noise.md` is the specification, with test vectors. Random bits come from Philox4x32-10 (Salmon et al.,
//! "Parallel random numbers: as easy as 1, 2, 3", SC 2011); a Gaussian sample is an integer in `-127..=127` that
//! stands for a multiple of 1/32, so that integer and float models see exactly the same noise.

/// Steps of [`Gaussian`] in one standard deviation.
pub const STEPS_PER_SIGMA: i32 = 32;

/// What a stream of random words is used for; streams of one seed are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// The continuous noise that a generator starts from.
    Noise = 0,
    /// The discrete noise: indices of style embeddings.
    Style = 1,
}

/// Ten rounds of Philox4x32.
///
/// ```
/// use driftlet_runtime::noise::philox4x32;
/// assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let p0 = u64::from(counter[0]) * 0xD251_1F53;
        let p1 = u64::from(counter[2]) * 0xCD9E_8D57;
        counter =
            [(p1 >> 32) as u32 ^ counter[1] ^ key[0], p1 as u32, (p0 >> 32) as u32 ^ counter[3] ^ key[1], p0 as u32];
    }
    counter
}

/// Word `index` of a stream of a seed: word `index % 4` of the block with counter `[index / 4, 0, stream, 0]` and the
/// seed's low and high half as key.
///
/// ```
/// use driftlet_runtime::noise::{Gaussian, Stream, gaussian, word};
/// let fifth = gaussian(word(7, Stream::Noise, 4));
/// assert_eq!(Gaussian::new(7).nth(4), Some(fifth));
/// ```
pub fn word(seed: u64, stream: Stream, index: u32) -> u32 {
    block(seed, stream, index / 4)[(index % 4) as usize]
}

fn block(seed: u64, stream: Stream, index: u32) -> [u32; 4] {
    philox4x32([index, 0, stream as u32, 0], [seed as u32, (seed >> 32) as u32])
}

/// Standard Gaussian noise of a seed in steps of 1/32: an iterator over `-127..=127`.
///
/// ```
/// use driftlet_runtime::noise::Gaussian;
/// let first: Vec<i8> = Gaussian::new(7).take(4).collect();
/// assert_eq!(first, Gaussian::new(7).take(4).collect::<Vec<i8>>());
/// ```
#[derive(Clone, Debug)]
pub struct Gaussian {
    seed: u64,
    next: u32,
    words: [u32; 4],
}

impl Gaussian {
    /// The noise of a seed, from its first sample on.
    pub fn new(seed: u64) -> Self {
        Self { seed, next: 0, words: [0; 4] }
    }
}

impl Iterator for Gaussian {
    type Item = i8;

    fn next(&mut self) -> Option<i8> {
        let lane = (self.next % 4) as usize;
        if lane == 0 {
            self.words = block(self.seed, Stream::Noise, self.next / 4);
        }
        self.next = self.next.wrapping_add(1);
        Some(gaussian(self.words[lane]))
    }
}

/// Maps 32 uniform bits to a Gaussian integer: the lowest bit is the sign, the other 31 are compared with the
/// cumulative distribution of the magnitude.
///
/// ```
/// use driftlet_runtime::noise::{STEPS_PER_SIGMA, gaussian};
/// let numbers = [0, 1 << 31, (1 << 31) + 1].map(|word| f32::from(gaussian(word)) / STEPS_PER_SIGMA as f32);
/// assert_eq!(numbers, [0.0, 0.6875, -0.6875]);
/// ```
pub fn gaussian(word: u32) -> i8 {
    let magnitude = THRESHOLDS.partition_point(|&t| t <= word >> 1) as i8;
    if word & 1 == 1 { -magnitude } else { magnitude }
}

/// Cosine and sine of `position / 65536` of a right angle, in 2^-30, by the odd Taylor polynomial of degree 13 in integers:
/// within `2^-27` of the exact values, and exact at both ends.
pub(crate) fn quarter_turn(position: u16) -> [i32; 2] {
    let sine = |t: i64| {
        // (pi / 2)^k / k! with alternating signs, in 2^-30, from k = 13 down to 1; the first also stands for those that
        // follow, so that all sum to 2^30.
        const COEFFICIENTS: [i64; 7] = [60, -3864, 172_272, -5_026_995, 85_569_306, -693_598_668, 1_686_629_713];
        let square = (t * t) >> 30;
        let sum = COEFFICIENTS.iter().fold(0, |sum: i64, c| ((sum * square) >> 30) + c);
        ((sum * t) >> 30).clamp(0, 1 << 30) as i32
    };
    let t = i64::from(position) << 14;
    [sine((1 << 30) - t), sine(t)]
}

/// `round(2^31 * P(|z| < (k - 1/2) / 32))` for k in 1..=127 and standard normal z. Larger magnitudes saturate.
#[rustfmt::skip]
static THRESHOLDS: [u32; 127] = [
    26771474, 80288286, 133726768, 187034955, 240161262, 293054635, 345664698, 397941894,
    449837631, 501304410, 552295960, 602767362, 652675162, 701977489, 750634152, 798606740,
    845858706, 892355450, 938064388, 982955010, 1026998937, 1070169964, 1112444089, 1153799544,
    1194216806, 1233678607, 1272169930, 1309677997, 1346192253, 1381704335, 1416208041, 1449699283,
    1482176044, 1513638315, 1544088039, 1573529038, 1601966947, 1629409133, 1655864614, 1681343975,
    1705859281, 1729423988, 1752052847, 1773761817, 1794567965, 1814489375, 1833545052, 1851754827,
    1869139269, 1885719585, 1901517537, 1916555350, 1930855629, 1944441273, 1957335399, 1969561261,
    1981142178, 1992101467, 2002462373, 2012248007, 2021481289, 2030184895, 2038381202, 2046092246,
    2053339675, 2060144716, 2066528137, 2072510214, 2078110711, 2083348850, 2088243294, 2092812130,
    2097072859, 2101042378, 2104736983, 2108172356, 2111363569, 2114325082, 2117070745, 2119613807,
    2121966918, 2124142142, 2126150963, 2128004301, 2129712521, 2131285449, 2132732388, 2134062129,
    2135282972, 2136402741, 2137428803, 2138368081, 2139227076, 2140011883, 2140728211, 2141381395,
    2141976422, 2142517939, 2143010278, 2143457468, 2143863254, 2144231108, 2144564252, 2144865666,
    2145138107, 2145384118, 2145606047, 2145806056, 2145986134, 2146148109, 2146293658, 2146424320,
    2146541504, 2146646496, 2146740473, 2146824509, 2146899582, 2146966582, 2147026320, 2147079530,
    2147126880, 2147168974, 2147206358, 2147239528, 2147268929, 2147294965, 2147317997,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with Random123 (`kat_vectors`).
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([!0; 4], [!0; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn thresholds_are_the_normal_distribution() {
        for (i, &t) in THRESHOLDS.iter().enumerate() {
            let x = (i as f64 + 0.5) / 32.0;
            let p = libm::erf(x / core::f64::consts::SQRT_2) * 2f64.powi(31);
            assert!((p - f64::from(t)).abs() <= 0.501, "threshold {i}: {t} against {p}");
        }
    }

    #[test]
    fn moments_are_those_of_a_standard_normal() {
        let n = 200_000;
        let samples = Gaussian::new(1).take(n).map(|v| f64::from(v) / 32.0);
        let (mut m1, mut m2, mut m4) = (0.0, 0.0, 0.0);
        for v in samples {
            m1 += v / n as f64;
            m2 += v * v / n as f64;
            m4 += v.powi(4) / n as f64;
        }
        // Five standard errors each.
        assert!(m1.abs() < 5.0 * (1.0 / n as f64).sqrt(), "mean {m1}");
        assert!((m2 - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt(), "variance {m2}");
        assert!((m4 - 3.0).abs() < 5.0 * (96.0 / n as f64).sqrt(), "fourth moment {m4}");
    }

    #[test]
    fn a_quarter_turn_is_cosine_and_sine() {
        for position in (0..=u16::MAX).step_by(97) {
            let angle = f64::from(position) / 65536.0 * core::f64::consts::FRAC_PI_2;
            let [cosine, sine] = quarter_turn(position).map(|v| f64::from(v) / f64::from(1 << 30));
            let off = (cosine - angle.cos()).abs().max((sine - angle.sin()).abs());
            assert!(off < 2f64.powi(-27), "position {position}: {off}");
        }
        assert_eq!(quarter_turn(0), [1 << 30, 0]);
    }

    #[test]
    fn words_and_samples_agree() {
        let direct: Vec<i8> = (0..37).map(|i| gaussian(word(99, Stream::Noise, i))).collect();
        assert_eq!(direct, Gaussian::new(99).take(37).collect::<Vec<i8>>());
        assert_ne!(word(99, Stream::Noise, 0), word(99, Stream::Style, 0));
        assert_ne!(word(1, Stream::Noise, 0), word(1 << 32, Stream::Noise, 0));
    }

    /// The table of test vectors in the specification is true.
    #[test]
    fn the_documents_vectors_hold() {
        let document = include_str!("../../docs/noise.md");
        let rows = document.lines().filter_map(|line| {
            let (seed, samples) = line.strip_prefix("| ")?.strip_suffix("` |")?.split_once(" | `")?;
            Some((seed.parse::<u64>().ok()?, samples))
        });
        let mut checked = 0;
        for (seed, samples) in rows {
            let expected: Vec<String> = samples.split(' ').map(String::from).collect();
            let got: Vec<String> = Gaussian::new(seed).take(expected.len()).map(|v| v.to_string()).collect();
            assert_eq!(got, expected, "seed {seed}");
            checked += 1;
        }
        assert_eq!(checked, 5);
    }
}
