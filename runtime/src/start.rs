//! What a picture starts from.

use crate::noise::{Gaussian, Stream, quarter_turn, word};

/// What a picture starts from: its noise, and for some models style indices.
///
/// ```
/// use driftlet_runtime::Start;
/// // Eight pictures on the way from seed 1 to seed 2, both ends among them.
/// let way = (0..7u32).map(|i| Start::Between { from: 1, to: 2, position: (i * 65_536 / 7) as u16 });
/// assert_eq!(way.chain([Start::Seed(2)]).count(), 8);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Start<'i> {
    /// The noise of a seed.
    Seed(u64),
    /// The noise on the way from one seed to another. It keeps the distribution of the noise (spherical interpolation), so
    /// every picture on the way is as good as those at the ends; style indices, which are not numbers, change half way.
    Between {
        /// Where the way starts.
        from: u64,
        /// Where it ends.
        to: u64,
        /// How much of the way, in 1/65536; the end itself is `Start::Seed(to)`.
        position: u16,
    },
    /// Given noise and style indices.
    Given {
        /// Standard normal numbers in steps of 1/32 ([`crate::noise::STEPS_PER_SIGMA`]), as many as
        /// [`crate::Model::noise_len`]; missing ones are 0.
        noise: GivenNoise<'i>,
        /// As many as [`crate::Model::styles`] says; missing ones are 0, too large ones the largest.
        styles: &'i [u32],
    },
}

/// Noise of the caller's.
///
/// ```
/// use driftlet_runtime::{GivenNoise, Start};
/// // What `Start::Seed(7)` would draw, for a model that takes 64 numbers.
/// let steps: Vec<i8> = driftlet_runtime::noise::Gaussian::new(7).take(64).collect();
/// let start = Start::Given { noise: GivenNoise::Steps(&steps), styles: &[] };
/// # let _ = start;
/// ```
#[derive(Clone, Copy, Debug)]
pub enum GivenNoise<'i> {
    /// In steps of 1/32: exact for every model.
    Steps(&'i [i8]),
    /// As numbers; integer models round them to multiples of 1/32 in `-127/32..=127/32`.
    #[cfg(feature = "float")]
    Numbers(&'i [f32]),
}

impl Start<'_> {
    /// Calls `store` with every noise sample in steps of 1/32.
    pub(crate) fn steps(&self, len: usize, mut store: impl FnMut(usize, i8)) {
        match *self {
            Start::Seed(seed) => Gaussian::new(seed).take(len).enumerate().for_each(|(i, x)| store(i, x)),
            Start::Between { from, to, position } => {
                let [cosine, sine] = quarter_turn(position).map(i64::from);
                let pairs = Gaussian::new(from).zip(Gaussian::new(to)).take(len);
                for (i, (a, b)) in pairs.enumerate() {
                    let mixed = (i64::from(a) * cosine + i64::from(b) * sine + (1 << 29)) >> 30;
                    store(i, mixed.clamp(-127, 127) as i8);
                }
            }
            Start::Given { noise: GivenNoise::Steps(given), .. } => {
                (0..len).for_each(|i| store(i, given.get(i).copied().unwrap_or(0)));
            }
            #[cfg(feature = "float")]
            Start::Given { noise: GivenNoise::Numbers(given), .. } => {
                for i in 0..len {
                    let steps = given.get(i).copied().unwrap_or(0.0) * crate::noise::STEPS_PER_SIGMA as f32;
                    store(i, libm::rintf(steps).clamp(-127.0, 127.0) as i8);
                }
            }
        }
    }

    /// Calls `store` with every noise sample as a number.
    #[cfg(feature = "float")]
    pub(crate) fn numbers(&self, len: usize, mut store: impl FnMut(usize, f32)) {
        if let Start::Given { noise: GivenNoise::Numbers(given), .. } = *self {
            return (0..len).for_each(|i| store(i, given.get(i).copied().unwrap_or(0.0)));
        }
        self.steps(len, |i, x| store(i, f32::from(x) / crate::noise::STEPS_PER_SIGMA as f32));
    }

    /// The row of style table `index`.
    pub(crate) fn style(&self, index: u32, rows: u32) -> u32 {
        let drawn = |seed| ((u64::from(word(seed, Stream::Style, index)) * u64::from(rows)) >> 32) as u32;
        match *self {
            Start::Seed(seed) => drawn(seed),
            Start::Between { from, to, position } => drawn(if position < 1 << 15 { from } else { to }),
            Start::Given { styles, .. } => styles.get(index as usize).copied().unwrap_or(0).min(rows - 1),
        }
    }
}
