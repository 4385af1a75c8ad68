//! Data sets as the trainer sees them: numbers with labels, whatever they came from.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use driftlet_data::{
    CIFAR10_CLASSES, FASHION_MNIST_CLASSES, Filter, FolderOptions, Images, Latents, Layout, MNIST_CLASSES, Split,
    cifar10, fashion_mnist, flip, image_folder, latents, mnist, random_resized_crop,
};

use rand::Rng;

use crate::TrainError;
use crate::config::{Data, Folder, Latents as LatentFiles, Order};

/// Pictures or latents with labels.
#[derive(Clone)]
pub struct Samples {
    /// Height, width and channels.
    pub shape: [usize; 3],
    values: Values,
    /// One class per sample.
    pub labels: Arc<[u32]>,
}

#[derive(Clone)]
enum Values {
    /// 8-bit pixels; the network sees `p / 127.5 - 1`.
    Pixels(Arc<[u8]>),
    /// Latents as they are.
    Numbers(Arc<[f32]>),
}

/// What a run learns from, and what it is judged by.
pub struct Dataset {
    pub train: Samples,
    pub test: Samples,
    /// Names of the classes; empty where nobody named them.
    pub class_names: Vec<String>,
}

impl Samples {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Samples as the network sees them, `[n, height, width, channels]`.
    pub fn gather(&self, indices: &[usize]) -> Vec<f32> {
        let len: usize = self.shape.iter().product();
        match &self.values {
            Values::Pixels(pixels) => {
                let chosen = indices.iter().flat_map(|&i| &pixels[i * len..][..len]);
                chosen.map(|&p| f32::from(p) / 127.5 - 1.0).collect()
            }
            Values::Numbers(numbers) => indices.iter().flat_map(|&i| &numbers[i * len..][..len]).copied().collect(),
        }
    }

    /// A sample, cropped at random and flipped half the time; latents stay as they are.
    pub fn cropped(&self, index: usize, rng: &mut impl Rng) -> Vec<f32> {
        /// Least share of the area.
        const SMALLEST: f32 = 0.2;
        let [height, width, _] = self.shape;
        let len: usize = self.shape.iter().product();
        let Values::Pixels(pixels) = &self.values else { return self.gather(&[index]) };
        let picture = &pixels[index * len..][..len];
        if height != width {
            return self.gather(&[index]);
        }
        let Ok(mut cropped) = random_resized_crop(picture, self.shape, height, SMALLEST, rng) else {
            return self.gather(&[index]);
        };
        if rng.random() && flip(&mut cropped, self.shape).is_err() {
            return self.gather(&[index]);
        }
        cropped.iter().map(|&p| f32::from(p) / 127.5 - 1.0).collect()
    }

    /// Samples as a tensor `[n, channels, height, width]`.
    pub fn tensor<B: Backend>(&self, indices: &[usize], device: &B::Device) -> Tensor<B, 4> {
        channels_first(self.gather(indices), self.shape, device)
    }

    /// The first of them.
    pub fn first(mut self, count: usize) -> Self {
        self.labels = self.labels.iter().copied().take(count).collect();
        self
    }

    /// Every index, in parts of a size that fits memory.
    pub fn parts(&self) -> impl Iterator<Item = Vec<usize>> {
        const PART: usize = 500;
        let len = self.len();
        (0..len).step_by(PART).map(move |first| (first..len.min(first + PART)).collect())
    }

    /// Classes as a tensor `[n]`.
    pub fn classes<B: Backend>(&self, indices: &[usize], device: &B::Device) -> Tensor<B, 1, Int> {
        let data: Vec<i64> = indices.iter().map(|&i| self.labels[i].into()).collect();
        Tensor::from_data(TensorData::new(data, [indices.len()]), device)
    }
}

/// Numbers `[n, height, width, channels]` as a tensor `[n, channels, height, width]`.
pub fn channels_first<B: Backend>(
    numbers: Vec<f32>,
    [height, width, channels]: [usize; 3],
    device: &B::Device,
) -> Tensor<B, 4> {
    let count = numbers.len() / (height * width * channels);
    Tensor::<B, 4>::from_data(TensorData::new(numbers, [count, height, width, channels]), device).permute([0, 3, 1, 2])
}

/// Reads the data of a configuration, downloading it first if it is public and nowhere.
pub fn load(data: &Data) -> Result<Dataset, TrainError> {
    let named = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    match data {
        Data::Named(name) => {
            let read = |folder: Option<&Path>, split| match name.as_str() {
                "mnist" => mnist(folder, split),
                "cifar-10" => cifar10(folder, split),
                _ => fashion_mnist(folder, split),
            };
            let names: &[&str] = match name.as_str() {
                "mnist" => &MNIST_CLASSES,
                "cifar-10" => &CIFAR10_CLASSES,
                _ => &FASHION_MNIST_CLASSES,
            };
            let read = |split| match read(None, split) {
                Err(error @ driftlet_data::DataError::NotFound { .. }) => {
                    let folder = download(name, error)?;
                    Ok::<_, TrainError>(of_images(read(Some(&folder), split)?))
                }
                other => Ok(of_images(other?)),
            };
            let (train, test) = (read(Split::Train)?, read(Split::Test)?);
            Ok(Dataset { train, test, class_names: named(names) })
        }
        Data::Folder(Folder { folder, size, test }) => {
            let options = FolderOptions { size: *size, filter: Filter::Lanczos3 };
            let (images, class_names) = image_folder(folder, options)?;
            let test = test.as_ref().map(|test| image_folder(test, options)).transpose()?;
            let (train, test) = split(of_images(images), test.map(|(images, _)| of_images(images)));
            Ok(Dataset { train, test, class_names })
        }
        Data::Latents(LatentFiles { latents: path, layout, test }) => {
            let layout = layout.map(|layout| match layout {
                Order::Nhwc => Layout::Nhwc,
                Order::Nchw => Layout::Nchw,
            });
            let train = of_latents(latents(path, layout)?);
            let test = test.as_ref().map(|test| latents(test, layout)).transpose()?.map(of_latents);
            let (train, test) = split(train, test);
            Ok(Dataset { train, test, class_names: Vec::new() })
        }
    }
}

/// Fetches a public data set into `data-cache/NAME`, with a progress bar.
#[cfg(feature = "download")]
fn download(name: &str, _: driftlet_data::DataError) -> Result<std::path::PathBuf, TrainError> {
    use indicatif::{ProgressBar, ProgressStyle};
    let folder = Path::new("data-cache").join(name);
    for remote in driftlet_data::remotes(name) {
        let style = ProgressStyle::with_template("{msg} {bar:32} {bytes}/{total_bytes} {eta}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(remote.bytes).with_style(style).with_message(remote.name.clone());
        driftlet_data::fetch(&remote, &folder, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
    }
    Ok(folder)
}

/// Without the feature `download`, the error says what to do by hand.
#[cfg(not(feature = "download"))]
fn download(_: &str, error: driftlet_data::DataError) -> Result<std::path::PathBuf, TrainError> {
    Err(error.into())
}

fn of_images(images: Images) -> Samples {
    let shape = [images.height, images.width, images.channels];
    let labels = images.labels.iter().map(|&label| label.into()).collect();
    Samples { shape, values: Values::Pixels(images.pixels.into()), labels }
}

fn of_latents(latents: Latents) -> Samples {
    let shape = [latents.height, latents.width, latents.channels];
    Samples { shape, values: Values::Numbers(latents.values.into()), labels: latents.labels.into() }
}

/// Data without a test split is judged by every tenth sample, which then is not trained on.
fn split(all: Samples, test: Option<Samples>) -> (Samples, Samples) {
    if let Some(test) = test {
        return (all, test);
    }
    let (held, kept): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|i| i % 10 == 9);
    if held.is_empty() {
        return (all.clone(), all);
    }
    let len: usize = all.shape.iter().product();
    let part = |indices: &[usize]| Samples {
        shape: all.shape,
        values: match &all.values {
            Values::Pixels(p) => Values::Pixels(indices.iter().flat_map(|&i| &p[i * len..][..len]).copied().collect()),
            Values::Numbers(n) => {
                Values::Numbers(indices.iter().flat_map(|&i| &n[i * len..][..len]).copied().collect())
            }
        },
        labels: indices.iter().map(|&i| all.labels[i]).collect(),
    };
    (part(&kept), part(&held))
}
