//! What the operators of a quantized file cost the pictures: each alone, and all up to it.
//!
//! Reference and candidate hold the same operators. The candidate's runs in its own arithmetic, integers say, on what the reference's
//! operators before it have made, rounded to the candidate's formats; its result takes the place of the reference's, and the rest
//! of the network is the reference's. So only this operator is quantized, its weights and the numbers it reads and writes, and
//! nothing is simulated but the rounding of what it reads.

use aligned_vec::AVec;
use driftlet_runtime::format::{DType, OpKind, ValueRecord};
use driftlet_runtime::{Class, Guidance, Model, Network, Sampler, Start, StartError, View};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::arena;
use crate::{MetricsError, Statistics, frechet_distance};

/// Multiply-accumulates of a measurement at most: fewer pictures for larger networks.
const MOST_MACS: u64 = 300_000_000_000;
/// Fewer pictures say nothing.
const FEWEST: usize = 4;
/// Pictures that tell the factors of channels.
const FACTOR_PICTURES: usize = 16;
/// Rounds in which factors are found; the first by results that carry the errors of all operators before.
const ROUNDS: usize = 3;
/// Quotients that tell the factor of a channel, at most.
const QUOTIENTS: usize = 1024;
/// Factors nearer to one than this are ones.
const ONE: f64 = 0.02;

/// What every operator costs the pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Pictures that it was measured on: the first ones.
    pub pictures: usize,
    /// In the order of execution; operators that only move numbers are left out.
    pub layers: Vec<LayerCost>,
}

/// What an operator costs the pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerCost {
    /// Name of its weights, or its kind.
    pub name: String,
    /// Peak signal-to-noise ratio, in dB, of pictures of which only this operator is quantized against the reference's, both before they
    /// are rounded to 8 bits; `null` if they are equal.
    pub psnr_alone: Option<f64>,
    /// The same where all operators up to this one are quantized.
    pub psnr_until: Option<f64>,
    /// Frechet distance between the features of pictures of which only this operator is quantized and of the reference's: by so much it
    /// moves the distribution. `null` where features would take too long.
    pub frechet_alone: Option<f64>,
    /// The same where all operators up to this one are quantized.
    pub frechet_until: Option<f64>,
}

/// Which pictures.
#[derive(Clone, Copy, Debug)]
pub struct Pictures {
    /// At most so many; fewer of large networks.
    pub count: usize,
    /// Seed of the first; the others follow.
    pub first_seed: u64,
    /// Of all; classes come in turn.
    pub guidance: Guidance,
}

/// Measures every operator of a candidate against the reference; `names` are those of all operators. `None` for files of other
/// operators, those that make bands, and networks too large to run as often as there are operators. Calls `step` after each picture.
///
/// # Errors
/// [`MetricsError`] if a model cannot be started, or pictures do not fit the feature network.
pub fn sensitivity(
    reference: &Model,
    candidate: &Model,
    features: &Model,
    pictures: Pictures,
    names: &[String],
    step: &(dyn Fn() + Sync),
) -> Result<Option<Sensitivity>, MetricsError> {
    let listed: Vec<u32> = (0..candidate.op_count()).filter(|&i| costs(candidate.op_info(i).kind)).collect();
    if !alike(reference, candidate) || listed.is_empty() || names.len() != candidate.op_count() as usize {
        return Ok(None);
    }
    let passes = 2 * listed.len() as u64 + 2;
    let affordable = |macs: u64| pictures.count.min((MOST_MACS / (passes * macs.max(1))) as usize);
    let with_features = affordable(reference.macs() + features.macs());
    let count = if with_features < FEWEST { affordable(reference.macs()) } else { with_features };
    if count < FEWEST {
        return Ok(None);
    }
    let features = (with_features >= FEWEST).then_some(features);
    let mut pair = Pair { reference, candidate, factors: Vec::new(), pictures: Pictures { count, ..pictures } };
    pair.find_factors()?;
    let look = |i| {
        let seen = pair.look(i, &listed, features);
        step();
        seen
    };
    let seen = (0..count).into_par_iter().map(look).collect::<Result<Vec<_>, _>>()?;
    summarize(&seen, &listed, names, reference.output_shape().iter().product())
}

/// Whether an operator can lose anything: those that only move numbers cannot, and pixels are rounded in every file.
fn costs(kind: OpKind) -> bool {
    use OpKind::{DepthToSpace, Pixels, Resize, Slice, SpaceToDepth};
    !matches!(kind, Pixels | Slice | Resize | SpaceToDepth | DepthToSpace)
}

/// Whether both files hold the same operators, each result as a whole.
fn alike(a: &Model, b: &Model) -> bool {
    let same = |i| {
        let [a, b] = [a, b].map(|model| model.op_info(i));
        a.kind == b.kind && a.output.shape == b.output.shape
    };
    a.op_count() == b.op_count() && [a, b].iter().all(|model| model.bands().is_none()) && (0..a.op_count()).all(same)
}

/// A reference and its candidate.
struct Pair<'p> {
    reference: &'p Model<'p>,
    candidate: &'p Model<'p>,
    /// Of the channels of every operator's result: what the reference calls 1 by what the candidate calls so. Quantizers bring
    /// channels of 8-bit numbers to a common range. None stand for ones.
    factors: Vec<Vec<f64>>,
    pictures: Pictures,
}

/// A picture as it came out with an operator changed.
#[derive(Clone, Default)]
struct Changed {
    /// Sum of squared differences to the reference's.
    squares: f64,
    features: Vec<f32>,
}

/// A picture with each operator changed.
struct Seen {
    /// Features of the reference's.
    features: Vec<f32>,
    /// Of every listed operator: alone, and all up to it.
    changed: Vec<[Changed; 2]>,
}

impl Pair<'_> {
    /// Finds the factors of channels: medians of quotients, since what a format cuts off moves every mean.
    fn find_factors(&mut self) -> Result<(), MetricsError> {
        let ops = self.reference.op_count();
        self.factors = vec![Vec::new(); ops as usize];
        if !balanced(self.candidate) && !balanced(self.reference) {
            return Ok(());
        }
        // What becomes the picture has none.
        let pixels = (0..ops).map(|i| self.reference.op_info(i)).find(|op| op.kind == OpKind::Pixels);
        let picture = pixels.and_then(|pixels| pixels.inputs[0]).map(|value| value.first as usize);
        for round in 0..ROUNDS {
            let mut quotients: Vec<Vec<Vec<Quotient>>> = vec![Vec::new(); ops as usize];
            let pictures = self.pictures.count.min(FACTOR_PICTURES);
            for i in 0..pictures {
                let exact = self.exact(i)?;
                self.run(self.candidate, i, &mut |index, output, record| {
                    let exact = &exact[index];
                    let channels = record.shape[2] as usize;
                    let found = &mut quotients[index];
                    found.resize(channels, Vec::new());
                    let positions = (exact.len() / channels).div_ceil(QUOTIENTS / pictures).max(1);
                    let pairs = exact.iter().zip(real(output, record, &[])).enumerate();
                    for (j, (&x, y)) in pairs.filter(|(j, _)| (j / channels).is_multiple_of(positions)) {
                        // What was cut off says nothing, nor do other signs.
                        if x * y > 0.0 && !at_an_end(output, j) {
                            found[j % channels]
                                .push(Quotient { factor: f64::from(x) / f64::from(y), weight: f64::from(x * y) });
                        }
                    }
                    (round > 0).then(|| Stored::new(exact, record, &self.factors[index]))
                })?;
            }
            let ones = |factors: &[f64]| factors.len() == 1 || factors.iter().all(|f| (f - 1.0).abs() < ONE);
            for (index, found) in quotients.iter_mut().enumerate() {
                let factors: Vec<f64> = found.iter_mut().map(|quotients| median(quotients)).collect();
                self.factors[index] = if picture == Some(index) || ones(&factors) { Vec::new() } else { factors };
            }
        }
        Ok(())
    }

    /// A picture with each of the operators changed.
    fn look(&self, i: usize, listed: &[u32], features: Option<&Model>) -> Result<Seen, MetricsError> {
        let exact = self.exact(i)?;
        let mut all = vec![Vec::new(); exact.len()];
        self.run(self.candidate, i, &mut |index, output, record| {
            all[index] = real(output, record, &self.factors[index]);
            None
        })?;
        let mut alone = vec![Vec::new(); exact.len()];
        self.run(self.candidate, i, &mut |index, output, record| {
            let factors = &self.factors[index];
            alone[index] = real(output, record, factors);
            Some(Stored::new(&exact[index], record, factors))
        })?;
        let mut arena = features.map_or_else(|| AVec::new(64), arena);
        let mut network = features.map(|model| Network::new(model, &mut arena)).transpose()?;
        let mut look = |pixels: &[u8]| -> Result<Vec<f32>, MetricsError> {
            let Some(network) = &mut network else { return Ok(Vec::new()) };
            Ok(network.run(pixels)?.features.to_vec())
        };
        let (expected, pixels) = self.run(self.reference, i, &mut |_, _, _| None)?;
        let mut changed = |replace: &mut dyn FnMut(usize) -> Option<Vec<f32>>| -> Result<Changed, MetricsError> {
            let (output, pixels) = self.run(self.reference, i, &mut |index, _, record| {
                replace(index).map(|numbers| Stored::new(&numbers, record, &[]))
            })?;
            let square = |(&a, &b): (&f32, &f32)| (f64::from(a) - f64::from(b)).powi(2);
            Ok(Changed { squares: expected.iter().zip(&output).map(square).sum(), features: look(&pixels)? })
        };
        let mut of = |&op: &u32| {
            let op = op as usize;
            let only = changed(&mut |index| (index == op).then(|| alone[op].clone()))?;
            let until = changed(&mut |index| (index <= op).then(|| all[index].clone()))?;
            Ok([only, until])
        };
        let changed = listed.iter().map(&mut of).collect::<Result<Vec<_>, MetricsError>>()?;
        Ok(Seen { features: look(&pixels)?, changed })
    }

    /// What every operator of the reference makes.
    fn exact(&self, i: usize) -> Result<Vec<Vec<f32>>, MetricsError> {
        let mut exact = vec![Vec::new(); self.reference.op_count() as usize];
        self.run(self.reference, i, &mut |index, output, record| {
            exact[index] = real(output, record, &[]);
            None
        })?;
        Ok(exact)
    }

    /// Makes picture `i`; after each operator `replace` sees what it made, and may put other numbers there. Returns the picture
    /// before it is rounded, and after.
    fn run(
        &self,
        model: &Model,
        i: usize,
        replace: &mut dyn FnMut(usize, View, &ValueRecord) -> Option<Stored>,
    ) -> Result<(Vec<f32>, Vec<u8>), MetricsError> {
        let mut arena = arena(model);
        let mut sampler = Sampler::new(model, &mut arena)?;
        let class: Class = model.class(i as u32 % model.classes().max(1)).ok_or(StartError::NotAGenerator)?;
        let seed = Start::Seed(self.pictures.first_seed.wrapping_add(i as u64));
        let mut pieces = sampler.start(seed, class, self.pictures.guidance, u32::MAX);
        while let Some(step) = pieces.step() {
            // Pixels have no numbers in between.
            if matches!(step.output, View::U8(_)) {
                continue;
            }
            let index = step.index;
            if let Some(stored) = replace(index as usize, step.output, &model.op_info(index).output) {
                pieces.replace(index, stored.view());
            }
        }
        Ok((sampler.unrounded().collect(), sampler.picture().to_vec()))
    }
}

/// A reference's number by the candidate's.
#[derive(Clone, Copy)]
struct Quotient {
    factor: f64,
    weight: f64,
}

/// The factor that half of the weight lies below; 1 if there are none.
fn median(quotients: &mut [Quotient]) -> f64 {
    quotients.sort_by(|a, b| a.factor.total_cmp(&b.factor));
    let half = quotients.iter().map(|q| q.weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    let middle = quotients.iter().find(|q| {
        below += q.weight;
        below >= half
    });
    middle.map_or(1.0, |q| q.factor)
}

/// Whether a file may have channels of a common range: those whose layers write 8 bits.
fn balanced(model: &Model) -> bool {
    let ops = (0..model.op_count()).map(|i| model.op_info(i));
    let written =
        |kind| matches!(kind, OpKind::Linear | OpKind::Conv2d | OpKind::Norm | OpKind::Mul | OpKind::Attention);
    ops.into_iter().any(|op| written(op.kind) && op.output.dtype == DType::I8)
}

/// Numbers in a value's format.
enum Stored {
    F32(Vec<f32>),
    I8(Vec<i8>),
    I16(Vec<i16>),
}

impl Stored {
    /// Rounds real numbers, by the factors of their channels.
    fn new(numbers: &[f32], record: &ValueRecord, factors: &[f64]) -> Self {
        let step = |(x, factor): (&f32, f64), low: i16, high: i16| {
            let steps = f64::from(*x) / factor / f64::from(record.scale()) + f64::from(record.zero_point);
            steps.round().clamp(low.into(), high.into())
        };
        let numbers = numbers.iter().zip(cycle(factors));
        match record.dtype {
            DType::I8 => Self::I8(numbers.map(|x| step(x, i8::MIN.into(), i8::MAX.into()) as i8).collect()),
            DType::I16 => Self::I16(numbers.map(|x| step(x, -i16::MAX, i16::MAX) as i16).collect()),
            _ => Self::F32(numbers.map(|(&x, factor)| (f64::from(x) / factor) as f32).collect()),
        }
    }

    fn view(&self) -> View<'_> {
        match self {
            Self::F32(numbers) => View::F32(numbers),
            Self::I8(numbers) => View::I8(numbers),
            Self::I16(numbers) => View::I16(numbers),
        }
    }
}

/// What stored numbers stand for.
fn real(view: View, record: &ValueRecord, factors: &[f64]) -> Vec<f32> {
    let (scale, zero) = (f64::from(record.scale()), f64::from(record.zero_point));
    let number = |(q, factor): (f64, f64)| ((q - zero) * scale * factor) as f32;
    let factors = cycle(factors);
    match view {
        View::F32(numbers) => numbers.iter().zip(factors).map(|(&x, factor)| (f64::from(x) * factor) as f32).collect(),
        View::I8(numbers) => numbers.iter().map(|&q| q.into()).zip(factors).map(number).collect(),
        View::I16(numbers) => numbers.iter().map(|&q| q.into()).zip(factors).map(number).collect(),
        View::U8(_) => Vec::new(),
    }
}

/// Whether a number is the largest or smallest of its type.
fn at_an_end(view: View, index: usize) -> bool {
    match view {
        View::I8(numbers) => matches!(numbers[index], i8::MIN | i8::MAX),
        View::I16(numbers) => numbers[index].unsigned_abs() >= i16::MAX as u16,
        View::F32(_) | View::U8(_) => false,
    }
}

/// The factor of every number, channel after channel.
fn cycle(factors: &[f64]) -> impl Iterator<Item = f64> {
    let factors = if factors.is_empty() { &[1.0][..] } else { factors };
    factors.iter().copied().cycle()
}

fn summarize(
    seen: &[Seen],
    listed: &[u32],
    names: &[String],
    pixels: usize,
) -> Result<Option<Sensitivity>, MetricsError> {
    let dim = seen.first().map_or(0, |seen| seen.features.len());
    let statistics = |of: &dyn Fn(&Seen) -> &[f32]| {
        let features: Vec<f32> = seen.iter().flat_map(|seen| of(seen).to_vec()).collect();
        Statistics::of(&features, dim)
    };
    let expected = (dim > 0).then(|| statistics(&|seen| &seen.features)).transpose()?;
    let mut layers = Vec::with_capacity(listed.len());
    for (place, &op) in listed.iter().enumerate() {
        // Of numbers in [-1, 1].
        let psnr = |which: usize| {
            let squares: f64 = seen.iter().map(|seen| seen.changed[place][which].squares).sum();
            let mean = squares / (seen.len() * pixels) as f64;
            (mean > 0.0).then(|| (1000.0 * (4.0 / mean).log10()).round() / 100.0)
        };
        let moved = |which: usize| -> Result<Option<f64>, MetricsError> {
            let Some(expected) = &expected else { return Ok(None) };
            let distance = frechet_distance(expected, &statistics(&|seen| &seen.changed[place][which].features)?)?;
            Ok(Some(four_digits(distance.max(0.0))))
        };
        layers.push(LayerCost {
            name: names[op as usize].clone(),
            psnr_alone: psnr(0),
            psnr_until: psnr(1),
            frechet_alone: moved(0)?,
            frechet_until: moved(1)?,
        });
    }
    Ok(Some(Sensitivity { pictures: seen.len(), layers }))
}

/// So that a number is the same when it was written and read.
fn four_digits(number: f64) -> f64 {
    format!("{number:.3e}").parse().unwrap_or(number)
}
