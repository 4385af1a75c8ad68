//! Feature networks: the classifier that the command line carries with it, or Inception-v3 from the user's weight file.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use driftlet_checkpoint::{Checkpoint, read_parameters};
use driftlet_data::{Split, fashion_mnist};
use driftlet_metrics::{Features, Statistics, extract};
use driftlet_quantize::{Description, Options, Precision, inception, inception_parameters, quantize_graph};

use crate::model_file::{ModelFile, name_of};
use crate::progress::Progress;
use crate::shipped;

/// Which feature network.
#[derive(Clone, Debug, Default)]
pub enum Choice {
    /// The shipped classifier.
    #[default]
    Classifier,
    /// Inception-v3 with the weights of pytorch-fid.
    Inception(PathBuf),
}

impl Choice {
    /// `classifier`, or `inception=FILE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "classifier" => Ok(Self::Classifier),
            Some(("inception", file)) if !file.is_empty() => Ok(Self::Inception(file.into())),
            _ => {
                Err("give classifier, or inception=FILE with pytorch-fid's pt_inception-2015-12-05-6726825d.pth".into())
            }
        }
    }
}

/// A feature network for pictures of one shape.
pub struct FeatureNetwork {
    /// The network.
    pub file: ModelFile,
    /// Whether its classes are those of the data.
    pub classifier: bool,
    /// Whether it is the shipped one, of which statistics are shipped too.
    pub shipped: bool,
}

impl FeatureNetwork {
    /// Makes a network for pictures `[height, width, channels]`.
    pub fn new(choice: &Choice, shape: [usize; 3]) -> Result<Self> {
        let (file, classifier) = match choice {
            Choice::Classifier => (
                ModelFile::made(&shipped::classifier()?, shipped::CLASSIFIER, Precision::F32)?
                    .named(shipped::CLASSIFIER),
                true,
            ),
            Choice::Inception(path) => (from_weights(path, shape)?, false),
        };
        Ok(Self { file, classifier, shipped: classifier })
    }

    /// A classifier of the user's.
    pub fn of_checkpoint(path: &Path) -> Result<Self> {
        let file = ModelFile::made(&Checkpoint::load(path)?, &name_of(path), Precision::F32)?;
        Ok(Self { file, classifier: true, shipped: false })
    }

    /// What it sees in a split of Fashion-MNIST.
    pub fn look(&self, split: Split) -> Result<(Features, Vec<u8>)> {
        let images = fashion_mnist(None, split)?;
        let name = if split == Split::Test { "test" } else { "train" };
        let progress = Progress::new(&format!("looking at the {name} split"), images.len() as u64);
        let model = self.file.model()?;
        let features = extract(&model, &images.pixels, &|| progress.step());
        progress.finish();
        Ok((features.with_context(|| self.file.name().to_owned())?, images.labels))
    }

    /// What distances are measured to unless something else is given: statistics of the test split.
    pub fn test_statistics(&self) -> Result<Statistics> {
        if self.shipped {
            return shipped::test_statistics();
        }
        let (features, _) = self.look(Split::Test)?;
        Ok(Statistics::of(&features.data, features.dim)?)
    }
}

/// Inception-v3.
fn from_weights(path: &Path, shape: [usize; 3]) -> Result<ModelFile> {
    // The file of pytorch-fid counts batches, as training did.
    let superfluous = |name: &str| name.ends_with("num_batches_tracked") || name.starts_with("AuxLogits");
    let weights = read_parameters(path, inception_parameters(), superfluous);
    let weights =
        weights.context("no weights of Inception-v3; give pytorch-fid's pt_inception-2015-12-05-6726825d.pth")?;
    let graph = inception(&weights, shape)?;
    let mut file = Cursor::new(Vec::new());
    let options = Options::new("inception-v3", Precision::F32);
    quantize_graph(&graph, &Description::default(), &options, &mut file)?;
    Ok(ModelFile::of_bytes("inception-v3", &file.into_inner()))
}

/// Reads statistics that distances are to be measured to: `.npz` with `mu` and `sigma`, or safetensors of `driftlet stats`.
pub fn read_statistics(path: &Path) -> Result<Statistics> {
    let bytes = driftlet_checkpoint::map_file(path)?;
    let name = path.display().to_string();
    Ok(match path.extension().is_some_and(|extension| extension == "npz") {
        true => Statistics::from_npz(&name, &bytes)?,
        false => Statistics::from_bytes(&name, &bytes)?,
    })
}
