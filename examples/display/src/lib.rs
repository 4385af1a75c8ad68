//! Pictures on a display, line by line: what a program for a microcontroller does, for any display that has a driver for
//! `embedded-graphics`. No frame is kept: a line goes out as soon as the model has made it.
#![no_std]

use driftlet_runtime::{Class, Guidance, LineSampler, Start};
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{Point, Size};
use embedded_graphics::primitives::Rectangle;

/// Makes a picture and draws it with its upper left corner at `at`, every pixel as a square of `scale` by `scale`.
///
/// # Errors
/// What the display says; lines behind one that it refuses are not drawn.
pub fn draw<D>(
    sampler: &mut LineSampler,
    (start, class, guidance): (Start, Class, Guidance),
    display: &mut D,
    at: Point,
    scale: u32,
) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: From<Rgb888>,
{
    let channels = sampler.model().image_shape().map_or(1, |[_, _, channels]| channels);
    let mut result = Ok(());
    sampler.generate_lines(start, class, guidance, &mut |row, pixels| {
        if result.is_err() {
            return;
        }
        let width = (pixels.len() / channels) as u32;
        let place = Rectangle::new(at + Point::new(0, (row as u32 * scale) as i32), Size::new(width * scale, scale));
        let line = pixels.chunks_exact(channels).flat_map(|pixel| core::iter::repeat_n(color(pixel), scale as usize));
        // As often as a pixel is high; the display takes colours one by one.
        let lines = core::iter::repeat_n(line, scale as usize).flatten();
        result = display.fill_contiguous(&place, lines.map(D::Color::from));
    });
    result
}

/// One and two channels are grey, four carry more than a colour.
fn color(pixel: &[u8]) -> Rgb888 {
    match *pixel {
        [red, green, blue, ..] => Rgb888::new(red, green, blue),
        [grey, ..] => Rgb888::new(grey, grey, grey),
        [] => Rgb888::BLACK,
    }
}
