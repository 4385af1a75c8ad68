//! A comparison as plain text.

use std::fmt::Write;

use crate::{ComparedModel, Comparison, LayerCost, ReferenceModel, Sensitivity};

/// A table for the terminal.
pub fn table(comparison: &Comparison) -> String {
    let reference = &comparison.reference;
    let mut text = columns(&main_rows(comparison));
    text.push('\n');
    text += &columns(&other_rows(comparison));
    for candidate in &comparison.candidates {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{} less {}:", candidate.model.name, reference.name);
        text += &columns(&difference_rows(candidate));
    }
    text.push('\n');
    if let Some(floor) = comparison.floor {
        let _ = writeln!(text, "floor (train split against test split) {floor:.3}");
    }
    if let Some(floor) = comparison.floor_seeds {
        let _ = writeln!(
            text,
            "floor (two runs of {}, seeds from {} and from {}): {:.3} from each other, distances differ by {:.3}",
            reference.name, comparison.first_seed, floor.first_seed, floor.between, floor.difference
        );
    }
    if let Some(missing) = no_accuracy(comparison) {
        let _ = writeln!(text, "{missing}");
    }
    if let Some(untrained) = comparison.untrained {
        let share = 100.0 * reference.frechet / untrained;
        let _ = writeln!(text, "untrained network {untrained:.3}; {} is at {share:.1} % of it", reference.name);
    }
    let _ = writeln!(
        text,
        "{} paired samples, seeds from {}, guidance {}, features of {} ({} numbers)",
        comparison.samples, comparison.first_seed, comparison.guidance, comparison.network, comparison.feature_dim
    );
    text
}

/// All models, the reference first.
pub(crate) fn models(comparison: &Comparison) -> impl Iterator<Item = &ReferenceModel> {
    std::iter::once(&comparison.reference).chain(comparison.candidates.iter().map(|c| &c.model))
}

/// Why there is no class accuracy, where there is none.
pub(crate) fn no_accuracy(comparison: &Comparison) -> Option<String> {
    comparison.reference.class_accuracy.is_none().then(|| {
        format!(
            "no class accuracy: {} does not know the classes of the data; run again with a classifier for it",
            comparison.network
        )
    })
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", 100.0 * share))
}

/// Size, distance and what tells it from the reference's.
pub(crate) fn main_rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let header = ["model", "bytes", "frechet", "difference", "95 % interval", "psnr dB", "class acc."];
    let mut rows = vec![header.map(String::from).to_vec()];
    let beginning = |model: &ReferenceModel| {
        let frechet = format!("{:.3}", model.frechet);
        vec![model.name.clone(), model.bytes.to_string(), frechet]
    };
    let mut first = beginning(&comparison.reference);
    first.extend([String::new(), String::new(), String::new(), percent(comparison.reference.class_accuracy)]);
    rows.push(first);
    for candidate in &comparison.candidates {
        let mut row = beginning(&candidate.model);
        row.extend([
            signed(candidate.delta, 4),
            format!("{} .. {}", signed(candidate.delta_low, 4), signed(candidate.delta_high, 4)),
            candidate.psnr.map_or_else(|| "equal".into(), |p| format!("{p:.1}")),
            percent(candidate.model.class_accuracy),
        ]);
        rows.push(row);
    }
    rows
}

/// What every operator costs.
pub(crate) fn cost_rows(found: &Sensitivity) -> Vec<Vec<String>> {
    let header = ["operator", "alone: PSNR dB", "Frechet moved", "up to it: PSNR dB", "Frechet moved"];
    let psnr = |figure: Option<f64>| figure.map_or_else(|| "equal".into(), |db| format!("{db:.1}"));
    let moved = |figure: Option<f64>| figure.map_or_else(|| "-".into(), |distance| format!("{distance:.5}"));
    let row = |layer: &LayerCost| {
        let (alone, until) = (layer.frechet_alone, layer.frechet_until);
        vec![layer.name.clone(), psnr(layer.psnr_alone), moved(alone), psnr(layer.psnr_until), moved(until)]
    };
    std::iter::once(header.map(String::from).to_vec()).chain(found.layers.iter().map(row)).collect()
}

/// Every other figure of the models themselves.
pub(crate) fn other_rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let mut header = vec!["model", "infinite", "score"];
    if comparison.reference.kid.is_some() {
        header.extend(["kid", "precision", "recall", "density", "coverage"]);
    }
    if comparison.reference.memorization.is_some() {
        header.extend(["to train", "by heart"]);
    }
    let mut rows = vec![header.into_iter().map(String::from).collect::<Vec<_>>()];
    for model in models(comparison) {
        let infinite = model.frechet_infinity.map_or_else(|| "-".into(), |f| format!("{f:.3}"));
        let mut row = vec![model.name.clone(), infinite, format!("{:.3}", model.inception_score)];
        if let Some(kid) = model.kid {
            row.push(format!("{:.4} +- {:.4}", kid.mean, kid.deviation));
        }
        if let Some(found) = model.coverage {
            let figures = [found.fidelity, found.recall, found.density, found.coverage];
            row.extend(figures.map(|figure| format!("{figure:.3}")));
        }
        if let Some(found) = model.memorization {
            row.push(format!("{:.3} ({:.3})", found.distance, found.test_distance));
            row.push(percent(Some(found.nearest_share)));
        }
        rows.push(row);
    }
    rows
}

/// What tells a candidate from the reference, beside the Frechet distance.
pub(crate) fn difference_rows(candidate: &ComparedModel) -> Vec<Vec<String>> {
    let mut rows = vec![["figure", "difference", "95 % interval"].map(String::from).to_vec()];
    for (name, d) in &candidate.differences {
        let [difference, low, high] = [d.difference, d.low, d.high].map(|value| signed(value, 5));
        rows.push(vec![told(name), difference, format!("{low} .. {high}")]);
    }
    let mut pair = |name: &str, value: f64, [low, high]: [f64; 2], digits: usize| {
        rows.push(vec![name.into(), format!("{value:.digits$}"), format!("{low:.digits$} .. {high:.digits$}")]);
    };
    pair("SSIM of pairs", candidate.ssim, candidate.ssim_interval, 5);
    pair("feature distance of pairs", candidate.feature_distance, candidate.feature_distance_interval, 5);
    if let Some((psnr, interval)) = candidate.psnr.zip(candidate.psnr_interval) {
        pair("PSNR of pairs, dB", psnr, interval, 2);
    }
    rows
}

/// What people call a figure of the JSON.
fn told(figure: &str) -> String {
    match figure {
        "fidelity" => "precision".into(),
        "nearest_train" => "to train".into(),
        other => other.replace('_', " "),
    }
}

/// A difference with its sign; zero has none to speak of.
fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    if text.trim_start_matches(['+', '-', '0', '.']).is_empty() { format!("{:+.digits$}", 0.0) } else { text }
}

/// Rows in columns: names to the left, figures to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_columns() {
        let text = table(&Comparison::example());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[..3].iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(lines[2].starts_with("net-int8") && lines[2].contains("+0.2500  -0.1250 .. +0.5000  "), "{text}");
        assert!(text.contains("at 5.0 % of it") && text.contains("-0.02000 .. +0.03000"), "{text}");
    }
}
