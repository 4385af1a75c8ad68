//! `cargo run --release -p driftlet-runtime --example first -- model.drift` writes first.pgm, or first.ppm in colour.

use std::error::Error;
use std::io::Write;

use driftlet_runtime::{Model, Sampler};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: first FILE.drift")?;
    let file = std::fs::read(&path)?;
    let model = Model::parse(&file)?;
    let [height, width, channels] = model.image_shape().ok_or("the model makes no pictures")?;
    let mut arena = vec![0; model.arena_len() + 15];
    let mut sampler = Sampler::new(&model, &mut arena)?;
    let class = model.class(7 % model.classes().max(1)).ok_or("no such class")?;
    let pixels = sampler.generate(7, class, model.guidance_range().0);

    let (kind, name) = if channels == 3 { ("P6", "first.ppm") } else { ("P5", "first.pgm") };
    let mut out = std::fs::File::create(name)?;
    write!(out, "{kind}\n{width} {height}\n255\n")?;
    out.write_all(pixels)?;
    println!("{name}: {width} x {height}");
    Ok(())
}
