//! Scaling and augmentation of pictures.

use image::imageops::{self, FilterType};
use image::{GenericImageView, ImageBuffer, Luma, Pixel, Rgb};
use rand::Rng;

use crate::DataError;

/// How a picture is scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Sharp; may ring at hard edges.
    #[default]
    Lanczos3,
    /// Bilinear, smoothed when it makes a picture smaller: faster and softer.
    Triangle,
}

/// A part of a picture, in pixels.
#[derive(Clone, Copy)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// An area of a picture scaled to `size` x `size`, row-major.
pub(crate) fn scaled<I, P>(picture: &I, area: Area, size: usize, filter: Filter) -> Vec<u8>
where
    I: GenericImageView<Pixel = P>,
    P: Pixel<Subpixel = u8> + 'static,
{
    let filter = match filter {
        Filter::Lanczos3 => FilterType::Lanczos3,
        Filter::Triangle => FilterType::Triangle,
    };
    let view = imageops::crop_imm(picture, area.x, area.y, area.width, area.height);
    imageops::resize(&*view, size as u32, size as u32, filter).into_raw()
}

/// Cuts a random part out of a picture `[height, width, channels]` (1 or 3 channels) and scales it to
/// `[size, size, channels]` with [`Filter::Triangle`].
///
/// The part has at least the share `smallest` of the picture's area (above 0, up to 1; 0.08 is usual for classifiers,
/// 0.2 for masked autoencoders), and an aspect ratio of 3:4 to 4:3 where it fits into the picture.
///
/// # Errors
/// [`DataError::Option`] if the shape does not fit the bytes, or a number is out of its range.
pub fn random_resized_crop(
    picture: &[u8],
    shape: [usize; 3],
    size: usize,
    smallest: f32,
    rng: &mut impl Rng,
) -> Result<Vec<u8>, DataError> {
    let (Ok(height), Ok(width)) = (u32::try_from(shape[0]), u32::try_from(shape[1])) else {
        return Err(misfit(picture, shape));
    };
    if !fits(picture, shape) || ![1, 3].contains(&shape[2]) {
        return Err(misfit(picture, shape));
    }
    if !(1..=4096).contains(&size) {
        return Err(DataError::Option { name: "size", problem: format!("{size} pixels; take 1 to 4096") });
    }
    if !(smallest > 0.0 && smallest <= 1.0) {
        return Err(DataError::Option {
            name: "smallest",
            problem: format!("{smallest}; take a share above 0, up to 1"),
        });
    }
    let share = rng.random_range(smallest..=1.0) * height as f32 * width as f32;
    let ratio = rng.random_range((0.75f32).ln()..=(4.0f32 / 3.0).ln()).exp();
    // Where a side does not fit, the other one makes up for it.
    let (full_width, full_height) = (width as f32, height as f32);
    let crop_height = (share / (share * ratio).sqrt().min(full_width)).min(full_height);
    let side = |length: f32, limit: u32| (length.round() as u32).clamp(1, limit);
    let (crop_width, crop_height) = (side(share / crop_height, width), side(crop_height, height));
    let area = Area {
        x: rng.random_range(0..=width - crop_width),
        y: rng.random_range(0..=height - crop_height),
        width: crop_width,
        height: crop_height,
    };
    let misfit = || misfit(picture, shape);
    if shape[2] == 1 {
        let picture = ImageBuffer::<Luma<u8>, _>::from_raw(width, height, picture).ok_or_else(misfit)?;
        return Ok(scaled(&picture, area, size, Filter::Triangle));
    }
    let picture = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, picture).ok_or_else(misfit)?;
    Ok(scaled(&picture, area, size, Filter::Triangle))
}

/// Mirrors a picture `[height, width, channels]` left to right.
///
/// # Errors
/// [`DataError::Option`] if the shape does not fit the bytes.
pub fn flip(picture: &mut [u8], shape: [usize; 3]) -> Result<(), DataError> {
    let [_, width, channels] = shape;
    if !fits(picture, shape) {
        return Err(misfit(picture, shape));
    }
    for row in picture.chunks_exact_mut(width * channels) {
        for x in 0..width / 2 {
            let (left, right) = row.split_at_mut((width - 1 - x) * channels);
            left[x * channels..(x + 1) * channels].swap_with_slice(&mut right[..channels]);
        }
    }
    Ok(())
}

fn fits(picture: &[u8], shape: [usize; 3]) -> bool {
    let len = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    !picture.is_empty() && len == Some(picture.len())
}

fn misfit(picture: &[u8], shape: [usize; 3]) -> DataError {
    DataError::Option { name: "shape", problem: format!("{shape:?} does not fit {} bytes", picture.len()) }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn a_flip_mirrors_rows_and_keeps_channels() -> Outcome {
        let mut picture = [1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60];
        flip(&mut picture, [2, 3, 2])?;
        assert_eq!(picture, [5, 6, 3, 4, 1, 2, 50, 60, 30, 40, 10, 20]);
        flip(&mut picture, [2, 3, 2])?;
        assert_eq!(picture, [1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60]);
        Ok(())
    }

    #[test]
    fn crops_are_parts_of_the_picture() -> Outcome {
        // Every row rises by one per column, in three channels that stand apart.
        let picture: Vec<u8> = (0..40 * 60).flat_map(|i| [0, 100, 190].map(|base| base + (i % 60) as u8)).collect();
        let mut rng = StdRng::seed_from_u64(1);
        let mut widths = Vec::new();
        for _ in 0..200 {
            let crop = random_resized_crop(&picture, [40, 60, 3], 8, 0.25, &mut rng)?;
            assert_eq!(crop.len(), 8 * 8 * 3);
            for pixel in crop.chunks(3) {
                let apart = [pixel[1] - pixel[0], pixel[2] - pixel[0]];
                assert!(pixel[0] < 60 && apart[0].abs_diff(100) <= 1 && apart[1].abs_diff(190) <= 1, "{pixel:?}");
            }
            widths.push(crop[7 * 3] - crop[0]);
        }
        // The smallest part is 21 wide, the largest 60; the outer pixels of 8 stand 7 eighths of that apart.
        let (least, most) = (widths.iter().min().copied(), widths.iter().max().copied());
        assert!(least >= Some(17) && least < Some(30) && most > Some(45), "{least:?} {most:?}");
        // The whole picture, whatever its shape, if all of it is asked for.
        let whole = random_resized_crop(&[7; 30], [3, 10, 1], 2, 1.0, &mut rng)?;
        assert_eq!(whole, [7; 4]);
        Ok(())
    }

    #[test]
    fn wrong_arguments_are_named() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut refused = |len: usize, shape, size, smallest| {
            let result = random_resized_crop(&vec![0; len], shape, size, smallest, &mut rng);
            result.err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert!(refused(11, [2, 2, 3], 2, 0.5).contains("shape: [2, 2, 3] does not fit 11 bytes"));
        assert!(refused(8, [2, 2, 2], 2, 0.5).contains("shape"));
        assert!(refused(0, [0, 2, 3], 2, 0.5).contains("shape"));
        assert!(refused(12, [usize::MAX, 2, 3], 2, 0.5).contains("shape"));
        assert!(refused(12, [2, 2, 3], 0, 0.5).contains("size"));
        for smallest in [0.0, -1.0, 1.5, f32::NAN] {
            assert!(refused(12, [2, 2, 3], 2, smallest).contains("smallest"));
        }
        assert!(flip(&mut [0; 5], [1, 2, 3]).is_err());
    }
}
