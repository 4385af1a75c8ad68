//! How far the pictures of integers are from those of the float model: what every choice is judged by.

use std::ops::ControlFlow;

use aligned_vec::AVec;
use driftlet_runtime::Model;
use rayon::prelude::*;

use super::judge::Judge;
use crate::calibrate::pictures::{arena, make};
use crate::graph::{Graph, Op};
use crate::integers::{Choice, program};
use crate::program::Metadata;
use crate::runnable::{Runnable, start};
use crate::{Options, QuantizeError};

/// Most pictures that a choice is judged by.
const PICTURES: u64 = 64;
/// Multiply-accumulates of one judgement, unless four pictures take more.
const JUDGEMENT: u64 = 2_000_000_000;
/// Multiply-accumulates of a search: a count and no clock, so that every machine finds the same.
const SEARCH: u64 = 400_000_000_000;
/// Most judgements of a search.
const JUDGEMENTS: u64 = 256;

/// Pictures of the float model to compare with.
pub struct Trial<'t> {
    graph: &'t Graph<'t>,
    reference: &'t Runnable,
    metadata: &'t Metadata,
    release: &'t dyn Fn(),
    /// The first seed, and how many pictures calibrate.
    pub seeds: (u64, u32),
    tanh: bool,
    expected: Vec<Vec<f32>>,
    /// Sum of squares of all of them.
    energy: f64,
    /// Judgements that a search may take.
    pub affordable: usize,
    /// Looks at the distribution of the pictures instead, where that is asked for.
    pub judge: Option<Judge>,
}

impl<'t> Trial<'t> {
    /// Makes the pictures.
    pub fn new(
        graph: &'t Graph<'t>,
        reference: &'t Runnable,
        (options, samples): (&Options, u32),
        metadata: &'t Metadata,
        release: &'t dyn Fn(),
    ) -> Result<Self, QuantizeError> {
        let (model, first_seed) = (reference.model()?, options.calibration_seed);
        let macs = model.macs().max(1);
        let pictures = (JUDGEMENT / macs).clamp(4, PICTURES).min(samples.into());
        let tanh = graph.nodes.iter().any(|node| matches!(node.op, Op::Pixels { tanh: true }));
        let affordable = (SEARCH / (pictures * macs)).min(JUDGEMENTS) as usize;
        let features = options.features.as_ref().filter(|_| options.budget.is_some());
        let judge = features.map(|features| features.judge(&model, first_seed)).transpose()?;
        let (seeds, expected, energy) = ((first_seed, samples), Vec::new(), 0.0);
        let mut trial = Self { graph, reference, metadata, release, seeds, tanh, expected, energy, affordable, judge };
        trial.expected = outputs(&model, first_seed, pictures as u32, tanh);
        trial.energy = trial.expected.iter().flatten().map(|&x| f64::from(x).powi(2)).sum();
        reference.release();
        Ok(trial)
    }

    /// The float model.
    pub fn reference(&self) -> Result<Model<'_>, QuantizeError> {
        self.reference.model()
    }

    /// Energy of the error of a choice by that of the pictures.
    pub fn error(&self, choice: &Choice) -> Result<f64, QuantizeError> {
        let runnable = self.runnable(choice)?;
        let outputs = outputs(&runnable.model()?, self.seeds.0, self.expected.len() as u32, self.tanh);
        let differences = self.expected.iter().flatten().zip(outputs.iter().flatten());
        Ok(differences.map(|(&a, &b)| f64::from(a - b).powi(2)).sum::<f64>() / self.energy.max(f64::MIN_POSITIVE))
    }

    /// What decides between widths of weights: the distance that the judge finds, or without one the error.
    pub fn figure(&self, choice: &Choice) -> Result<f64, QuantizeError> {
        match &self.judge {
            Some(judge) => judge.distance(&self.runnable(choice)?.model()?),
            None => self.error(choice),
        }
    }

    fn runnable(&self, choice: &Choice) -> Result<Runnable, QuantizeError> {
        self.reference.release();
        let runnable = Runnable::new(&program(self.graph, choice)?, self.metadata)?;
        (self.release)();
        Ok(runnable)
    }
}

/// Pictures as they are shown, before rounding.
fn outputs(model: &Model, first_seed: u64, pictures: u32, tanh: bool) -> Vec<Vec<f32>> {
    let picture = |memory: &mut AVec<u8>, i| {
        let mut sampler = start(model, memory).ok()?;
        make(&mut sampler, model, first_seed, i, &mut |_| ControlFlow::Continue(()));
        Some(sampler.unrounded().map(|x| if tanh { libm::tanhf(x) } else { x }).collect())
    };
    // Reference and candidates have started before: none is without pictures.
    (0..pictures).into_par_iter().map_init(|| arena(model), picture).map(Option::unwrap_or_default).collect()
}
