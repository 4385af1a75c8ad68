//! Plots as SVG, for a page: they take the page's colours and fonts.

use std::fmt::Write;

use crate::html::escape;
use crate::{Layer, ReferenceModel};

/// Colours of the models, on light and on dark.
pub const COLOURS: [&str; 6] = ["#3b7dd8", "#e07b39", "#3a9d5d", "#b4539b", "#8a6d3b", "#5b6770"];

/// A value on an axis of this many pixels.
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)
    }

    /// From 0 to a round number not below `most`.
    fn from_zero(most: f64, start: f64, end: f64) -> Self {
        let power = 10f64.powf(most.max(1e-12).log10().floor());
        let high = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0].map(|f| f * power).into_iter().find(|h| *h >= most);
        Self { low: 0.0, high: high.unwrap_or(most), start, end }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        (0..=4).map(|i| self.low + (self.high - self.low) * f64::from(i) / 4.0)
    }
}

/// A number with as many digits as it needs.
pub fn short(value: f64) -> String {
    let text = if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').into(),
        false => text,
    }
}

/// Size of the file against Frechet distance; the area of a circle is the time, or the work, that a picture takes.
pub fn trade_off(models: &[&ReferenceModel], milliseconds: Option<&[f64]>) -> String {
    let (width, height) = (560.0, 300.0);
    let kilobytes = |model: &ReferenceModel| model.bytes as f64 / 1000.0;
    let most = |figure: &dyn Fn(&ReferenceModel) -> f64| models.iter().map(|m| figure(m)).fold(0.0, f64::max);
    let x = Axis::from_zero(1.1 * most(&kilobytes), 54.0, width - 16.0);
    let y = Axis::from_zero(1.15 * most(&|m| m.frechet), height - 44.0, 16.0);
    let mut svg = open(width, height, "Size of the file against Frechet distance");
    grid(&mut svg, &x, &y);
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">file, KB</text><text x=\"{}\" y=\"12\">Frechet distance</text>",
        x.end,
        height - 6.0,
        x.start + 6.0
    );
    let work: Vec<f64> = match milliseconds {
        Some(times) => times.to_vec(),
        None => models.iter().map(|m| m.macs as f64).collect(),
    };
    let largest = work.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (i, (model, work)) in models.iter().zip(&work).enumerate() {
        let (px, py) = (x.at(kilobytes(model)), y.at(model.frechet));
        let radius = 4.0 + 14.0 * (work / largest).sqrt();
        let _ = write!(
            svg,
            "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"{radius:.1}\" fill=\"{colour}\" fill-opacity=\".5\" stroke=\"{colour}\">\
             <title>{}</title></circle>",
            escape(&model.name),
            colour = COLOURS[i % COLOURS.len()]
        );
    }
    svg + "</svg>"
}

/// Signal-to-noise ratio of every operator of the models, in the order of execution. `None` if none tells.
pub fn sensitivity(models: &[&ReferenceModel]) -> Option<String> {
    let told: Vec<(usize, &[Layer])> =
        models.iter().enumerate().map(|(i, m)| (i, &m.layers[..])).filter(|(_, layers)| !layers.is_empty()).collect();
    let longest = told.iter().map(|(_, layers)| *layers).max_by_key(|layers| layers.len())?;
    let highest = told.iter().flat_map(|(_, layers)| *layers).map(|l| l.sqnr).fold(0.0, f64::max);
    let names = longest.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).min(34) as f64 * 6.6 + 12.0;
    let (row, width) = (19.0, names + 360.0);
    let height = row * longest.len() as f64 + 40.0;
    let x = Axis::from_zero(highest, names, width - 16.0);
    let y = Axis { low: 0.0, high: longest.len() as f64, start: 8.0, end: height - 32.0 };
    let mut svg = open(width, height, "Signal-to-quantization-noise ratio of every operator");
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = write!(
            svg,
            "<path d=\"M{at:.1} {} V{}\" class=\"grid\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y.start,
            y.end,
            y.end + 15.0,
            short(tick)
        );
    }
    let _ = write!(svg, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">dB</text>", x.end, height - 3.0);
    for (i, layer) in longest.iter().enumerate() {
        let name: String = layer.name.chars().take(34).collect();
        let at = y.at(i as f64 + 0.5) + 4.0;
        let _ = write!(svg, "<text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\">{}</text>", names - 8.0, escape(&name));
    }
    for (m, layers) in &told {
        let colour = COLOURS[m % COLOURS.len()];
        for (i, layer) in longest.iter().enumerate() {
            // Operators that lose nothing have no ratio: names tell which is which.
            let place =
                layers.get(i).filter(|l| l.name == layer.name).or_else(|| layers.iter().find(|l| l.name == layer.name));
            if let Some(found) = place {
                let _ = write!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\" fill=\"{colour}\" fill-opacity=\".8\"><title>{}: {} dB</title></circle>",
                    x.at(found.sqnr.clamp(x.low, x.high)),
                    y.at(i as f64 + 0.5),
                    escape(&models[*m].name),
                    found.sqnr
                );
            }
        }
    }
    Some(svg + "</svg>")
}

fn open(width: f64, height: f64, title: &str) -> String {
    format!("<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" role=\"img\" aria-label=\"{title}\">")
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = write!(
            svg,
            "<path d=\"M{at:.1} {} V{}\" class=\"grid\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            y.end,
            y.start,
            y.start + 16.0,
            short(tick)
        );
    }
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = write!(
            svg,
            "<path d=\"M{} {at:.1} H{}\" class=\"grid\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            x.start,
            x.end,
            x.start - 6.0,
            at + 4.0,
            short(tick)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Comparison;

    #[test]
    fn every_model_and_operator_has_its_mark() {
        let mut comparison = Comparison::example();
        let layer = |name: &str, sqnr| Layer { name: name.into(), sqnr };
        comparison.candidates[0].model.layers = vec![layer("<a>", 45.0), layer("b", 30.0)];
        comparison.reference.name = "<script>".into();
        let models = [&comparison.reference, &comparison.candidates[0].model];
        let plot = trade_off(&models, Some(&[2.0, 1.0]));
        assert_eq!(plot.matches("<circle").count(), 2);
        assert!(!plot.contains("<script>") && !plot.contains("NaN"), "{plot}");
        assert_eq!(["0.25", "2", "150", "0"].map(String::from), [0.25, 2.0, 150.0, 0.0].map(short));
        let plot = sensitivity(&models).unwrap_or_default();
        assert!(plot.matches("<circle").count() == 2 && plot.contains("&lt;a&gt;") && !plot.contains("NaN"), "{plot}");
        assert!(sensitivity(&models[..1]).is_none());
    }
}
