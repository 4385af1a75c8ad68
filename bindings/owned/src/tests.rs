//! A generator of a shipped model.

use super::{Arena, Error, Generator, Request};
use driftlet_checkpoint::Checkpoint;
use driftlet_quantize::{Options, Precision, RamLimit, quantize};
use driftlet_runtime::{Guidance, Model, Sampler, Start};

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

fn file() -> std::result::Result<Vec<u8>, Box<dyn std::error::Error>> {
    limited(RamLimit::None)
}

fn limited(ram_limit: RamLimit) -> std::result::Result<Vec<u8>, Box<dyn std::error::Error>> {
    let checkpoint = Checkpoint::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/fashion-nano").as_ref())?;
    Ok(quantize(&checkpoint, &Options { ram_limit, ..Options::new("nano", Precision::Int8) })?.to_vec())
}

const REQUEST: Request = Request { seed: 7, class: 3, guidance: 1.5, towards: None };

/// The same pictures as the runtime's own, one after another by the same generator.
#[test]
fn pictures_are_the_runtimes() -> Result {
    let bytes = file()?;
    let model = Model::parse(&bytes)?;
    let mut arena = vec![0; model.arena_len() + 15];
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let class = model.class(3).ok_or("no class 3")?;
    let mut generator = Generator::new(bytes.clone())?;
    let mut pixels = vec![0; generator.image_len()];
    let quarter = Start::Between { from: 7, to: 8, position: 16384 };
    let starts = [(None, Start::Seed(7)), (Some((8, 0.25)), quarter), (Some((8, 1.0)), Start::Seed(8))];
    for (towards, start) in starts {
        generator.generate(&Request { towards, ..REQUEST }, &mut pixels)?;
        assert_eq!(pixels, sampler.generate_from(start, class, Guidance::from_f32(1.5)));
        let mut elsewhere = vec![0; pixels.len()];
        generator.generate_in(&mut Arena::default(), &Request { towards, ..REQUEST }, &mut elsewhere)?;
        assert_eq!(pixels, elsewhere);
    }
    assert_eq!((generator.image_shape(), generator.guidance_range()), ([28, 28, 1], (1.0, 4.0)));
    assert_eq!(generator.file(), bytes);
    Ok(())
}

/// A model that keeps no whole picture gives the same one, in a smaller arena.
#[test]
fn models_in_bands_give_whole_pictures() -> Result {
    let (mut whole, mut bands) = (Generator::new(file()?)?, Generator::new(limited(RamLimit::Least)?)?);
    assert!(bands.model().arena_len() < whole.model().arena_len());
    let mut pixels = [vec![0; whole.image_len()], vec![1; whole.image_len()]];
    whole.generate(&REQUEST, &mut pixels[0])?;
    bands.generate(&REQUEST, &mut pixels[1])?;
    assert_eq!(pixels[0], pixels[1]);
    Ok(())
}

#[test]
fn requests_that_cannot_be_met_say_why() -> Result {
    let mut generator = Generator::new(file()?)?;
    let mut pixels = vec![0; generator.image_len()];
    let mut text = |request: Request, len: usize| {
        generator.generate(&request, &mut pixels[..len]).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(text(Request { class: 10, ..REQUEST }, 784).contains("classes 0 to 9"));
    for guidance in [0.5, 4.5, f32::NAN] {
        assert!(text(Request { guidance, ..REQUEST }, 784).contains("1 to 4"));
    }
    for position in [-0.1, 1.5, f32::NAN] {
        assert!(text(Request { towards: Some((1, position)), ..REQUEST }, 784).contains("0 to 1"));
    }
    assert!(text(REQUEST, 783).contains("784 bytes"));
    Ok(())
}

#[test]
fn damaged_files_are_refused() -> Result {
    let mut bytes = file()?;
    assert!(matches!(Generator::new(bytes[..100].to_vec()), Err(Error::File(_))));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(matches!(Generator::new(bytes), Err(Error::TornWeights)));
    Ok(())
}
