//! What single operators cost, against answers that are known.

use aligned_vec::AVec;
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_metrics::{LayerCost, Pictures, sensitivity};
use driftlet_quantize::{Activations, Options, Precision, Technique, WeightBits, quantize};
use driftlet_runtime::{Guidance, Model, Sampler, Start, View};

type Failure = Box<dyn std::error::Error>;

const PICTURES: Pictures = Pictures { count: 8, first_seed: 5, guidance: Guidance::from_q8(256) };

fn checkpoint(preset: &str) -> Result<Checkpoint, Failure> {
    Ok(Checkpoint::random(Config::new(Architecture::preset(preset).ok_or("no such preset")?), 7))
}

fn file(checkpoint: &Checkpoint, options: &Options) -> Result<AVec<u8>, Failure> {
    Ok(AVec::from_slice(64, &quantize(checkpoint, options)?))
}

/// A classifier for pictures of the micro network.
fn features() -> Result<AVec<u8>, Failure> {
    let architecture: Architecture = serde_json::from_value(serde_json::json!({
        "type": "classifier", "height": 28, "width": 28, "channels": 1, "classes": 3,
        "layers": [{ "channels": 4, "stride": 2 }]
    }))?;
    file(&Checkpoint::random(Config::new(architecture), 5), &Options::new("features", Precision::F32))
}

fn measure(reference: &[u8], candidate: &[u8]) -> Result<Vec<LayerCost>, Failure> {
    let (reference, candidate, features) = (Model::parse(reference)?, Model::parse(candidate)?, features()?);
    let names: Vec<String> = (0..candidate.op_count()).map(|i| i.to_string()).collect();
    let found = sensitivity(&reference, &candidate, &Model::parse(&features)?, PICTURES, &names, &|| {})?;
    let found = found.ok_or("not measured")?;
    assert_eq!(found.pictures, PICTURES.count);
    Ok(found.layers)
}

/// Of whole pictures, by running both files as anyone does.
fn psnr(reference: &[u8], candidate: &[u8]) -> Result<f64, Failure> {
    let mut outputs = [Vec::new(), Vec::new()];
    for (file, out) in [reference, candidate].into_iter().zip(&mut outputs) {
        let model = Model::parse(file)?;
        let mut arena = AVec::<u8>::new(64);
        arena.resize(model.arena_len(), 0);
        let mut sampler = Sampler::new(&model, &mut arena)?;
        for i in 0..PICTURES.count as u64 {
            let class = model.class(i as u32 % model.classes()).ok_or("no class")?;
            sampler.generate(PICTURES.first_seed + i, class, PICTURES.guidance);
            out.extend(sampler.unrounded());
        }
    }
    let squares = outputs[0].iter().zip(&outputs[1]).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    Ok(10.0 * (4.0 * outputs[0].len() as f64 / squares).log10())
}

#[test]
fn one_layer_with_other_weights_costs_all_that_is_lost() -> Result<(), Failure> {
    let first = checkpoint("micro")?;
    let mut second = checkpoint("micro")?;
    let changed = second.tensors.iter_mut().filter(|(name, _)| name.ends_with("weight")).nth(3).ok_or("no weights")?;
    changed.1.data.iter_mut().for_each(|w| *w *= 1.03);
    let options = Options::new("x", Precision::F32);
    let (first, second) = (file(&first, &options)?, file(&second, &options)?);
    let layers = measure(&first, &second)?;
    let costly: Vec<&LayerCost> = layers.iter().filter(|layer| layer.psnr_alone.is_some()).collect();
    let [only] = costly[..] else { return Err(format!("{costly:?}").into()) };
    let last = layers.last().ok_or("no layers")?;
    let whole = psnr(&first, &second)?;
    for found in [only.psnr_alone, last.psnr_until] {
        assert!(found.is_some_and(|found| (found - whole).abs() < 0.02), "{found:?} instead of {whole}");
    }
    assert!(only.frechet_alone == last.frechet_until && only.frechet_alone > Some(0.0), "{only:?} {last:?}");
    // The same file costs nothing anywhere.
    assert!(
        measure(&first, &first)?
            .iter()
            .all(|l| l.psnr_alone.or(l.psnr_until).is_none() && l.frechet_until < Some(1e-6))
    );
    Ok(())
}

#[test]
fn what_operators_cost_alone_adds_up_to_about_the_whole() -> Result<(), Failure> {
    let checkpoint = checkpoint("micro")?;
    let reference = file(&checkpoint, &Options::new("x", Precision::F32))?;
    for (activations, weights) in [
        (Activations::Sixteen, WeightBits::Eight),
        // Channels are brought to a common range: their factors have to be found.
        (Activations::Eight, WeightBits::Eight),
        (Activations::Eight, WeightBits::Four),
    ] {
        // What takes long is left out.
        let (calibration_samples, without) = (Some(64), vec![Technique::Ranges, Technique::Fit]);
        let options =
            Options { activations, weights, calibration_samples, without, ..Options::new("x", Precision::Int8) };
        let candidate = file(&checkpoint, &options)?;
        let layers = measure(&reference, &candidate)?;
        let whole = psnr(&reference, &candidate)?;
        let last = layers.last().and_then(|layer| layer.psnr_until).ok_or("nothing lost")?;
        let energy = |db: f64| 10f64.powf(-db / 10.0);
        let sum: f64 = layers.iter().filter_map(|layer| layer.psnr_alone).map(energy).sum();
        println!(
            "{activations:?} {weights:?}: whole {whole:.2} dB, sum of single operators {:.2} dB",
            -10.0 * sum.log10()
        );
        assert!((last - whole).abs() < 0.1, "{last} at the last operator, {whole} on the whole");
        assert!(
            (0.25..4.0).contains(&(sum / energy(whole))),
            "{activations:?} {weights:?}: {sum} of {}",
            energy(whole)
        );
    }
    Ok(())
}

#[test]
fn other_networks_and_bands_are_not_measured() -> Result<(), Failure> {
    let options = Options::new("x", Precision::F32);
    let (micro, nano) = (file(&checkpoint("micro")?, &options)?, file(&checkpoint("nano")?, &options)?);
    let bands = Options { ram_limit: driftlet_quantize::RamLimit::Least, ..Options::new("x", Precision::F32) };
    for other in [nano, file(&checkpoint("micro")?, &bands)?] {
        let (reference, candidate, features) = (Model::parse(&micro)?, Model::parse(&other)?, features()?);
        let names: Vec<String> = (0..candidate.op_count()).map(|i| i.to_string()).collect();
        let found = sensitivity(&reference, &candidate, &Model::parse(&features)?, PICTURES, &names, &|| {})?;
        assert!(found.is_none());
    }
    Ok(())
}

/// Other types, other counts and operators that are not there leave a picture what it is; numbers that fit change it.
#[test]
fn only_what_fits_takes_the_place_of_a_result() -> Result<(), Failure> {
    let file = file(&checkpoint("micro")?, &Options::new("x", Precision::F32))?;
    let model = Model::parse(&file)?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let class = model.class(0).ok_or("no class")?;
    let expected = sampler.generate(3, class, PICTURES.guidance).to_vec();
    let mut pieces = sampler.start(Start::Seed(3), class, PICTURES.guidance, u32::MAX);
    while let Some(step) = pieces.step() {
        let index = step.index;
        let View::F32(numbers) = step.output else { continue };
        let zeros = vec![0.0; numbers.len()];
        for wrong in [View::F32(&zeros[1..]), View::I16(&vec![0; 2 * zeros.len()]), View::U8(&[])] {
            assert!(!pieces.replace(index, wrong), "operator {index}");
        }
        assert!(!pieces.replace(model.op_count(), View::F32(&zeros)));
    }
    assert_eq!(sampler.picture(), expected);
    let mut pieces = sampler.start(Start::Seed(3), class, PICTURES.guidance, u32::MAX);
    while let Some(step) = pieces.step() {
        if let (0, View::F32(numbers)) = (step.index, step.output) {
            let zeros = vec![0.0; numbers.len()];
            assert!(pieces.replace(0, View::F32(&zeros)));
        }
    }
    assert_ne!(sampler.picture(), expected);
    Ok(())
}
