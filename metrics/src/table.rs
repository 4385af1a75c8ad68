//! A comparison as plain text.

use std::fmt::Write;

use crate::Comparison;

/// A table for the terminal.
pub fn table(comparison: &Comparison) -> String {
    let mut text = String::new();
    let header = ["model", "bytes", "frechet", "difference", "95 % interval", "psnr dB", "class acc."];
    let mut rows = vec![header.map(String::from)];
    let reference = &comparison.reference;
    rows.push([
        reference.name.clone(),
        reference.bytes.to_string(),
        format!("{:.3}", reference.frechet),
        String::new(),
        String::new(),
        String::new(),
        format!("{:.1} %", 100.0 * reference.class_accuracy),
    ]);
    for candidate in &comparison.candidates {
        rows.push([
            candidate.model.name.clone(),
            candidate.model.bytes.to_string(),
            format!("{:.3}", candidate.model.frechet),
            format!("{:+.4}", candidate.delta),
            format!("{:+.4} .. {:+.4}", candidate.delta_low, candidate.delta_high),
            candidate.psnr.map_or_else(|| "equal".into(), |p| format!("{p:.1}")),
            format!("{:.1} %", 100.0 * candidate.model.class_accuracy),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for row in &rows {
        // Names to the left, figures to the right; writing to a string cannot fail.
        let _ = write!(text, "{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    let models = std::iter::once(reference).chain(comparison.candidates.iter().map(|candidate| &candidate.model));
    for (model, found) in models.filter_map(|model| Some((model, model.coverage?))) {
        let (fidelity, recall, k) = (found.fidelity, found.recall, found.k);
        let _ = writeln!(text, "{}: precision {fidelity:.3}, recall {recall:.3} (k = {k})", model.name);
    }
    let _ = writeln!(text, "floor (train split against test split) {:.3}", comparison.floor);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_in_columns() {
        let text = table(&Comparison::example());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[..3].iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(lines[2].starts_with("net-int8") && lines[2].contains("+0.2500  -0.1250 .. +0.5000  "), "{text}");
        assert!(text.contains("at 5.0 % of it"), "{text}");
    }
}
