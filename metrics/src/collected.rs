//! All that figures are computed from: sums over pictures, in parts that can be joined, and the features of the first ones.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::summary::{Pairs, Summary};
use crate::tree::{LEAF, Node, Tree};
use crate::{Features, MetricsError, Sensitivity};

/// Pictures whose features are kept: what needs them one by one (resamples, neighbours, kernels) is bounded by these, however
/// many pictures there are.
pub const KEPT: usize = 40 * LEAF;
/// Pictures that are kept to be shown.
pub const SHOWN: usize = 80;

/// What was generated, and what looked at it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Pictures of each model, over all parts.
    pub samples: usize,
    /// Seed of the first picture; the others follow.
    pub first_seed: u64,
    /// Guidance of all pictures.
    pub guidance: f32,
    /// Class that each picture was meant to be of: all in turn, so many.
    pub classes: u32,
    /// Height, width and channels of the pictures.
    pub shape: [usize; 3],
    /// Name of the feature network.
    pub network: String,
    /// SHA-256 of its `.drift` file.
    pub network_hash: String,
    /// Length of its feature vectors.
    pub dim: usize,
    /// Its classes.
    pub outputs: usize,
    /// The reference, then the candidates.
    pub models: Vec<Identity>,
    /// Seed of the first picture of a second run of the reference, of as many pictures, where there was one.
    #[serde(default)]
    pub second_run: Option<u64>,
}

/// What identifies a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Name for people.
    pub name: String,
    /// `f32`, `f16` or `int8`.
    pub precision: String,
    /// Size of the `.drift` file.
    pub bytes: usize,
    /// SHA-256 of the `.drift` file.
    pub hash: String,
    /// Multiply-accumulates of a picture.
    pub macs: u64,
    /// Operators whose loss is known.
    pub layers: Vec<Layer>,
    /// What each operator costs the pictures, where it was measured.
    #[serde(default)]
    pub sensitivity: Option<Sensitivity>,
}

/// What an operator loses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name of its weights, or its kind.
    pub name: String,
    /// Signal-to-quantization-noise ratio of its result against the float file, in dB.
    pub sqnr: f64,
}

/// What is known of one model's pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Sums over all pictures.
    pub tree: Tree<Summary>,
    /// Of the first [`KEPT`] of all pictures, those that belong to this part: features `[n, dim]`.
    pub features: Vec<f32>,
    /// What the network says of each class, `[n, outputs]`.
    pub logits: Vec<f32>,
    /// Each against the reference's.
    pub pairs: Vec<Pairs>,
    /// Pixels of the first [`SHOWN`] of all pictures.
    pub shown: Vec<u8>,
}

/// Pictures of several models, added up; consecutive leaves of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// What was generated.
    pub about: About,
    /// One per model, then the second run of the reference.
    pub parts: Vec<Part>,
}

impl About {
    /// Sets of pictures.
    pub fn sets(&self) -> usize {
        self.models.len() + usize::from(self.second_run.is_some())
    }
}

/// Part `index` of `of` equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub index: u64,
    /// Number of parts.
    pub of: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Leaves of a part.
    pub fn leaves(self, samples: usize) -> Range<u64> {
        let leaves = samples.div_ceil(LEAF) as u64;
        leaves * self.index / self.of..leaves * (self.index + 1) / self.of
    }
}

/// Samples of leaves.
pub fn samples_of(leaves: Range<u64>, samples: usize) -> Range<usize> {
    let at = |leaf: u64| samples.min(usize::try_from(leaf).map_or(samples, |leaf| leaf.saturating_mul(LEAF)));
    at(leaves.start)..at(leaves.end)
}

impl Collected {
    /// Nothing yet.
    pub fn new(about: About) -> Self {
        let parts = vec![Part::default(); about.sets()];
        Self { about, parts }
    }

    /// Adds the pictures of a leaf: pixels and features of every model and of the second run, and the class that each picture was meant
    /// to be of.
    ///
    /// # Errors
    /// [`MetricsError`] if the leaf is not the next one, or numbers do not fit together.
    pub fn add(
        &mut self,
        leaf: u64,
        pixels: &[Vec<u8>],
        features: &[Features],
        intended: &[u32],
    ) -> Result<(), MetricsError> {
        let About { shape, dim, outputs, samples, .. } = self.about;
        let range = samples_of(leaf..leaf + 1, samples);
        let len = shape.iter().product::<usize>();
        let fits = |pixels: &Vec<u8>, seen: &Features| {
            pixels.len() == range.len() * len
                && (seen.dim, seen.classes) == (dim, outputs)
                && seen.data.len() == range.len() * dim
        };
        let count = self.parts.len();
        if pixels.len() != count || features.len() != count || intended.len() != range.len() {
            return Err(MetricsError::Shape(format!("{} sets of pictures instead of {count}", pixels.len())));
        }
        if !pixels.iter().zip(features).all(|(pixels, seen)| fits(pixels, seen)) {
            return Err(MetricsError::Shape(format!("pictures or features of leaf {leaf} do not fit")));
        }
        let models = self.about.models.len();
        for (m, part) in self.parts.iter_mut().enumerate() {
            // Of a second run only the sums are looked at.
            let most = |most: usize| if m < models { most.saturating_sub(range.start).min(range.len()) } else { 0 };
            let (kept, shown) = (most(KEPT), most(SHOWN));
            let pair = |i: usize| {
                let pictures = [m, 0].map(|m| &pixels[m][i * len..(i + 1) * len]);
                let vectors = [m, 0].map(|m| &features[m].data[i * dim..(i + 1) * dim]);
                Pairs::of(pictures, shape, vectors)
            };
            let pairs: Vec<Pairs> = match m {
                // A picture is its own reference, and one of another seed has none.
                m if m == 0 || m >= models => vec![Pairs { similarity: 1.0, ..Pairs::default() }; range.len()],
                _ => (0..range.len()).into_par_iter().map(pair).collect(),
            };
            let sum = Summary::of(&pixels[m], &features[m], intended, &pairs)?;
            part.tree.push(Node { level: 0, index: leaf, sum })?;
            part.features.extend(&features[m].data[..kept * dim]);
            part.logits.extend(&features[m].logits[..kept * outputs]);
            part.pairs.extend(&pairs[..kept]);
            part.shown.extend(&pixels[m][..shown * len]);
        }
        Ok(())
    }

    /// Leaves that are added up.
    pub fn leaves(&self) -> Range<u64> {
        self.parts.first().map_or(0..0, |part| part.tree.leaves())
    }

    /// Samples that are added up.
    pub fn samples(&self) -> Range<usize> {
        samples_of(self.leaves(), self.about.samples)
    }

    /// Joins the parts of one collection; in any order. The result is the same as without parts, to the last bit.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if they are parts of different collections, or some are missing or there twice.
    pub fn merge(mut parts: Vec<Self>) -> Result<Self, MetricsError> {
        parts.sort_by_key(|part| part.leaves().start);
        let mut parts = parts.into_iter();
        let Some(mut whole) = parts.next() else { return Err(MetricsError::Shape("no files to merge".into())) };
        for next in parts {
            if next.about != whole.about {
                return Err(MetricsError::Shape(differing(&whole.about, &next.about)));
            }
            let (before, after) = (whole.leaves(), next.leaves());
            if before.end != after.start {
                let what = if before.end < after.start { "are missing" } else { "are there twice" };
                let (from, to) = (before.end.min(after.start), before.end.max(after.start));
                let samples = samples_of(from..to, whole.about.samples);
                let problem = format!("samples {} to {} {what}", samples.start, samples.end.saturating_sub(1));
                return Err(MetricsError::Shape(problem));
            }
            for (part, more) in whole.parts.iter_mut().zip(next.parts) {
                part.tree.extend(more.tree)?;
                part.features.extend(more.features);
                part.logits.extend(more.logits);
                part.pairs.extend(more.pairs);
                part.shown.extend(more.shown);
            }
        }
        Ok(whole)
    }

    /// Says which samples are missing.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if there are any.
    pub fn complete(&self) -> Result<(), MetricsError> {
        let (here, all) = (self.leaves(), Shard::WHOLE.leaves(self.about.samples));
        if here == all {
            return Ok(());
        }
        let samples = samples_of(here, self.about.samples);
        Err(MetricsError::Shape(format!(
            "holds samples {} to {} of {}; merge it with the other shards",
            samples.start,
            samples.end.saturating_sub(1),
            self.about.samples
        )))
    }
}

/// What tells two collections apart.
fn differing(a: &About, b: &About) -> String {
    let models = |about: &About| about.models.iter().map(|m| m.hash.clone()).collect::<Vec<_>>();
    let field = if models(a) != models(b) {
        "other models"
    } else if a.network_hash != b.network_hash {
        "another feature network"
    } else if (a.samples, a.first_seed, a.second_run) != (b.samples, b.first_seed, b.second_run) {
        "another number of samples or first seed"
    } else if a.models.iter().zip(&b.models).any(|(a, b)| a.sensitivity != b.sensitivity) {
        "other costs of operators: give all the same --layers, or 0 on machines of different kinds"
    } else {
        "other settings"
    };
    format!("these are shards of different runs ({field})")
}
