//! Normalization of groups of numbers, with a gain and a shift for each channel.

use super::fixed::round_shift;
use super::{Normalizer, Operand, Output};

/// Which numbers are normalized together, and whether their mean is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The channels of one position, by their root mean square.
    Rms,
    /// The channels of one position, by mean and standard deviation.
    Layer,
    /// So many groups of neighbouring channels, each over all positions, by mean and standard deviation.
    Group(usize),
}

/// Parameters of a normalization.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    pub kind: Kind,
    /// The real epsilon times `n / scale^2`, for `n` numbers in a group.
    pub epsilon: u64,
    /// One for each channel.
    pub gain: &'a [i16],
    /// One for each channel, if any.
    pub shift: Option<&'a [i16]>,
    /// Factor of the normalized number (in `2^-14`) times the gain, `0..2^17`.
    pub gain_multiplier: i32,
    /// Factor of the shift, `0..2^31`.
    pub shift_multiplier: i32,
    /// Bits dropped, `1..=62`.
    pub right: u32,
}

/// `out = normalized(x) * gain + shift`; `x` may be in place.
pub fn norm(x: &Operand, p: &Norm, out: &mut Output) {
    let (len, channels) = (out.len(), p.gain.len().max(1));
    match p.kind {
        Kind::Rms | Kind::Layer => {
            for start in (0..len).step_by(channels) {
                let group = Group { first: start, channel: 0, run: channels, step: channels, end: start + channels };
                normalize(x, p, &group, out);
            }
        }
        Kind::Group(groups) => {
            let run = (channels / groups.max(1)).max(1);
            for channel in (0..channels).step_by(run) {
                let group = Group { first: channel, channel, run, step: channels, end: len };
                normalize(x, p, &group, out);
            }
        }
    }
}

/// Runs of neighbouring numbers: one that begins at every `step` from `first` up to `end`.
struct Group {
    first: usize,
    /// Channel of a run's first number.
    channel: usize,
    run: usize,
    step: usize,
    end: usize,
}

impl Group {
    fn runs(&self) -> impl Iterator<Item = usize> {
        (self.first..self.end).step_by(self.step)
    }
}

fn normalize(x: &Operand, p: &Norm, group: &Group, out: &mut Output) {
    let (mut sum, mut squares, mut n) = (0i64, 0u64, 0u32);
    for start in group.runs() {
        for i in start..start + group.run {
            let x = x.at(i, out);
            sum += i64::from(x);
            // At most 2^30.
            squares += u64::from((x * x).unsigned_abs());
        }
        n += group.run as u32;
    }
    let normalizer = match p.kind {
        Kind::Rms => Normalizer::rms(squares, n, p.epsilon),
        Kind::Layer | Kind::Group(_) => Normalizer::centred(sum, squares, n, p.epsilon),
    };
    for start in group.runs() {
        for c in 0..group.run {
            let channel = group.channel + c;
            let normalized = normalizer.apply(x.at(start + c, out));
            // Below 2^30 * 2^15 * 2^17.
            let product = i64::from(normalized) * i64::from(p.gain[channel]) * i64::from(p.gain_multiplier);
            let shift = p.shift.map_or(0, |shift| i64::from(shift[channel]) * i64::from(p.shift_multiplier));
            out.set(start + c, round_shift(product + shift, p.right));
        }
    }
}
