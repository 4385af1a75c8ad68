//! Generates with several models and compares what they made; `compare` and `demo` share it.

use anyhow::{Context, Result, ensure};
use driftlet_data::{Split, fashion_mnist, grid_png};
use driftlet_metrics::{Comparison, Generated, Settings, Statistics, compare, extract, frechet_distance};
use driftlet_quantize::Precision;

use crate::commands::sample::check_guidance;
use crate::model_file::ModelFile;
use crate::progress::Progress;
use crate::sampling::{Batch, generate};
use crate::shipped;

/// A comparison with the pictures behind it.
pub struct Compared {
    /// The figures.
    pub comparison: Comparison,
    /// Pixels of each model, the reference first.
    pub pixels: Vec<Vec<u8>>,
    /// Height, width and channels.
    pub shape: [usize; 3],
}

/// Compares models, the first of which is the reference; `recall` needs the test split of Fashion-MNIST.
pub fn run(files: &[ModelFile], batch: &Batch, resamples: u32, recall: bool) -> Result<Compared> {
    let network = ModelFile::made(&shipped::classifier()?, shipped::CLASSIFIER, Precision::F32)?;
    let network_model = network.model()?;
    let first = files.first().context("nothing to compare")?.model()?;
    let shape = first.image_shape().with_context(|| format!("{} makes no pictures", files[0].name()))?;
    let mut described = Vec::with_capacity(files.len());
    for file in files {
        let model = file.model()?;
        ensure!(
            model.image_shape() == Some(shape) && model.classes() == first.classes(),
            "{} and {} make different pictures or know different classes; compare versions of one network",
            files[0].name(),
            file.name()
        );
        check_guidance(batch.guidance.to_f32(), &model).with_context(|| file.name().to_owned())?;
        let pixels = generate(&model, batch, &format!("generating with {}", file.name()))?;
        described.push((file, model.precision().name(), file.hash(), pixels));
    }
    let generated: Vec<Generated> = described
        .iter()
        .map(|(file, precision, hash, pixels)| Generated {
            name: file.name(),
            precision,
            bytes: file.bytes().len(),
            hash,
            pixels,
        })
        .collect();
    let (test, train) = (shipped::test_statistics()?, shipped::train_statistics()?);
    let real = match recall {
        true => Some(extract(&network_model, &fashion_mnist(None, Split::Test)?.pixels, &|| {})?.data),
        false => None,
    };
    let settings = Settings {
        real: real.as_deref(),
        network: &network_model,
        network_name: shipped::CLASSIFIER,
        test: &test,
        train: &train,
        classes: (0..batch.count).map(|i| batch.class_of(i, first.classes())).collect(),
        guidance: batch.guidance.to_f32(),
        first_seed: batch.first_seed,
        resamples,
    };
    let progress = Progress::new("looking at pictures", (batch.count * files.len()) as u64);
    let comparison = compare(&generated[0], &generated[1..], &settings, &|| progress.step())?;
    progress.finish();
    Ok(Compared { comparison, pixels: described.into_iter().map(|(.., pixels)| pixels).collect(), shape })
}

/// Frechet distance of one model to the test split.
pub fn distance(file: &ModelFile, batch: &Batch) -> Result<f64> {
    let network = ModelFile::made(&shipped::classifier()?, shipped::CLASSIFIER, Precision::F32)?;
    let pixels = generate(&file.model()?, batch, &format!("generating with {}", file.name()))?;
    let features = extract(&network.model()?, &pixels, &|| {})?;
    let statistics = Statistics::of(&features.data, features.dim)?;
    Ok(frechet_distance(&statistics, &shipped::test_statistics()?)?)
}

impl Compared {
    /// A grid of the first pictures of one model, `columns` in a row.
    pub fn grid(&self, model: usize, columns: usize, rows: usize) -> Result<Vec<u8>> {
        let len: usize = self.shape.iter().product();
        let pixels = &self.pixels[model];
        let shown = pixels.len().min(columns * rows * len);
        grid_png(&pixels[..shown], self.shape, columns).map_err(anyhow::Error::msg)
    }

    /// The first pictures of all models side by side, `columns` each.
    pub fn side_by_side(&self, columns: usize, rows: usize) -> Result<Vec<u8>> {
        let len: usize = self.shape.iter().product();
        let blank = vec![255; len];
        let mut all = Vec::new();
        for row in 0..rows {
            for (m, pixels) in self.pixels.iter().enumerate() {
                if m > 0 {
                    all.extend(&blank);
                }
                for column in 0..columns {
                    let at = (row * columns + column) * len;
                    all.extend(pixels.get(at..at + len).unwrap_or(&blank));
                }
            }
        }
        let width = self.pixels.len() * (columns + 1) - 1;
        grid_png(&all, self.shape, width).map_err(anyhow::Error::msg)
    }

    /// Where a model differs from the reference, eight times amplified.
    pub fn difference(&self, model: usize, columns: usize, rows: usize) -> Result<Vec<u8>> {
        let len: usize = self.shape.iter().product();
        let shown = self.pixels[0].len().min(columns * rows * len);
        let pairs = self.pixels[0][..shown].iter().zip(&self.pixels[model][..shown]);
        let pixels: Vec<u8> = pairs.map(|(&a, &b)| a.abs_diff(b).saturating_mul(8)).collect();
        grid_png(&pixels, self.shape, columns).map_err(anyhow::Error::msg)
    }
}
