//! A collection as a file of safetensors.
//!
//! Its metadata has one field, `driftlet`, with [`About`] as JSON. Of every model `m`, from 0, and
//! behind them of a second run of the reference, of which no single pictures are kept, there are
//!
//! ```text
//! m.places    u64 [nodes, 2]         level and index of every node of the tree of sums
//! m.sums      f64 [nodes, width]     count, named, squares, similarity, distance, certainty, probabilities, mean, scatter
//! m.digests   u8  [nodes, 32]        hashes of the pictures
//! m.features  f32 [kept, dim]        of the first pictures
//! m.logits    f32 [kept, outputs]
//! m.pairs     f64 [kept, 3]          squares, similarity, distance
//! m.shown     u8  [shown, height, width, channels]
//! ```

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::collected::{About, Collected, KEPT, Part, SHOWN, samples_of};
use crate::summary::{Pairs, Summary};
use crate::tree::{Node, Tree};
use crate::{MetricsError, Moments};

/// The field of the metadata.
const ABOUT: &str = "driftlet";
/// Numbers of a sum before the probabilities.
const SCALARS: usize = 6;
/// Larger trees have more leaves than any number of samples.
const MOST_LEVELS: u64 = 48;

impl Collected {
    /// The bytes of the file: equal collections have equal bytes.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if the fields do not fit together.
    pub fn to_bytes(&self) -> Result<Vec<u8>, MetricsError> {
        let About { dim, outputs, shape, .. } = self.about;
        let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (m, part) in self.parts.iter().enumerate() {
            let nodes = part.tree.nodes();
            let mut add = |name: &str, dtype, mut dims: Vec<usize>, bytes: Vec<u8>| {
                let row = dims.iter().product::<usize>() * dtype_size(dtype);
                dims.insert(0, bytes.len() / row.max(1));
                tensors.push((format!("{m}.{name}"), dtype, dims, bytes));
            };
            let places = nodes.iter().flat_map(|node| [u64::from(node.level), node.index]);
            add("places", Dtype::U64, vec![2], places.flat_map(u64::to_le_bytes).collect());
            let sums = nodes.iter().flat_map(|node| numbers(&node.sum));
            add("sums", Dtype::F64, vec![width(dim, outputs)], sums.flat_map(f64::to_le_bytes).collect());
            add("digests", Dtype::U8, vec![32], nodes.iter().flat_map(|node| node.sum.digest).collect());
            add("features", Dtype::F32, vec![dim], part.features.iter().flat_map(|x| x.to_le_bytes()).collect());
            add("logits", Dtype::F32, vec![outputs], part.logits.iter().flat_map(|x| x.to_le_bytes()).collect());
            let pairs = part.pairs.iter().flat_map(|pair| [pair.squares as f64, pair.similarity, pair.distance]);
            add("pairs", Dtype::F64, vec![3], pairs.flat_map(f64::to_le_bytes).collect());
            add("shown", Dtype::U8, shape.to_vec(), part.shown.clone());
        }
        let about = serde_json::to_string(&self.about).map_err(|e| MetricsError::Shape(e.to_string()))?;
        let views = tensors
            .iter()
            .map(|(name, dtype, dims, bytes)| Ok((name.as_str(), TensorView::new(*dtype, dims.clone(), bytes)?)));
        views
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .and_then(|views| safetensors::serialize(views, Some(HashMap::from([(ABOUT.into(), about)]))))
            .map_err(|e| MetricsError::Shape(e.to_string()))
    }

    /// Reads what [`Collected::to_bytes`] wrote; `file` is for messages.
    ///
    /// # Errors
    /// [`MetricsError::Statistics`] names the field.
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Result<Self, MetricsError> {
        let error = |problem: String| MetricsError::Statistics { file: file.into(), problem };
        const REMEDY: &str = "make it with driftlet compare --out or driftlet stats --out";
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|e| error(format!("not a safetensors file ({e}); {REMEDY}")))?;
        let about = header.metadata().as_ref().and_then(|fields| fields.get(ABOUT));
        let about = about.ok_or_else(|| error(format!("has no field `{ABOUT}`; {REMEDY}")))?;
        let about: About = serde_json::from_str(about).map_err(|e| error(format!("`{ABOUT}`: {e}; {REMEDY}")))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| error(format!("damaged ({e}); {REMEDY}")))?;
        check(&about).map_err(error)?;
        let mut parts = Vec::with_capacity(about.sets());
        for m in 0..about.sets() {
            let part = Reader { about: &about, tensors: &tensors, model: m }.part();
            parts.push(part.map_err(|problem| error(format!("{problem}; {REMEDY}")))?);
        }
        let collected = Self { about, parts };
        if collected.parts.iter().any(|part| part.tree.leaves() != collected.leaves()) {
            return Err(error("its models have different samples".into()));
        }
        Ok(collected)
    }
}

/// Refuses sizes that no run has.
fn check(about: &About) -> Result<(), String> {
    let most = |what: &str, value: usize, most: usize| match value {
        0 => Err(format!("`{what}` is 0")),
        value if value > most => Err(format!("`{what}` is {value}, more than {most}")),
        _ => Ok(()),
    };
    most("samples", about.samples, 1 << 40)?;
    most("dim", about.dim, 1 << 14)?;
    most("outputs", about.outputs, 1 << 20)?;
    most("models", about.models.len(), 1 << 10)?;
    about.shape.iter().try_for_each(|&side| most("shape", side, 1 << 16))
}

fn dtype_size(dtype: Dtype) -> usize {
    match dtype {
        Dtype::U8 => 1,
        Dtype::F32 => 4,
        _ => 8,
    }
}

/// Numbers of a sum.
fn width(dim: usize, outputs: usize) -> usize {
    SCALARS + outputs + dim + dim * (dim + 1) / 2
}

fn numbers(sum: &Summary) -> Vec<f64> {
    let Pairs { squares, similarity, distance } = sum.pairs;
    // Counts are far below 2^53.
    let scalars = [sum.moments.count as f64, sum.named as f64, squares as f64, similarity, distance, sum.certainty];
    [&scalars[..], &sum.probabilities, &sum.moments.mean, &sum.moments.scatter].concat()
}

/// The tensors of one model.
struct Reader<'r> {
    about: &'r About,
    tensors: &'r SafeTensors<'r>,
    model: usize,
}

impl Reader<'_> {
    fn part(&self) -> Result<Part, String> {
        let About { dim, outputs, shape, samples, .. } = *self.about;
        let places: Vec<u64> = self.read("places", Dtype::U64, 2)?.into_iter().map(u64::from_le_bytes).collect();
        let sums = self.floats("sums", width(dim, outputs))?;
        let digests: Vec<u8> = self.read::<1>("digests", Dtype::U8, 32)?.concat();
        let nodes = places.len() / 2;
        if sums.len() != nodes * width(dim, outputs) || digests.len() != nodes * 32 {
            return Err("`places`, `sums` and `digests` are of different lengths".into());
        }
        let mut tree = Tree::default();
        for ((place, sum), digest) in
            places.chunks_exact(2).zip(sums.chunks_exact(width(dim, outputs))).zip(digests.as_chunks::<32>().0)
        {
            let (level, index) = (place[0], place[1]);
            if level > MOST_LEVELS || index > u64::MAX >> (MOST_LEVELS + 1) {
                return Err(format!("`places` has a node {level}, {index}"));
            }
            let node = Node { level: level as u32, index, sum: summary(sum, digest, dim, outputs)? };
            let expected = samples_of(node.leaves(), samples).len() as u64;
            if node.sum.moments.count != expected {
                return Err(format!("`sums` has {} samples where there are {expected}", node.sum.moments.count));
            }
            tree.push(node).map_err(|e| e.to_string())?;
        }
        let range = samples_of(tree.leaves(), samples);
        let single = self.model < self.about.models.len();
        let within = |most: usize| if single { range.end.min(most).saturating_sub(range.start) } else { 0 };
        let features: Vec<f32> = self.read("features", Dtype::F32, dim)?.into_iter().map(f32::from_le_bytes).collect();
        let logits: Vec<f32> = self.read("logits", Dtype::F32, outputs)?.into_iter().map(f32::from_le_bytes).collect();
        let pairs = self.floats("pairs", 3)?;
        let shown: Vec<u8> = self.read::<1>("shown", Dtype::U8, shape.iter().product())?.concat();
        for (name, len, expected) in [
            ("features", features.len(), within(KEPT) * dim),
            ("logits", logits.len(), within(KEPT) * outputs),
            ("pairs", pairs.len(), within(KEPT) * 3),
            ("shown", shown.len(), within(SHOWN) * shape.iter().product::<usize>()),
        ] {
            if len != expected {
                return Err(format!("`{name}` has {len} numbers instead of {expected}"));
            }
        }
        if !features.iter().chain(&logits).all(|x| x.is_finite()) {
            return Err("`features` or `logits` has a number that is not finite".into());
        }
        let pair = |p: &[f64]| Ok(Pairs { squares: whole(p[0])?, similarity: p[1], distance: p[2] });
        let pairs = pairs.chunks_exact(3).map(pair).collect::<Result<Vec<_>, String>>()?;
        Ok(Part { tree, features, logits, pairs, shown })
    }

    /// Numbers of `N` bytes, in rows of `row`.
    fn read<const N: usize>(&self, name: &str, dtype: Dtype, row: usize) -> Result<Vec<[u8; N]>, String> {
        let name = format!("{}.{name}", self.model);
        let view = self.tensors.tensor(&name).map_err(|_| format!("has no `{name}`"))?;
        if view.dtype() != dtype || view.shape().len() < 2 || view.shape()[1..].iter().product::<usize>() != row {
            return Err(format!("`{name}` is {:?} {:?}, not {dtype:?} in rows of {row}", view.dtype(), view.shape()));
        }
        Ok(view.data().as_chunks().0.to_vec())
    }

    fn floats(&self, name: &str, row: usize) -> Result<Vec<f64>, String> {
        let numbers: Vec<f64> = self.read(name, Dtype::F64, row)?.into_iter().map(f64::from_le_bytes).collect();
        match numbers.iter().all(|x| x.is_finite()) {
            true => Ok(numbers),
            false => Err(format!("`{}.{name}` has a number that is not finite", self.model)),
        }
    }
}

fn summary(numbers: &[f64], digest: &[u8; 32], dim: usize, outputs: usize) -> Result<Summary, String> {
    let (scalars, rest) = numbers.split_at(SCALARS);
    let (probabilities, rest) = rest.split_at(outputs);
    let (mean, scatter) = rest.split_at(dim);
    Ok(Summary {
        moments: Moments { count: whole(scalars[0])?, mean: mean.into(), scatter: scatter.into() },
        named: whole(scalars[1])?,
        pairs: Pairs { squares: whole(scalars[2])?, similarity: scalars[3], distance: scalars[4] },
        certainty: scalars[5],
        probabilities: probabilities.into(),
        digest: *digest,
    })
}

fn whole(number: f64) -> Result<u64, String> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    let counts = (0.0..=MOST).contains(&number) && number.fract() == 0.0;
    if counts { Ok(number as u64) } else { Err(format!("{number} is no count")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;
    use crate::collected::{Identity, Shard};
    use crate::tree::LEAF;

    fn about(samples: usize) -> About {
        let model = |name: &str| Identity { name: name.into(), hash: name.into(), ..Identity::default() };
        About {
            samples,
            first_seed: 3,
            guidance: 1.5,
            classes: 2,
            shape: [2, 2, 1],
            network: "network".into(),
            network_hash: "ab".into(),
            dim: 3,
            outputs: 2,
            models: vec![model("a"), model("b")],
            second_run: Some(9),
        }
    }

    /// Any numbers that depend on the sample and the model only.
    fn part(samples: usize, shard: Shard) -> Result<Collected, MetricsError> {
        let mut collected = Collected::new(about(samples));
        for leaf in shard.leaves(samples) {
            let range = samples_of(leaf..leaf + 1, samples);
            let number = |i: usize, m: usize| ((i * 7919 + m * 104_729) % 9973) as f32 / 997.0;
            let numbers = |m: usize, width: usize| -> Vec<f32> {
                range.clone().flat_map(|i| (0..width).map(move |j| number(i * width + j, m))).collect()
            };
            let features = |m: usize| Features { dim: 3, data: numbers(m, 3), classes: 2, logits: numbers(m + 5, 2) };
            let pixels = |m: usize| numbers(m + 9, 4).iter().map(|x| (x * 25.0) as u8).collect();
            let intended: Vec<u32> = range.clone().map(|i| i as u32 % 2).collect();
            let (pixels, features) = ([0, 1, 2].map(pixels), [0, 1, 2].map(features));
            collected.add(leaf, &pixels, &features, &intended)?;
        }
        Ok(collected)
    }

    #[test]
    fn any_number_of_shards_gives_the_same_bytes() -> Result<(), MetricsError> {
        for samples in [1, LEAF, 5 * LEAF + 17, KEPT + 3 * LEAF + 1] {
            let whole = part(samples, Shard::WHOLE)?;
            whole.complete()?;
            let bytes = whole.to_bytes()?;
            assert_eq!(Collected::from_bytes("x", &bytes)?, whole);
            for of in [2, 3, 5].into_iter().filter(|&of| of <= samples.div_ceil(LEAF) as u64) {
                let shard = |index| Collected::from_bytes("x", &part(samples, Shard { index, of })?.to_bytes()?);
                let shards = (0..of).rev().map(shard).collect::<Result<Vec<_>, _>>()?;
                assert!(shards[0].complete().is_err());
                assert!(Collected::merge(shards.clone())?.to_bytes()? == bytes, "{samples} samples, {of} shards");
                let gap = [&shards[..1], &shards[2..]].concat();
                let message = Collected::merge(gap).and_then(|c| c.complete()).err().map(|e| e.to_string());
                assert!(message.is_some(), "{samples} samples, {of} shards");
                let message = Collected::merge([&shards[..], &shards[..1]].concat()).err().map(|e| e.to_string());
                assert!(message.is_some_and(|m| m.contains("twice")));
            }
        }
        Ok(())
    }

    #[test]
    fn damage_is_an_error() -> Result<(), MetricsError> {
        let bytes = part(300, Shard::WHOLE)?.to_bytes()?;
        for len in (0..bytes.len()).step_by(41) {
            assert!(Collected::from_bytes("x", &bytes[..len]).is_err(), "{len} bytes");
        }
        for at in 0..bytes.len().min(6000) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // Either refused or read; never a panic.
            let _ = Collected::from_bytes("x", &damaged);
        }
        let mut other = part(300, Shard::WHOLE)?;
        other.about.models[1].hash = "c".into();
        let message = Collected::merge(vec![part(300, Shard::WHOLE)?, other]).err().map(|e| e.to_string());
        assert!(message.is_some_and(|m| m.contains("other models")));
        Ok(())
    }
}
