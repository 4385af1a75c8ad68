//! Folders of pictures.

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageReader, Rgb, RgbImage};
use rayon::prelude::*;

use crate::augment::{Area, scaled};
use crate::{DataError, Filter, Images};

/// How pictures of any size become pictures of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderOptions {
    /// Height and width of the results in pixels, 1 to 4096.
    pub size: usize,
    /// How they are scaled.
    pub filter: Filter,
}

/// A picture may take this much memory once unpacked; a bomb ends here.
const MAX_BYTES: u64 = 512 << 20;

/// Reads a folder with one folder per class: `[count, size, size, 3]` and the names of the classes, sorted.
///
/// A picture is a PNG or JPEG file (`.png`, `.jpg`, `.jpeg`) right inside the folder of its class; files and folders
/// with other or hidden names are passed over. Its middle square is cut out and scaled to `size`. Grey becomes RGB,
/// transparent parts are laid on white, and the orientation that a camera noted is applied. Pictures come class by
/// class, sorted by name. All cores read.
///
/// # Errors
/// [`DataError`] names the file or folder: a broken picture, a class without pictures, no or more than 256 classes.
pub fn image_folder(path: &Path, options: FolderOptions) -> Result<(Images, Vec<String>), DataError> {
    let FolderOptions { size, filter } = options;
    if !(1..=4096).contains(&size) {
        return Err(DataError::Option { name: "size", problem: format!("{size} pixels; take 1 to 4096") });
    }
    let mut classes = Vec::new();
    let mut files: Vec<(PathBuf, u8)> = Vec::new();
    for folder in entries(path)?.into_iter().filter(|entry| entry.is_dir()) {
        let Ok(label) = u8::try_from(classes.len()) else {
            return Err(damaged(path, "more than 256 folders; labels have 8 bits, so take fewer classes".into()));
        };
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            return Err(damaged(&folder, "its name is not UTF-8; rename it".into()));
        };
        classes.push(name.to_string());
        let before = files.len();
        files.extend(entries(&folder)?.into_iter().filter(|file| is_picture(file)).map(|file| (file, label)));
        if files.len() == before {
            return Err(damaged(&folder, "no .png or .jpg file inside; add some or remove the folder".into()));
        }
    }
    if classes.is_empty() {
        return Err(damaged(path, "no folders inside; make one per class and put its pictures there".into()));
    }
    let image_len = size * size * 3;
    let mut pixels = Vec::new();
    let total = files.len().checked_mul(image_len).filter(|&total| pixels.try_reserve_exact(total).is_ok());
    let Some(total) = total else {
        let problem =
            format!("{} pictures of {size} x {size} do not fit into memory; take a smaller size", files.len());
        return Err(damaged(path, problem));
    };
    pixels.resize(total, 0);
    pixels.par_chunks_exact_mut(image_len).zip(&files).try_for_each(|(pixels, (file, _))| {
        pixels.copy_from_slice(&square(file, size, filter)?);
        Ok(())
    })?;
    let labels = files.into_iter().map(|(_, label)| label).collect();
    Ok((Images { height: size, width: size, channels: 3, pixels, labels }, classes))
}

/// What a folder holds, sorted, without hidden entries.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let io = |source| DataError::Io { path: folder.into(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known)) && path.is_file()
}

/// The middle square of a picture file, `[size, size, 3]`.
fn square(path: &Path, size: usize, filter: Filter) -> Result<Vec<u8>, DataError> {
    let picture = decode(path).map_err(|e| damaged(path, format!("cannot be read ({e}); replace or remove it")))?;
    let side = picture.width().min(picture.height());
    let area = Area { x: (picture.width() - side) / 2, y: (picture.height() - side) / 2, width: side, height: side };
    Ok(scaled(&on_white(picture.crop_imm(area.x, area.y, side, side)), Area { x: 0, y: 0, ..area }, size, filter))
}

fn decode(path: &Path) -> image::ImageResult<DynamicImage> {
    let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// RGB; what was transparent is white.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        Rgb([red, green, blue].map(|c| ((c * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

fn damaged(path: &Path, problem: String) -> DataError {
    DataError::Damaged { file: path.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbaImage};

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;
    const OPTIONS: FolderOptions = FolderOptions { size: 4, filter: Filter::Lanczos3 };

    #[test]
    fn pictures_of_any_kind_become_squares() -> Outcome {
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        for class in ["b", "a", ".hidden"] {
            fs::create_dir(at(class))?;
        }
        // Red, green and blue columns of 8 pixels: the middle square is green.
        let columns = RgbImage::from_fn(24, 8, |x, _| Rgb([0, 1, 2].map(|c| if c == x / 8 { 255 } else { 0 })));
        columns.save(at("b/2.png"))?;
        columns.save_with_format(at("b/1.JPG"), image::ImageFormat::Jpeg)?;
        GrayImage::from_pixel(2, 3, image::Luma([77])).save(at("a/grey.png"))?;
        RgbaImage::from_pixel(4, 4, image::Rgba([200, 0, 0, 0])).save(at("a/clear.png"))?;
        image::ImageBuffer::from_pixel(9, 5, image::Luma([0x8000u16])).save(at("a/deep.png"))?;
        fs::write(at("a/notes.txt"), "no picture")?;
        fs::write(at("notes.txt"), "no folder")?;

        let (images, classes) = image_folder(directory.path(), OPTIONS)?;
        assert_eq!(classes, ["a", "b"]);
        assert_eq!(images.labels, [0, 0, 0, 1, 1]);
        assert_eq!((images.height, images.width, images.channels), (4, 4, 3));
        let all = |index: usize| &images.pixels[index * 48..(index + 1) * 48];
        assert_eq!(all(0), [255; 48]);
        assert!(all(1).iter().all(|v| v.abs_diff(128) <= 1), "{:?}", all(1));
        assert_eq!(all(2), [77; 48]);
        for pixel in all(3).chunks(3) {
            assert!(pixel[1] > 200 && pixel[0] < 60 && pixel[2] < 60, "{pixel:?}");
        }
        assert_eq!(all(4), [0, 255, 0].repeat(16));
        Ok(())
    }

    #[test]
    fn a_camera_that_was_turned_is_turned_back() -> Outcome {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("a/turned.jpg");
        fs::create_dir(directory.path().join("a"))?;
        let halves = RgbImage::from_fn(16, 16, |x, _| Rgb(if x < 8 { [255, 0, 0] } else { [0, 0, 255] }));
        halves.save(&file)?;
        // Exif with one entry: orientation 6, "turn right".
        let exif = b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let jpeg = fs::read(&file)?;
        fs::write(&file, [&jpeg[..2], exif, &jpeg[2..]].concat())?;
        let (images, _) = image_folder(directory.path(), OPTIONS)?;
        let (top, bottom) = images.pixels.split_at(24);
        assert!(top.chunks(3).all(|p| p[0] > p[2]) && bottom.chunks(3).all(|p| p[0] < p[2]), "{:?}", images.pixels);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() -> Outcome {
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        let refused =
            |options| image_folder(directory.path(), options).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refused(OPTIONS).contains("no folders inside"), "{}", refused(OPTIONS));
        fs::create_dir(at("cat"))?;
        assert!(refused(OPTIONS).contains("cat: no .png"), "{}", refused(OPTIONS));
        GrayImage::new(64, 64).save(at("cat/whole.png"))?;
        assert!(image_folder(directory.path(), OPTIONS).is_ok());
        let mut bytes = fs::read(at("cat/whole.png"))?;
        // A header that promises far more than the file has.
        let mut bomb = bytes.clone();
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        bytes.truncate(bytes.len() / 2);
        for (name, broken) in [("torn.png", bytes), ("bomb.png", bomb), ("empty.jpg", vec![])] {
            fs::write(at("cat").join(name), broken)?;
            assert!(refused(OPTIONS).contains(&format!("{name}: cannot be read")), "{}", refused(OPTIONS));
            fs::remove_file(at("cat").join(name))?;
        }
        assert!(refused(FolderOptions { size: 0, ..OPTIONS }).contains("size: 0 pixels"));
        assert!(image_folder(&at("nowhere"), OPTIONS).is_err());
        (0..256).try_for_each(|i| {
            fs::create_dir(at(&i.to_string()))
                .and_then(|()| fs::copy(at("cat/whole.png"), at(&format!("{i}/x.png"))).map(drop))
        })?;
        assert!(refused(OPTIONS).contains("more than 256 folders"), "{}", refused(OPTIONS));
        Ok(())
    }
}
