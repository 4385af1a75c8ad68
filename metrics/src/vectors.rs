//! Distances and inner products of many feature vectors, in double precision, block by block.

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::MetricsError;

/// Vectors of one side that are taken at once.
const BLOCK: usize = 256;

/// Feature vectors, ready for products with others.
pub struct Vectors {
    /// `[dim, n]`, one vector a column.
    columns: DMatrix<f64>,
    /// `[n, dim]`.
    rows: DMatrix<f64>,
    squares: Vec<f64>,
}

impl Vectors {
    /// Of features `[n, dim]`.
    ///
    /// # Errors
    /// [`MetricsError::Shape`] if there are none, or not a whole number of them.
    pub fn new(features: &[f32], dim: usize) -> Result<Self, MetricsError> {
        if dim == 0 || features.is_empty() || !features.len().is_multiple_of(dim) {
            return Err(MetricsError::Shape(format!("{} numbers are no vectors of {dim}", features.len())));
        }
        let columns = DMatrix::from_iterator(dim, features.len() / dim, features.iter().map(|&x| f64::from(x)));
        Ok(Self::of_columns(columns))
    }

    fn of_columns(columns: DMatrix<f64>) -> Self {
        let squares = columns.column_iter().map(|column| column.norm_squared()).collect();
        Self { rows: columns.transpose(), columns, squares }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.squares.len()
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.columns.nrows()
    }

    /// Some of the vectors.
    pub fn select(&self, indices: &[usize]) -> Self {
        Self::of_columns(self.columns.select_columns(indices))
    }

    /// For each vector, what `figure` makes of its index and its inner products with all of `others`; on all cores.
    pub fn products<T: Send>(&self, others: &Self, figure: impl Fn(usize, &[f64]) -> T + Sync) -> Vec<T> {
        let blocks: Vec<Vec<T>> = (0..self.len().div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| {
                let start = block * BLOCK;
                let count = BLOCK.min(self.len() - start);
                let products = &others.rows * self.columns.columns(start, count);
                let columns = products.as_slice().chunks_exact(others.len());
                columns.enumerate().map(|(i, column)| figure(start + i, column)).collect()
            })
            .collect();
        blocks.into_iter().flatten().collect()
    }

    /// For each vector, what `figure` makes of its index and its squared distances to all of `others`; on all cores.
    pub fn distances<T: Send>(&self, others: &Self, figure: impl Fn(usize, &[f64]) -> T + Sync) -> Vec<T> {
        self.products(others, |i, products| {
            let squared = products.iter().zip(&others.squares).map(|(p, s)| (self.squares[i] + s - 2.0 * p).max(0.0));
            figure(i, &squared.collect::<Vec<f64>>())
        })
    }

    /// Squared distance of each vector to its k-th nearest neighbour among the others of its own set.
    pub fn radii(&self, k: usize) -> Vec<f64> {
        self.distances(self, |i, distances| {
            // The k smallest so far, the largest of them last.
            let mut nearest = vec![f64::INFINITY; k];
            for (_, &distance) in distances.iter().enumerate().filter(|&(j, _)| j != i) {
                if distance < nearest[k - 1] {
                    let at = nearest.partition_point(|&d| d <= distance);
                    nearest[at..].rotate_right(1);
                    nearest[at] = distance;
                }
            }
            nearest[k - 1]
        })
    }

    /// Distance of each vector to the nearest of `others`.
    pub fn nearest(&self, others: &Self) -> Vec<f64> {
        self.distances(others, |_, distances| distances.iter().fold(f64::INFINITY, |a, &b| a.min(b)).sqrt())
    }
}
