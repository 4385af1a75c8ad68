//! Budgets that are judged by the distribution of the pictures.

use std::io::Cursor;
use std::sync::{Arc, Mutex};

use driftlet_checkpoint::{Architecture, Checkpoint, Classifier, Config, ConvLayer};
use driftlet_quantize::graph::{Filter, Graph, Layout, Op};
use driftlet_quantize::{
    Activations, Decisions, Description, Features, Listener, Options, Precision, QuantizeError, quantize_graph,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const FEATURES: usize = 4;

fn filter(name: &str, outputs: usize, inputs: usize, relu: bool) -> Filter<'static> {
    // Numbers in [-1, 1) without a pattern.
    let number = |i: usize| ((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    Filter {
        name: name.into(),
        weight: (0..outputs * inputs).map(|i| 0.5 * number(i)).collect::<Vec<_>>().into(),
        layout: Layout::InputsLast,
        bias: (0..outputs).map(number).collect::<Vec<_>>().into(),
        outputs,
        kernel: [1, 1],
        inputs,
        relu,
    }
}

/// Pictures of 6 by 6 pixels in four layers.
fn generator() -> Graph<'static> {
    let mut graph = Graph::default();
    let mut x = graph.push(Op::Noise, &[], [1, 1, 16]);
    for (name, outputs, inputs) in [("a", 48, 16), ("b", 64, 48), ("c", 32, 64)] {
        x = graph.push(Op::Linear(filter(name, outputs, inputs, true)), &[x], [1, 1, outputs]);
    }
    graph.output = graph.push(Op::Linear(filter("d", 36, 32, false)), &[x], [6, 6, 1]);
    graph.pixels = Some(graph.push(Op::Pixels { tanh: true }, &[graph.output], [6, 6, 1]));
    graph
}

fn network(side: usize) -> Checkpoint {
    let layers = vec![ConvLayer { channels: FEATURES, stride: 1 }];
    let classifier = Classifier { height: side, width: side, channels: 1, classes: 3, layers };
    Checkpoint::random(Config::new(Architecture::Classifier(classifier)), 5)
}

fn features(side: usize) -> Result<Features, QuantizeError> {
    let identity: Vec<f64> =
        (0..FEATURES * FEATURES).map(|at| if at % (FEATURES + 1) == 0 { 0.01 } else { 0.0 }).collect();
    Features::new(&network(side), vec![0.1; FEATURES], &identity)
}

fn made(options: &Options) -> Result<(Vec<u8>, Decisions), QuantizeError> {
    let mut file = Cursor::new(Vec::new());
    let decisions = quantize_graph(&generator(), &Description::default(), options, &mut file)?;
    Ok((file.into_inner(), decisions))
}

fn options(budget: Option<usize>) -> Options {
    let activations = Activations::Eight;
    Options { activations, budget, calibration_samples: Some(32), ..Options::new("budget", Precision::Int8) }
}

#[test]
fn the_best_of_whole_files_fits_and_is_the_same_with_one_thread() -> Outcome {
    let whole = made(&options(None))?.0.len();
    let heard = Arc::new(Mutex::new(Vec::<(String, u64, u64)>::new()));
    let hears = heard.clone();
    let listener = Listener::new(move |what, done, total| {
        if let Ok(mut heard) = hears.lock() {
            heard.push((what.into(), done, total));
        }
    });
    let budget = whole * 3 / 4;
    let judged = Options { features: Some(features(6)?), listener, ..options(Some(budget)) };
    let (file, decisions) = made(&judged)?;
    assert!(file.len() <= budget && file.len() > whole / 2, "{} of {budget}", file.len());
    let wholes = decisions.wholes.ok_or("nothing was judged as a whole")?;
    assert!(wholes.taken <= wholes.sum && wholes.files > 1 && wholes.float > 0.0, "{wholes:?}");
    assert_eq!(decisions.layers.len(), 4);
    let heard = heard.lock().map_err(|e| e.to_string())?.clone();
    for what in ["searching for ranges of activations", "trying layers", "judging whole files"] {
        let steps: Vec<_> = heard.iter().filter(|(label, ..)| label == what).collect();
        assert!(steps.iter().all(|(_, done, total)| done <= total), "{what}");
        assert_eq!(steps.iter().filter(|(_, done, total)| done == total).count(), 1, "{what}");
    }
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    assert!(alone.install(|| made(&judged))?.0 == file);
    Ok(())
}

#[test]
fn networks_and_statistics_that_do_not_fit_are_refused() -> Outcome {
    let problem = |result: Result<(), QuantizeError>| result.err().map(|e| e.to_string()).unwrap_or_default();
    let of = |mean: Vec<f64>, covariance: &[f64]| problem(Features::new(&network(6), mean, covariance).map(|_| ()));
    assert!(of(vec![0.0; 3], &[0.0; 9]).contains("4 features"));
    assert!(of(vec![0.0; 4], &[0.0; 15]).contains("driftlet stats"));
    assert!(of(vec![f64::NAN; 4], &[0.0; 16]).contains("not finite"));
    let wrong = Options { features: Some(features(5)?), ..options(Some(5000)) };
    assert!(problem(made(&wrong).map(|_| ())).contains("25 numbers"));
    Ok(())
}

/// A generator without weights leaves a budget nothing to decide.
#[test]
fn networks_without_layers_are_no_trouble() -> Outcome {
    let mut graph = Graph::default();
    let noise = graph.push(Op::Noise, &[], [6, 6, 1]);
    graph.output = graph.push(Op::Add(None), &[noise, noise], [6, 6, 1]);
    graph.pixels = Some(graph.push(Op::Pixels { tanh: true }, &[graph.output], [6, 6, 1]));
    let made = |budget| {
        let mut file = Cursor::new(Vec::new());
        quantize_graph(&graph, &Description::default(), &options(Some(budget)), &mut file)
    };
    assert!(made(100_000)?.layers.is_empty());
    let refused = made(100).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("100 bytes") || refused.contains("budget"), "{refused}");
    Ok(())
}
