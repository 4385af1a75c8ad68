//! Generates with several models and adds up what a feature network sees in it; `compare` and `demo` share it.

use anyhow::{Context, Result, ensure};
use driftlet_data::{Split, fashion_mnist, grid_png};
use driftlet_metrics::{
    About, Collected, Comparison, Features, Identity, Layer, Real, Settings, Shard, compare, extract, samples_of,
};
use driftlet_quantize::Precision;
use driftlet_runtime::Model;

use crate::commands::sample::check_guidance;
use crate::model_file::ModelFile;
use crate::progress::Progress;
use crate::sampling::{Batch, generate};
use crate::shipped;

/// Pictures of all models, the first of which is the reference: the part that a shard takes. What is in memory does not grow
/// with the number of pictures.
pub fn collect(files: &[ModelFile], batch: &Batch, shard: Shard) -> Result<Collected> {
    let network_file = ModelFile::made(&shipped::classifier()?, shipped::CLASSIFIER, Precision::F32)?;
    let network = network_file.model()?;
    let models = files.iter().map(ModelFile::model).collect::<Result<Vec<_>>>()?;
    let first = models.first().context("nothing to compare")?;
    let shape = first.image_shape().with_context(|| format!("{} makes no pictures", files[0].name()))?;
    for (file, model) in files.iter().zip(&models) {
        ensure!(
            model.image_shape() == Some(shape) && model.classes() == first.classes(),
            "{} and {} make different pictures or know different classes; compare versions of one network",
            files[0].name(),
            file.name()
        );
        check_guidance(batch.guidance.to_f32(), model).with_context(|| file.name().to_owned())?;
    }
    // What the network makes of any picture tells how long its vectors are.
    let probe = extract(&network, &vec![0; shape.iter().product()], &|| {})?;
    let mut collected = Collected::new(About {
        samples: batch.count,
        first_seed: batch.first_seed,
        guidance: batch.guidance.to_f32(),
        classes: first.classes(),
        shape,
        network: shipped::CLASSIFIER.into(),
        network_hash: network_file.hash(),
        dim: probe.dim,
        outputs: probe.classes,
        models: files.iter().zip(&models).map(|(file, model)| identity(file, model)).collect(),
    });
    let leaves = shard.leaves(batch.count);
    let total = samples_of(leaves.clone(), batch.count).len() * files.len();
    let progress = Progress::new("generating and looking", total as u64);
    for leaf in leaves {
        let range = samples_of(leaf..leaf + 1, batch.count);
        let part = Batch { first_seed: batch.seed_of(range.start), count: range.len(), ..batch.clone() };
        let intended: Vec<u32> = range.clone().map(|i| batch.class_of(i, first.classes())).collect();
        let make = |model: &Model| generate(model, &part, &intended, &|| {});
        let pixels = models.iter().map(make).collect::<Result<Vec<_>>>()?;
        let look = |pixels: &Vec<u8>| Ok(extract(&network, pixels, &|| progress.step())?);
        let seen = pixels.iter().map(look).collect::<Result<Vec<Features>>>()?;
        collected.add(leaf, &pixels, &seen, &intended)?;
    }
    progress.finish();
    Ok(collected)
}

/// What a file says of itself.
fn identity(file: &ModelFile, model: &Model) -> Identity {
    let ops = (0..model.op_count()).map(|i| model.op_info(i));
    let metadata: serde_json::Value = serde_json::from_slice(model.metadata()).unwrap_or_default();
    let layers = ops.clone().zip(metadata["layers"].as_array().into_iter().flatten()).filter_map(|(op, layer)| {
        let name = layer["name"].as_str().filter(|name| !name.is_empty()).unwrap_or(op.kind.name());
        Some(Layer { name: name.into(), sqnr: layer["sqnr"].as_f64()? })
    });
    Identity {
        name: file.name().into(),
        precision: model.precision().name().into(),
        bytes: file.bytes().len(),
        hash: file.hash(),
        macs: ops.map(|op| op.macs).sum(),
        layers: layers.collect(),
    }
}

/// Figures of what was collected; with `data`, also those that need Fashion-MNIST itself.
pub fn figures(collected: &Collected, resamples: u32, data: bool) -> Result<Comparison> {
    let network_file = ModelFile::made(&shipped::classifier()?, shipped::CLASSIFIER, Precision::F32)?;
    let (hash, name) = (&collected.about.network_hash, &collected.about.network);
    ensure!(
        network_file.hash() == *hash,
        "the statistics were made with another feature network ({name}, SHA-256 {hash}); make them with this version"
    );
    let network = network_file.model()?;
    let look = |split, name: &str| -> Result<Vec<f32>> {
        let images = fashion_mnist(None, split)?;
        let progress = Progress::new(&format!("looking at the {name} split"), images.len() as u64);
        let features = extract(&network, &images.pixels, &|| progress.step())?;
        progress.finish();
        Ok(features.data)
    };
    let real = match data {
        true => {
            let (test, train) = (look(Split::Test, "test")?, look(Split::Train, "train")?);
            Some(Real::new(&test, Some(&train), collected.about.dim)?)
        }
        false => None,
    };
    let (test, train) = (shipped::test_statistics()?, shipped::train_statistics()?);
    let settings = Settings { test: &test, train: Some(&train), real: real.as_ref(), classifier: true, resamples };
    Ok(compare(collected, &settings)?)
}

/// Frechet distance of one model to the test split.
pub fn distance(file: ModelFile, batch: &Batch) -> Result<f64> {
    let collected = collect(&[file], batch, Shard::WHOLE)?;
    Ok(figures(&collected, 20, false)?.reference.frechet)
}

/// The first pictures of every model.
pub struct Gallery<'c> {
    collected: &'c Collected,
}

impl<'c> Gallery<'c> {
    /// Of what was collected.
    pub fn new(collected: &'c Collected) -> Self {
        Self { collected }
    }

    fn pixels(&self, model: usize, count: usize) -> &'c [u8] {
        let pixels = &self.collected.parts[model].shown;
        &pixels[..pixels.len().min(count * self.len())]
    }

    fn shape(&self) -> [usize; 3] {
        self.collected.about.shape
    }

    fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// A grid of the first pictures of one model, `columns` in a row.
    pub fn grid(&self, model: usize, columns: usize, rows: usize) -> Result<Vec<u8>> {
        grid_png(self.pixels(model, columns * rows), self.shape(), columns).map_err(anyhow::Error::msg)
    }

    /// The first pictures of all models side by side, `columns` each.
    pub fn side_by_side(&self, columns: usize, rows: usize) -> Result<Vec<u8>> {
        let len = self.len();
        let blank = vec![255; len];
        let mut all = Vec::new();
        for row in 0..rows {
            for (m, part) in self.collected.parts.iter().enumerate() {
                if m > 0 {
                    all.extend(&blank);
                }
                for column in 0..columns {
                    let at = (row * columns + column) * len;
                    all.extend(part.shown.get(at..at + len).unwrap_or(&blank));
                }
            }
        }
        let width = self.collected.parts.len() * (columns + 1) - 1;
        grid_png(&all, self.shape(), width).map_err(anyhow::Error::msg)
    }

    /// Where a model differs from the reference, eight times amplified.
    pub fn difference(&self, model: usize, columns: usize, rows: usize) -> Result<Vec<u8>> {
        let [reference, other] = [0, model].map(|m| self.pixels(m, columns * rows));
        let pixels: Vec<u8> = reference.iter().zip(other).map(|(&a, &b)| a.abs_diff(b).saturating_mul(8)).collect();
        grid_png(&pixels, self.shape(), columns).map_err(anyhow::Error::msg)
    }
}
