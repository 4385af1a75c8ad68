//! CIFAR-10 (Krizhevsky, 2009), its binary version.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::remote::{obtain, places, together};
use crate::{DataError, Images, Split};

/// Names of the classes, by label.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;
/// Records of one file.
const RECORDS: usize = 10_000;

/// Reads a split of CIFAR-10: 32 x 32 x 3 pictures of ten classes, 50,000 to train with and 10,000 to test with.
///
/// Takes the `.bin` files from a folder, from `cifar-10-batches-bin` inside it, or from `cifar-10-binary.tar.gz`
/// inside it. The folder is `directory` and no other if it is given. If not, it is looked for in `$DRIFTLET_DATA`,
/// `/usr/share/datasets` and `data-cache`, and in each in its folder `cifar-10` first. With the feature `download`,
/// an archive that is nowhere is then downloaded into `data-cache/cifar-10`.
///
/// # Errors
/// [`DataError`] says where it looked or what is damaged.
pub fn cifar10(directory: Option<&Path>, split: Split) -> Result<Images, DataError> {
    match split {
        Split::Train => read(directory, [1, 2, 3, 4, 5].map(|i| format!("data_batch_{i}.bin"))),
        Split::Test => read(directory, ["test_batch.bin".into()]),
    }
}

fn read<const N: usize>(directory: Option<&Path>, names: [String; N]) -> Result<Images, DataError> {
    let folders: Vec<_> = places("cifar-10", directory)
        .into_iter()
        .flat_map(|place| [place.join("cifar-10-batches-bin"), place])
        .collect();
    let batches = match together(&folders, &names) {
        Some(paths) => {
            let mut batches = Vec::new();
            for path in paths {
                let io = |source| DataError::Io { path: path.clone(), source };
                let mut file = File::open(&path).map_err(io)?;
                let len = file.metadata().map_err(io)?.len();
                batches.push(batch(&mut file, len, &path.display().to_string())?);
            }
            batches
        }
        None => {
            let [archive] = obtain("cifar-10", directory, ["cifar-10-binary.tar".into()])?;
            from_archive(&archive, &names)?
        }
    };
    let mut images = Images { height: SIDE, width: SIDE, channels: 3, pixels: Vec::new(), labels: Vec::new() };
    for (bytes, name) in batches.iter().zip(&names) {
        append(&mut images, bytes, name)?;
    }
    Ok(images)
}

/// The bytes of a file of records; `len` is its length.
fn batch(reader: &mut impl Read, len: u64, file: &str) -> Result<Vec<u8>, DataError> {
    let damaged = |problem: String| DataError::Damaged { file: file.into(), problem };
    if len != (RECORDS * RECORD) as u64 {
        return Err(damaged(format!("{len} bytes instead of {}; download it again", RECORDS * RECORD)));
    }
    let mut bytes = vec![0; RECORDS * RECORD];
    reader.read_exact(&mut bytes).map_err(|e| damaged(format!("cannot be read ({e}); download it again")))?;
    Ok(bytes)
}

/// The files `names` of an archive, in their order.
fn from_archive(path: &Path, names: &[String]) -> Result<Vec<Vec<u8>>, DataError> {
    let io = |source| DataError::Io { path: path.into(), source };
    let damaged = |problem: String| DataError::Damaged { file: path.display().to_string(), problem };
    let broken = |e: std::io::Error| damaged(format!("cannot be unpacked ({e}); download it again"));
    let mut file = File::open(path).map_err(io)?;
    let mut magic = Vec::new();
    Read::by_ref(&mut file).take(2).read_to_end(&mut magic).map_err(io)?;
    file.rewind().map_err(io)?;
    let reader: Box<dyn Read> =
        if magic == [0x1f, 0x8b] { Box::new(flate2::read::GzDecoder::new(file)) } else { Box::new(file) };
    // The archive holds 185 MB; a bomb ends here.
    let mut archive = tar::Archive::new(reader.take(1 << 28));
    let mut found = vec![None; names.len()];
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.file_name().map(|name| name.to_owned());
        let Some(at) = names.iter().position(|wanted| Some(wanted.as_ref()) == name.as_deref()) else { continue };
        let len = entry.size();
        found[at] = Some(batch(&mut entry, len, &format!("{}, {}", path.display(), names[at]))?);
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    let parts = found.into_iter().zip(names);
    parts.map(|(part, name)| part.ok_or_else(|| damaged(format!("has no {name}; download it again")))).collect()
}

/// Appends records: a label and the planes red, green, blue.
fn append(images: &mut Images, bytes: &[u8], name: &str) -> Result<(), DataError> {
    for (at, record) in bytes.chunks_exact(RECORD).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if label >= 10 {
            let problem = format!("label {label} at {at}; labels are 0 to 9");
            return Err(DataError::Damaged { file: name.into(), problem });
        }
        images.labels.push(label);
        images.pixels.extend((0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn planes_become_pixels() -> Outcome {
        let mut record = vec![9];
        for plane in [10, 20, 30] {
            record.extend((0..PLANE).map(|i| plane + (i % 3) as u8));
        }
        let mut images = Images { height: SIDE, width: SIDE, channels: 3, pixels: vec![], labels: vec![] };
        append(&mut images, &record, "x")?;
        assert_eq!((images.len(), images.pixels.len(), images.labels[0]), (1, images.image_len(), 9));
        assert_eq!(images.pixels[..6], [10, 20, 30, 11, 21, 31]);
        Ok(())
    }

    /// A file of black pictures of class `label`.
    fn black(label: u8) -> Vec<u8> {
        let mut bytes = vec![0; RECORDS * RECORD];
        bytes.iter_mut().step_by(RECORD).for_each(|l| *l = label);
        bytes
    }

    #[test]
    fn files_lie_in_a_folder_or_in_an_archive() -> Outcome {
        let directory = tempfile::tempdir()?;
        let at = |name: &str| directory.path().join(name);
        let load = |split| cifar10(Some(directory.path()), split);
        let refused = |split| load(split).err().map(|e| e.to_string()).unwrap_or_default();
        let missing = refused(Split::Test);
        assert!(missing.contains("cifar-10-binary.tar") && missing.contains("https://www.cs.toronto.edu"), "{missing}");

        let encoder = flate2::write::GzEncoder::new(File::create(at("cifar-10-binary.tar.gz"))?, Default::default());
        let mut archive = tar::Builder::new(encoder);
        for (name, label) in [("data_batch_2.bin", 2), ("data_batch_1.bin", 1), ("test_batch.bin", 7)] {
            let mut header = tar::Header::new_gnu();
            header.set_size((RECORDS * RECORD) as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("cifar-10-batches-bin/{name}"), &black(label)[..])?;
        }
        archive.into_inner()?.finish()?;
        assert_eq!(load(Split::Test)?.labels, [7; RECORDS]);
        assert!(refused(Split::Train).contains("has no data_batch_3.bin"));
        let names = [1, 2].map(|i| format!("data_batch_{i}.bin"));
        let both = from_archive(&at("cifar-10-binary.tar.gz"), &names)?;
        assert_eq!(both.iter().map(|b| b[0]).collect::<Vec<_>>(), [1, 2]);
        let whole = fs::read(at("cifar-10-binary.tar.gz"))?;
        fs::write(at("cifar-10-binary.tar.gz"), &whole[..whole.len() / 2])?;
        assert!(refused(Split::Test).contains("cannot be"), "{}", refused(Split::Test));

        fs::create_dir(at("cifar-10-batches-bin"))?;
        let inner = at("cifar-10-batches-bin/test_batch.bin");
        fs::write(&inner, black(10))?;
        assert!(refused(Split::Test).contains("test_batch.bin: label 10 at 0"), "{}", refused(Split::Test));
        fs::write(&inner, black(3))?;
        assert_eq!(load(Split::Test)?.labels, [3; RECORDS]);
        fs::write(&inner, [0; RECORD])?;
        assert!(refused(Split::Test).contains("3073 bytes instead of 30730000"), "{}", refused(Split::Test));
        Ok(())
    }
}
