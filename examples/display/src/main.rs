//! Draws a picture of every class of a model to a simulated display, and saves what the display shows.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use driftlet_display::draw;
use driftlet_runtime::{Guidance, LineSampler, Model, Start};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::pixelcolor::{Rgb565, RgbColor};
use embedded_graphics::prelude::{Drawable, Point, Size};
use embedded_graphics::text::Text;
use embedded_graphics_simulator::{OutputSettings, SimulatorDisplay};
use memmap2::Mmap;

/// Draws a picture of every class to a simulated display of 320 x 240 pixels, line by line
#[derive(Parser)]
struct Arguments {
    /// A .drift file of pictures; `driftlet quantize --ram-limit least` makes one that needs the least memory
    model: PathBuf,
    /// What the display shows
    #[arg(long, default_value = "display.png")]
    out: PathBuf,
    /// The first seed; the others follow
    #[arg(long, default_value_t = 100)]
    seed: u64,
}

/// As many displays for microcontrollers have.
const DISPLAY: Size = Size::new(320, 240);
const COLUMNS: u32 = 5;
/// Height of the text below a picture.
const LABEL: u32 = 12;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let name = arguments.model.display();
    let file = std::fs::File::open(&arguments.model).with_context(|| name.to_string())?;
    // SAFETY: as for every reader of a mapped file, nobody may shorten it meanwhile.
    #[allow(unsafe_code)]
    let file = unsafe { Mmap::map(&file) }.with_context(|| name.to_string())?;
    let model = Model::parse(&file).map_err(|e| anyhow!("{name}: {e}"))?;
    let Some([height, width, _]) = model.image_shape() else { bail!("{name}: the model makes no pictures") };
    let mut arena = vec![0; model.arena_len() + 15];
    let mut sampler = LineSampler::new(&model, &mut arena).map_err(|e| anyhow!("{name}: {e}"))?;

    let rows = model.classes().div_ceil(COLUMNS).max(1);
    let scale =
        (DISPLAY.width / COLUMNS / width as u32).min((DISPLAY.height / rows).saturating_sub(LABEL) / height as u32);
    if scale == 0 {
        bail!("{name}: {} pictures of {width} x {height} pixels do not fit {DISPLAY}", model.classes());
    }
    let mut display = SimulatorDisplay::<Rgb565>::new(DISPLAY);
    let style = MonoTextStyle::new(&FONT_6X10, Rgb565::WHITE);
    for class in 0..model.classes().max(1) {
        let at = Point::new(
            (class % COLUMNS * (DISPLAY.width / COLUMNS)) as i32,
            (class / COLUMNS * (DISPLAY.height / rows)) as i32,
        );
        let index = model.class(class).with_context(|| format!("{name}: no class {class}"))?;
        let request = (Start::Seed(arguments.seed + u64::from(class)), index, Guidance::from_q8(256));
        // A simulated display refuses nothing.
        let Ok(()) = draw(&mut sampler, request, &mut display, at, scale);
        let below = at + Point::new(0, (height as u32 * scale + LABEL - 3) as i32);
        let Ok(_) = Text::new(&format!("class {class}"), below, style).draw(&mut display);
    }
    let settings = OutputSettings::default();
    display
        .to_rgb_output_image(&settings)
        .save_png(&arguments.out)
        .with_context(|| arguments.out.display().to_string())?;
    println!(
        "{}: {} pictures of {width} x {height}, each drawn by {scale}; arena {} bytes{}",
        arguments.out.display(),
        model.classes().max(1),
        model.arena_len(),
        if model.bands().is_some() { ", a few rows at a time" } else { ", whole maps" }
    );
    Ok(())
}
