//! The features that the drifting loss is taken on, of generated and of real pictures.

use burn::tensor::backend::Backend;
use burn::tensor::module::avg_pool2d;
use burn::tensor::{Tensor, TensorData};

use crate::config::{Feature, Statistic};
use crate::dataset::Samples;
use crate::networks::{FeatureEncoder, FeatureMap};

/// What the loss looks at, and with which encoders.
pub struct Extractor<B: Backend> {
    /// Features, in order.
    pub features: Vec<Feature>,
    /// Encoders, whose maps are numbered on.
    pub encoders: Vec<FeatureEncoder<B>>,
}

impl<B: Backend> Extractor<B> {
    /// Features `[n, locations, dims]` of pictures `[n, channels, height, width]`, one tensor per feature and map.
    pub fn extract(&self, images: Tensor<B, 4>) -> Vec<Tensor<B, 3>> {
        let maps: Vec<FeatureMap<B>> = match self.features.iter().any(|f| f.encoded()) {
            true => self.encoders.iter().flat_map(|encoder| encoder.maps(images.clone())).map(|(_, map)| map).collect(),
            false => Vec::new(),
        };
        let mut extracted = Vec::new();
        for &Feature { statistic, map } in &self.features {
            if let Some(feature) = of_picture(statistic, &images) {
                extracted.push(feature);
                continue;
            }
            let chosen = maps.iter().enumerate().filter(|(i, _)| map.is_none_or(|map| map == *i));
            extracted.extend(chosen.map(|(_, map)| of_map(statistic, map.clone())));
        }
        extracted
    }
}

pub fn of_picture<B: Backend>(statistic: Statistic, images: &Tensor<B, 4>) -> Option<Tensor<B, 3>> {
    Some(match statistic {
        Statistic::Pixels => whole(images.clone()),
        Statistic::PooledPixels(size) => whole(pool(images.clone(), size)),
        Statistic::Patches(size) => patches(images.clone(), size),
        Statistic::Rms => locations(mean(images.clone().powi_scalar(2)).add_scalar(VARIANCE_FLOOR).sqrt()),
        _ => return None,
    })
}

/// Features of a map `[n, channels, height, width]`, as in the paper's reference code.
pub fn of_map<B: Backend>(statistic: Statistic, map: FeatureMap<B>) -> Tensor<B, 3> {
    match statistic {
        Statistic::Means => locations(mean(map)),
        Statistic::Deviations => {
            let centred = map.clone() - mean(map);
            locations(mean(centred.powi_scalar(2)).add_scalar(VARIANCE_FLOOR).sqrt())
        }
        Statistic::SquareMeans(size) => locations(pool(map, size)),
        Statistic::SquareDeviations(size) => {
            let [n, c, h, w] = map.dims();
            let (rows, columns) = (h / size, w / size);
            let cut = map.slice([0..n, 0..c, 0..rows * size, 0..columns * size]);
            // The squares' locations side by side, so that one mean serves.
            let squares = cut.reshape([n, c, rows, size, columns, size]).permute([0, 1, 2, 4, 3, 5]);
            let squares = squares.reshape([n, c, rows * columns, size * size]);
            let centred = squares.clone() - squares.mean_dim(3);
            let variance = centred.powi_scalar(2).mean_dim(3);
            locations(variance.add_scalar(VARIANCE_FLOOR).sqrt())
        }
        Statistic::Maps => whole(map),
        _ => locations(map),
    }
}

/// Keeps the gradient of a root finite on constant channels; the reference code's.
const VARIANCE_FLOOR: f64 = 1e-6;

/// A map as one vector.
fn whole<B: Backend>(map: FeatureMap<B>) -> Tensor<B, 3> {
    let [n, c, h, w] = map.dims();
    map.reshape([n, 1, c * h * w])
}

/// A map as one vector per location.
fn locations<B: Backend>(map: FeatureMap<B>) -> Tensor<B, 3> {
    let [n, c, h, w] = map.dims();
    map.reshape([n, c, h * w]).swap_dims(1, 2)
}

/// Mean over all locations.
fn mean<B: Backend>(map: FeatureMap<B>) -> FeatureMap<B> {
    map.mean_dim(3).mean_dim(2)
}

/// Means over squares; a rest at the right and lower edge is left out.
fn pool<B: Backend>(map: FeatureMap<B>, size: usize) -> FeatureMap<B> {
    avg_pool2d(map, [size, size], [size, size], [0, 0], true, false)
}

/// Non-overlapping squares of pixels, one vector each.
fn patches<B: Backend>(images: Tensor<B, 4>, size: usize) -> Tensor<B, 3> {
    let [n, c, h, w] = images.dims();
    let (rows, columns) = (h / size, w / size);
    let cut = images.slice([0..n, 0..c, 0..rows * size, 0..columns * size]);
    let split = cut.reshape([n, c, rows, size, columns, size]);
    split.permute([0, 2, 4, 1, 3, 5]).reshape([n, rows * columns, c * size * size])
}

/// Features of every real picture: they never change, so each is computed once.
pub struct Cache {
    features: Vec<Cached>,
}

struct Cached {
    locations: usize,
    dims: usize,
    /// `[images, locations, dims]`.
    data: Vec<f32>,
}

impl Cache {
    /// Computes the features of a data set.
    pub fn new<B: Backend>(extractor: &Extractor<B>, samples: &Samples, device: &B::Device) -> Self {
        let count = samples.len();
        eprintln!("computing the features of {count} real samples, once");
        let mut cached: Vec<Cached> = Vec::new();
        for part in samples.parts() {
            for (i, tensor) in extractor.extract(samples.tensor(&part, device)).into_iter().enumerate() {
                let [_, locations, dims] = tensor.dims();
                if i == cached.len() {
                    cached.push(Cached { locations, dims, data: Vec::with_capacity(count * locations * dims) });
                }
                let data: Vec<f32> = tensor.into_data().convert::<f32>().to_vec().unwrap_or_default();
                cached[i].data.extend(data);
            }
        }
        Self { features: cached }
    }

    /// Every feature `[indices, locations, dims]` of some samples.
    pub fn gather(&self, indices: &[usize]) -> Vec<TensorData> {
        let gather = |Cached { locations, dims, data }: &Cached| {
            let len = locations * dims;
            let mut gathered = Vec::with_capacity(indices.len() * len);
            indices.iter().for_each(|&i| gathered.extend_from_slice(&data[i * len..][..len]));
            TensorData::new(gathered, [indices.len(), *locations, *dims])
        };
        self.features.iter().map(gather).collect()
    }
}

/// `[groups * samples, locations, dims]` to `[groups * locations, samples, dims]`: each location of a class is a group.
pub fn grouped<B: Backend>(features: Tensor<B, 3>, samples: usize) -> Tensor<B, 3> {
    let [n, locations, dims] = features.dims();
    let groups = n / samples;
    features.reshape([groups, samples, locations, dims]).swap_dims(1, 2).reshape([groups * locations, samples, dims])
}
