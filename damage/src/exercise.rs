//! What has to hold for every file that parses.

use std::ops::ControlFlow;

use aligned_vec::AVec;
use driftlet_runtime::format::Precision;
use driftlet_runtime::{
    GivenNoise, Guidance, Kernels, LineSampler, Model, Network, Sampler, Start, StartError, Step, View,
};

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It did not parse.
    Refused,
    /// It parsed, but asks for more memory or work than allowed.
    TooMuch,
    /// It ran.
    Ran,
}

/// Parses a file, and runs it if that takes no more than so many bytes of arena and steps of work.
///
/// # Panics
/// If the runtime does; if a result depends on what lay in the arena before or, in integers, on the kernels, or does not fit
/// the bits that its record says.
pub fn parse_and_run(data: &[u8], arena: usize, work: u64) -> Fate {
    let file = AVec::<u8>::from_slice(64, data);
    let Ok(model) = Model::parse(&file) else { return Fate::Refused };
    let listed = (0..model.op_count()).map(|index| model.op_info(index));
    assert!(listed.map(|op| op.weight_len).all(|len| len <= 4 * file.len() as u64));
    assert!(model.metadata().len() + model.weight_len() <= file.len());
    if model.arena_len() > arena || model.work() > work {
        return Fate::TooMuch;
    }
    // Once in an arena of zeros for every kind of start, and once more in one of ones: integers by all kernels.
    let integer = model.precision() == Precision::Int8;
    let first = if integer { Kernels::PORTABLE } else { Kernels::best() };
    let mut memory = AVec::<u8>::new(64);
    memory.resize(model.arena_len(), 0);
    let (pictures, seen) = (generate(&model, &mut memory, &STARTS, first), look(&model, &mut memory));
    for kernels in Kernels::available().filter(|&kernels| integer || kernels == first) {
        memory.fill(0xff);
        let (again, seen_again) = (generate(&model, &mut memory, &STARTS[..1], kernels), look(&model, &mut memory));
        let same = pictures.starts_with(&again) && seen == seen_again;
        assert!(same, "{kernels:?}, or what lay in the arena before, shows in a result");
        if let (true, Some((picture, raw))) = (integer, pictures.first()) {
            memory.fill(0x55);
            let pieces = in_pieces(&model, &mut memory, STARTS[0], kernels);
            assert!(pieces == (picture.clone(), raw.clone()), "{kernels:?} make something else in pieces");
        }
    }
    Fate::Ran
}

/// Every kind of start, with a strength of guidance in 1/256.
const STARTS: [(Start, u16); 4] = [
    (Start::Seed(1), 300),
    (Start::Between { from: 1, to: 2, position: 1 << 14 }, 0),
    (Start::Given { noise: GivenNoise::Steps(&[127, -128, 5]), styles: &[u32::MAX] }, 700),
    (Start::Given { noise: GivenNoise::Numbers(&[f32::NAN, f32::INFINITY, -1e30]), styles: &[] }, u16::MAX),
];

/// Pixels, and the bits of the raw result.
type Picture = (Vec<u8>, Vec<u32>);

/// Pictures from some starts.
fn generate(model: &Model, arena: &mut [u8], starts: &[(Start, u16)], kernels: Kernels) -> Vec<Picture> {
    let Some(class) = model.class(model.classes().saturating_sub(1)) else { panic!("a model without a class") };
    if model.bands().is_some() {
        return generate_lines(model, arena, starts, kernels);
    }
    let Ok(mut sampler) = Sampler::new(model, arena) else { return Vec::new() };
    sampler.set_kernels(kernels);
    let picture = |&(start, guidance): &(Start, u16)| {
        let mut steps = 0;
        let done = sampler.generate_observed(start, class, Guidance::from_q8(guidance), &mut |step| {
            assert!(fits(model, &step), "operator {}", step.index);
            steps += 1;
            ControlFlow::Continue(())
        });
        assert!(done.is_some());
        assert_eq!(steps, model.op_count());
        assert!(sampler.rgb().count() <= sampler.picture().len());
        assert!(sampler.gray().count() <= sampler.picture().len());
        (sampler.picture().to_vec(), sampler.unrounded().map(f32::to_bits).collect())
    };
    starts.iter().map(picture).collect()
}

/// Pictures of a model that keeps none.
fn generate_lines(model: &Model, arena: &mut [u8], starts: &[(Start, u16)], kernels: Kernels) -> Vec<Picture> {
    let Some(class) = model.class(model.classes().saturating_sub(1)) else { panic!("a model without a class") };
    assert_eq!(Sampler::new(model, arena).err(), Some(StartError::MakesLines));
    let Ok(mut sampler) = LineSampler::new(model, arena) else { return Vec::new() };
    sampler.set_kernels(kernels);
    let picture = |&(start, guidance): &(Start, u16)| {
        let (mut lines, mut pixels) = (0, Vec::new());
        sampler.generate_lines(start, class, Guidance::from_q8(guidance), &mut |row, line| {
            assert_eq!(row, lines, "lines come from the top, each once");
            lines += 1;
            pixels.extend(line);
        });
        assert_eq!(pixels.len(), model.image_len());
        let done = sampler.generate_observed(start, class, Guidance::from_q8(guidance), &mut |step| {
            assert!(fits(model, &step), "operator {}", step.index);
            ControlFlow::Continue(())
        });
        assert!(done.is_continue());
        (pixels, Vec::new())
    };
    starts.iter().map(picture).collect()
}

/// A picture, every operator of which is cut into as many pieces as it can be.
fn in_pieces(model: &Model, arena: &mut [u8], (start, guidance): (Start, u16), kernels: Kernels) -> Picture {
    let Some(class) = model.class(model.classes().saturating_sub(1)) else { panic!("a model without a class") };
    let guidance = Guidance::from_q8(guidance);
    if model.bands().is_some() {
        let Ok(mut sampler) = LineSampler::new(model, arena) else { return Picture::default() };
        sampler.set_kernels(kernels);
        let (mut pieces, mut pixels) = (sampler.start(start, class, guidance, 1), Vec::new());
        while let Some(step) = pieces.step() {
            assert!(fits(model, &step), "operator {} in pieces", step.index);
            if let (View::U8(rows), true) = (step.output, step.index + 1 == step.count) {
                pixels.extend(rows);
            }
        }
        return (pixels, Vec::new());
    }
    let Ok(mut sampler) = Sampler::new(model, arena) else { return Picture::default() };
    sampler.set_kernels(kernels);
    let mut pieces = sampler.start(start, class, guidance, 1);
    while let Some(step) = pieces.step() {
        assert!(fits(model, &step), "operator {} in pieces", step.index);
    }
    (sampler.picture().to_vec(), sampler.unrounded().map(f32::to_bits).collect())
}

/// Sums of 32 bits rely on numbers that fit the bits of their value.
fn fits(model: &Model, step: &Step) -> bool {
    let limit = 1i32 << (model.op_info(step.index).output.bits.min(16) - 1);
    match step.output {
        View::I16(numbers) => numbers.iter().all(|&x| (-limit..limit).contains(&i32::from(x))),
        View::F32(_) | View::I8(_) | View::U8(_) => true,
    }
}

/// What a network sees.
fn look(model: &Model, arena: &mut [u8]) -> Vec<u32> {
    let Ok(mut network) = Network::new(model, arena) else { return Vec::new() };
    let image: Vec<u8> = (0..network.image_len()).map(|i| (i * 37) as u8).collect();
    let seen = network.run(&image);
    let Ok(seen) = seen else { panic!("a picture of the right length is refused") };
    seen.features.iter().chain(seen.output).map(|x| x.to_bits()).collect()
}
