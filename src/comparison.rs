//! Generates with several models and adds up what a feature network sees in it; `compare` and `demo` share it.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use driftlet_checkpoint::map_file;
use driftlet_data::{Images, Split, grid_png};
use driftlet_metrics::{
    About, Collected, Comparison, DataVectors, Features, Identity, Layer, Pictures, Real, Settings, Shard, Statistics,
    compare, extract, samples_of, sensitivity,
};
use driftlet_runtime::Model;
use sha2::{Digest, Sha256};

use crate::commands::sample::check_guidance;
use crate::model_file::{ModelFile, hex};
use crate::network::{Choice, FeatureNetwork, read_statistics};
use crate::progress::Progress;
use crate::sampling::{Batch, generate};
use crate::shipped;

/// What is looked at beside the pictures of all models.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// Pictures on which to measure what each operator costs.
    pub layers: u32,
    /// A second run of the reference, with the seeds behind those of the first.
    pub second_run: bool,
}

/// Pictures of all models, the first of which is the reference: the part that a shard takes. What is in memory does not grow
/// with the number of pictures.
pub fn collect(files: &[ModelFile], batch: &Batch, beside: Beside, shard: Shard, choice: &Choice) -> Result<Collected> {
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
    let network = FeatureNetwork::new(choice, shape)?;
    let mut identities: Vec<_> = files.iter().zip(&models).map(|(file, model)| identity(file, model)).collect();
    let pictures = Pictures { count: beside.layers as usize, first_seed: batch.first_seed, guidance: batch.guidance };
    for (candidate, identity) in models.iter().zip(&mut identities).skip(1) {
        let progress = Progress::new(&format!("operators of {}", identity.name), beside.layers.into());
        let step = || progress.step();
        let names = operator_names(candidate);
        identity.sensitivity = sensitivity(first, candidate, &network.file.model()?, pictures, &names, &step)?;
        progress.finish();
    }
    let about = About {
        samples: batch.count,
        first_seed: batch.first_seed,
        guidance: batch.guidance.to_f32(),
        classes: first.classes(),
        shape,
        models: identities,
        second_run: beside.second_run.then(|| batch.seed_of(batch.count)),
        ..About::default()
    };
    gather(about, &network, shard, &mut |_| {}, |range| {
        let start = range.start;
        let part = Batch { first_seed: batch.seed_of(start), count: range.len(), ..batch.clone() };
        let intended: Vec<u32> = range.map(|i| batch.class_of(i, first.classes())).collect();
        let pixels = models.iter().map(|model| generate(model, &part, &intended, &|| {}));
        let mut pixels = pixels.collect::<Result<Vec<_>>>()?;
        if beside.second_run {
            let second = Batch { first_seed: batch.seed_of(batch.count + start), ..part };
            pixels.push(generate(first, &second, &intended, &|| {})?);
        }
        Ok((pixels, intended))
    })
}

/// What a feature network sees in real pictures; `watch` is called with the features of each leaf.
pub fn collect_images(
    name: &str,
    images: &Images,
    shard: Shard,
    network: &FeatureNetwork,
    watch: &mut dyn FnMut(&[Features]),
) -> Result<Collected> {
    let identity = Identity { name: name.into(), hash: hex(&Sha256::digest(&images.pixels)), ..Identity::default() };
    let shape = [images.height, images.width, images.channels];
    let about = About { samples: images.len(), shape, models: vec![identity], ..About::default() };
    let len = images.image_len();
    gather(about, network, shard, watch, |range| {
        let pixels = images.pixels[range.start * len..range.end * len].to_vec();
        Ok((vec![pixels], images.labels[range].iter().map(|&label| label.into()).collect()))
    })
}

/// Adds up, leaf by leaf, what `make` gives for a range of samples: pixels of every model, and what they are meant to be.
fn gather(
    about: About,
    network_file: &FeatureNetwork,
    shard: Shard,
    watch: &mut dyn FnMut(&[Features]),
    mut make: impl FnMut(Range<usize>) -> Result<(Vec<Vec<u8>>, Vec<u32>)>,
) -> Result<Collected> {
    let network = network_file.file.model()?;
    // What the network makes of any picture tells how long its vectors are.
    let probe = extract(&network, &vec![0; about.shape.iter().product()], &|| {});
    let probe = probe.with_context(|| network_file.file.name().to_owned())?;
    let (samples, sets) = (about.samples, about.sets());
    let mut collected = Collected::new(About {
        network: network_file.file.name().into(),
        network_hash: network_file.file.hash(),
        dim: probe.dim,
        outputs: probe.classes,
        ..about
    });
    let leaves = shard.leaves(samples);
    let progress = Progress::new("pictures", (samples_of(leaves.clone(), samples).len() * sets) as u64);
    for leaf in leaves {
        let (pixels, intended) = make(samples_of(leaf..leaf + 1, samples))?;
        let look = |pixels: &Vec<u8>| Ok(extract(&network, pixels, &|| progress.step())?);
        let seen = pixels.iter().map(look).collect::<Result<Vec<Features>>>()?;
        watch(&seen);
        collected.add(leaf, &pixels, &seen, &intended)?;
    }
    progress.finish();
    Ok(collected)
}

/// What a file says of itself.
fn identity(file: &ModelFile, model: &Model) -> Identity {
    let metadata = metadata(model);
    let listed = metadata["layers"].as_array().into_iter().flatten();
    let layers = operator_names(model).into_iter().zip(listed);
    let layers = layers.filter_map(|(name, layer)| Some(Layer { name, sqnr: layer["sqnr"].as_f64()? }));
    Identity {
        name: file.name().into(),
        precision: model.precision().name().into(),
        bytes: file.bytes().len(),
        hash: file.hash(),
        macs: model.macs(),
        layers: layers.collect(),
        sensitivity: None,
    }
}

fn metadata(model: &Model) -> serde_json::Value {
    serde_json::from_slice(model.metadata()).unwrap_or_default()
}

/// Of every operator the name of its weights, or its kind.
fn operator_names(model: &Model) -> Vec<String> {
    let metadata = metadata(model);
    let name = |i| {
        let listed = metadata["layers"][i as usize]["name"].as_str().filter(|name| !name.is_empty());
        listed.unwrap_or(model.op_info(i).kind.name()).into()
    };
    (0..model.op_count()).map(name).collect()
}

/// What figures are measured with.
#[derive(Clone, Debug, Default)]
pub struct Measure {
    /// The feature network.
    pub choice: Choice,
    /// A file of statistics to measure distances to, instead of those of the test split.
    pub reference: Option<PathBuf>,
    /// Bootstrap resamples behind each interval.
    pub resamples: u32,
    /// Also what needs Fashion-MNIST itself.
    pub data: bool,
    /// Files of feature vectors of the test split of any data, in place of Fashion-MNIST's.
    pub test: Vec<PathBuf>,
    /// The same of its train split.
    pub train: Vec<PathBuf>,
}

/// Figures of what was collected.
pub fn figures(collected: &Collected, measure: &Measure) -> Result<Comparison> {
    let network = FeatureNetwork::new(&measure.choice, collected.about.shape)?;
    let (hash, name) = (&collected.about.network_hash, &collected.about.network);
    ensure!(
        network.file.hash() == *hash,
        "the statistics were made with another feature network ({name}, SHA-256 {hash}); give the same --features"
    );
    let read = |files: &[PathBuf]| (!files.is_empty()).then(|| read_vectors(files, &collected.about)).transpose();
    let (test_vectors, mut train_vectors) = (read(&measure.test)?, read(&measure.train)?);
    let statistics = |vectors: &Option<Vec<f32>>| {
        vectors.as_ref().map(|vectors| Statistics::of(vectors, collected.about.dim)).transpose()
    };
    // The floor is that of one data set's splits.
    let shipped_train = network.shipped && measure.reference.is_none() && test_vectors.is_none();
    let train = match statistics(&train_vectors)? {
        None if shipped_train => Some(shipped::train_statistics()?),
        train => train,
    };
    let test = match (&measure.reference, statistics(&test_vectors)?) {
        (Some(path), _) => {
            let given = read_statistics(path)?;
            let (dim, name) = (collected.about.dim, &collected.about.network);
            ensure!(
                given.dim() == dim,
                "{}: the mean has {} numbers, the features of {name} have {dim}; give statistics of the same feature network, \
                 or its --features",
                path.display(),
                given.dim()
            );
            given
        }
        (None, Some(test)) => test,
        (None, None) => network.test_statistics()?,
    };
    let test_vectors = match test_vectors {
        None if measure.data => Some(network.look(Split::Test)?.0.data),
        given => given,
    };
    // Other networks would take hours.
    if train_vectors.is_none() && measure.data && network.shipped && measure.test.is_empty() {
        train_vectors = Some(network.look(Split::Train)?.0.data);
    }
    let real = test_vectors.map(|test| Real::new(&test, train_vectors.as_deref(), collected.about.dim)).transpose()?;
    let settings = Settings {
        test: &test,
        train: train.as_ref(),
        real: real.as_ref(),
        classifier: network.classifier,
        resamples: measure.resamples,
    };
    Ok(compare(collected, &settings)?)
}

/// Feature vectors of a data set, by the network that looked at the pictures.
fn read_vectors(files: &[PathBuf], about: &About) -> Result<Vec<f32>> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let vectors = DataVectors::from_bytes(&name, &map_file(path)?)?;
        ensure!(
            vectors.about.network_hash == about.network_hash && vectors.dim == about.dim,
            "{name}: vectors of another feature network than {}, or one for pictures of another size; make them with the same \
             --features and the --size of the generator's pictures",
            about.network
        );
        Ok(vectors)
    };
    let parts = files.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(DataVectors::join(parts).with_context(|| files[0].display().to_string())?.features)
}

/// Frechet distance of one model to the test split.
pub fn distance(file: ModelFile, batch: &Batch) -> Result<f64> {
    let collected = collect(&[file], batch, Beside::default(), Shard::WHOLE, &Choice::Classifier)?;
    Ok(figures(&collected, &Measure { resamples: 20, ..Measure::default() })?.reference.frechet)
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
