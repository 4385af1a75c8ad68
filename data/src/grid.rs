//! Many pictures as one.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};

/// Draws pictures `[count, height, width, channels]` (1 or 3 channels) row by row as one PNG, small ones enlarged.
///
/// # Errors
/// A message if the shape does not fit.
pub fn grid_png(pixels: &[u8], shape: [usize; 3], columns: usize) -> Result<Vec<u8>, String> {
    const GAP: usize = 1;
    let [height, width, channels] = shape;
    let image_len = height * width * channels;
    if image_len == 0 || columns == 0 || pixels.is_empty() || !pixels.len().is_multiple_of(image_len) {
        return Err(format!("{} bytes are no pictures of {height} x {width} x {channels}", pixels.len()));
    }
    let zoom = if width <= 64 { 2 } else { 1 };
    let count = pixels.len() / image_len;
    let columns = columns.min(count);
    let rows = count.div_ceil(columns);
    let full = [(columns * (width + GAP) - GAP) * zoom, (rows * (height + GAP) - GAP) * zoom];
    let (Ok(full_width), Ok(full_height)) = (u32::try_from(full[0]), u32::try_from(full[1])) else {
        return Err(format!("a grid of {count} pictures is too large; write .npy"));
    };
    let sample = |x: usize, y: usize, channel: usize| -> u8 {
        let (x, y) = (x / zoom, y / zoom);
        let (column, row) = (x / (width + GAP), y / (height + GAP));
        let (x, y, index) = (x % (width + GAP), y % (height + GAP), row * columns + column);
        if x >= width || y >= height || index >= count {
            return 255;
        }
        pixels[index * image_len + (y * width + x) * channels + channel]
    };
    let picture = match channels {
        1 => DynamicImage::ImageLuma8(GrayImage::from_fn(full_width, full_height, |x, y| {
            image::Luma([sample(x as usize, y as usize, 0)])
        })),
        3 => DynamicImage::ImageRgb8(RgbImage::from_fn(full_width, full_height, |x, y| {
            image::Rgb([0, 1, 2].map(|c| sample(x as usize, y as usize, c)))
        })),
        other => return Err(format!("pictures of {other} channels cannot be drawn; write .npy")),
    };
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).map_err(|e| e.to_string())?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_where_they_belong() -> Result<(), Box<dyn std::error::Error>> {
        let png = grid_png(&[10, 20, 30], [1, 1, 1], 2)?;
        let picture = image::load_from_memory(&png)?.to_luma8();
        assert_eq!(picture.dimensions(), (6, 6));
        let at = |x, y| picture.get_pixel(x, y).0[0];
        assert_eq!([at(0, 0), at(2, 0), at(4, 0), at(0, 4), at(5, 5)], [10, 255, 20, 30, 255]);
        assert!(grid_png(&[1, 2, 3], [1, 2, 1], 2).is_err());
        assert!(grid_png(&[1, 2], [1, 1, 2], 2).is_err());
        Ok(())
    }
}
