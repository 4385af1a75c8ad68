//! The features that the drifting loss is taken on, of generated pictures and, once for all, of real ones.

use burn::tensor::backend::Backend;
use burn::tensor::module::avg_pool2d;
use burn::tensor::{Tensor, TensorData};
use driftlet_data::Images;

use super::pictures;
use crate::config::Feature;
use crate::networks::{Encoder, FeatureMap};

/// Features `[n, locations, dims]` of pictures `[n, channels, height, width]`, one tensor per feature and map.
pub fn extract<B: Backend>(
    features: &[Feature],
    encoder: Option<&Encoder<B>>,
    images: Tensor<B, 4>,
) -> Vec<Tensor<B, 3>> {
    let maps = match encoder {
        Some(encoder) if features.iter().any(|f| f.encoded()) => encoder.maps(images.clone()),
        _ => Vec::new(),
    };
    let pool = |size: usize| avg_pool2d(images.clone(), [size, size], [size, size], [0, 0], true, false);
    let mut extracted = Vec::new();
    for feature in features {
        match feature {
            Feature::Pixels => extracted.push(whole(images.clone())),
            Feature::Pixels2x2 => extracted.push(whole(pool(2))),
            Feature::Pixels4x4 => extracted.push(whole(pool(4))),
            Feature::Patches4x4 => extracted.push(patches(images.clone(), 4)),
            Feature::Locations => extracted.extend(maps.last().cloned().map(locations)),
            Feature::Squares => {
                let earlier = maps.iter().take(maps.len().saturating_sub(1)).cloned();
                extracted.extend(earlier.map(|map| locations(avg_pool2d(map, [2, 2], [2, 2], [0, 0], true, false))));
            }
            Feature::Means => extracted.extend(maps.iter().cloned().map(|map| locations(map.mean_dim(3).mean_dim(2)))),
            Feature::Deviations => extracted.extend(maps.iter().cloned().map(|map| locations(deviation(map)))),
            Feature::Maps => extracted.extend(maps.iter().cloned().map(whole)),
        }
    }
    extracted
}

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

/// Non-overlapping squares of pixels, one vector each.
fn patches<B: Backend>(images: Tensor<B, 4>, size: usize) -> Tensor<B, 3> {
    let [n, c, h, w] = images.dims();
    let (rows, columns) = (h / size, w / size);
    let cut = images.slice([0..n, 0..c, 0..rows * size, 0..columns * size]);
    let split = cut.reshape([n, c, rows, size, columns, size]);
    split.permute([0, 2, 4, 1, 3, 5]).reshape([n, rows * columns, c * size * size])
}

/// Standard deviation over all locations; the small number keeps the gradient finite on constant channels.
fn deviation<B: Backend>(map: FeatureMap<B>) -> FeatureMap<B> {
    let mean = map.clone().mean_dim(3).mean_dim(2);
    ((map - mean).powi_scalar(2).mean_dim(3).mean_dim(2) + 1e-4).sqrt()
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
    pub fn new<B: Backend>(
        features: &[Feature],
        encoder: Option<&Encoder<B>>,
        images: &Images,
        device: &B::Device,
    ) -> Self {
        eprintln!("computing the features of {} real pictures, once", images.len());
        let indices: Vec<usize> = (0..images.len()).collect();
        let mut cached: Vec<Cached> = Vec::new();
        for part in indices.chunks(500) {
            for (i, tensor) in extract(features, encoder, pictures::<B>(images, part, device)).into_iter().enumerate() {
                let [_, locations, dims] = tensor.dims();
                if i == cached.len() {
                    cached.push(Cached { locations, dims, data: Vec::with_capacity(images.len() * locations * dims) });
                }
                let data: Vec<f32> = tensor.into_data().convert::<f32>().to_vec().unwrap_or_default();
                cached[i].data.extend(data);
            }
        }
        Self { features: cached }
    }

    /// Features `[groups * locations, samples, dims]` of pictures that are given group by group, `samples` each.
    pub fn gather<B: Backend>(
        &self,
        feature: usize,
        indices: &[usize],
        samples: usize,
        device: &B::Device,
    ) -> Tensor<B, 3> {
        let Cached { locations, dims, data } = &self.features[feature];
        let len = locations * dims;
        let gathered: Vec<f32> = indices.iter().flat_map(|&i| &data[i * len..][..len]).copied().collect();
        let tensor = Tensor::<B, 3>::from_data(TensorData::new(gathered, [indices.len(), *locations, *dims]), device);
        grouped(tensor, samples)
    }
}

/// `[groups * samples, locations, dims]` to `[groups * locations, samples, dims]`: each location of a class is a group.
pub fn grouped<B: Backend>(features: Tensor<B, 3>, samples: usize) -> Tensor<B, 3> {
    let [n, locations, dims] = features.dims();
    let groups = n / samples;
    features.reshape([groups, samples, locations, dims]).swap_dims(1, 2).reshape([groups * locations, samples, dims])
}
