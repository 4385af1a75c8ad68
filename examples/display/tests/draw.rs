//! A display shows the picture, from a model that never holds one.

use std::path::Path;

use aligned_vec::AVec;
use driftlet_checkpoint::Checkpoint;
use driftlet_display::draw;
use driftlet_quantize::{Options, Precision, RamLimit, quantize};
use driftlet_runtime::{Guidance, LineSampler, Model, Sampler, Start};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{OriginDimensions, Point, Size};
use embedded_graphics_simulator::SimulatorDisplay;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn arena(model: &Model) -> AVec<u8> {
    let mut arena = AVec::new(64);
    arena.resize(model.arena_len(), 0);
    arena
}

#[test]
fn a_display_shows_the_picture_in_squares() -> Outcome {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/fashion-nano");
    let checkpoint = Checkpoint::load(&models)?;
    let options = Options::new("nano", Precision::Int8);
    let whole = AVec::<u8>::from_slice(64, &quantize(&checkpoint, &options)?);
    let least = Options { ram_limit: RamLimit::Least, ..options };
    let least = AVec::<u8>::from_slice(64, &quantize(&checkpoint, &least)?);
    let (whole, least) = (Model::parse(&whole)?, Model::parse(&least)?);
    assert!(least.bands().is_some());
    let [height, width, _] = least.image_shape().ok_or("no picture")?;
    let (mut whole_arena, mut least_arena) = (arena(&whole), arena(&least));
    let mut expected = Sampler::new(&whole, &mut whole_arena)?;
    let mut sampler = LineSampler::new(&least, &mut least_arena)?;
    for (seed, class, scale) in [(7, 3, 1), (8, 9, 3)] {
        let (class, guidance) = (least.class(class).ok_or("no class")?, Guidance::from_q8(300));
        let at = Point::new(5, 2);
        // The last column of pixels and the last row lie beyond the display.
        let size = Size::new(5 + width as u32 * scale - 1, 2 + height as u32 * scale - 1);
        let mut display = SimulatorDisplay::<Rgb888>::new(size);
        draw(&mut sampler, (Start::Seed(seed), class, guidance), &mut display, at, scale)?;
        expected.generate(seed, class, guidance);
        let picture: Vec<[u8; 3]> = expected.rgb().collect();
        for y in 0..display.size().height as i32 {
            for x in 0..display.size().width as i32 {
                let shown = display.get_pixel(Point::new(x, y));
                let [row, column] = [y - at.y, x - at.x].map(|p| p.div_euclid(scale as i32));
                let drawn =
                    if row < 0 || column < 0 { [0; 3] } else { picture[row as usize * width + column as usize] };
                assert_eq!([shown.r(), shown.g(), shown.b()], drawn, "seed {seed} at {x}, {y}");
            }
        }
    }
    Ok(())
}
