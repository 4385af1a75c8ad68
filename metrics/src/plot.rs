//! Plots as SVG, for a page: they take the page's colours and fonts.

use std::fmt::Write;

use crate::html::escape;
use crate::{Layer, LayerCost, ReferenceModel, Sensitivity};

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
            colour = colour(i)
        );
    }
    svg + "</svg>"
}

/// A mark in a row of a panel.
struct Mark {
    row: usize,
    model: usize,
    value: f64,
    /// What it says when it is pointed at.
    title: String,
}

/// One panel of figures per operator.
struct Panel<'p> {
    /// What the axis tells.
    label: &'p str,
    /// Whether the axis is logarithmic.
    decades: bool,
    /// Values of single rows.
    marks: Vec<Mark>,
    /// Values that belong together from row to row.
    lines: Vec<Mark>,
}

/// Signal-to-noise ratio of every operator's result, in the order of execution. `None` if no model tells.
pub fn noise_ratios(models: &[&ReferenceModel]) -> Option<String> {
    let told: Vec<(usize, &[Layer])> =
        models.iter().enumerate().map(|(i, m)| (i, &m.layers[..])).filter(|(_, layers)| !layers.is_empty()).collect();
    let longest = told.iter().map(|(_, layers)| *layers).max_by_key(|layers| layers.len())?;
    let mut marks = Vec::new();
    for &(model, layers) in &told {
        for (row, layer) in longest.iter().enumerate() {
            // Operators that lose nothing have no ratio: names tell which is which.
            let same = layers.get(row).filter(|l| l.name == layer.name);
            if let Some(found) = same.or_else(|| layers.iter().find(|l| l.name == layer.name)) {
                let title = format!("{}: {} dB", models[model].name, found.sqnr);
                marks.push(Mark { row, model, value: found.sqnr, title });
            }
        }
    }
    let names: Vec<&str> = longest.iter().map(|layer| &layer.name[..]).collect();
    let panel = Panel { label: "dB", decades: false, marks, lines: Vec::new() };
    Some(panels("Signal-to-quantization-noise ratio of every operator", &names, &[panel]))
}

/// What every operator costs the pictures: alone as circles, all up to it as lines. `None` where it was not measured.
pub fn sensitivity(models: &[&ReferenceModel]) -> Option<String> {
    let measured = models.iter().enumerate().filter_map(|(i, model)| Some((i, *model, model.sensitivity.as_ref()?)));
    let measured: Vec<_> = measured.collect();
    // All candidates have the operators of the reference.
    let names: Vec<&str> = measured.first()?.2.layers.iter().map(|layer| &layer.name[..]).collect();
    type Figure = fn(&LayerCost) -> Option<f64>;
    let panel = |label, decades: bool, unit: &str, alone: Figure, until: Figure| {
        let marks = |figure: Figure, what: &str| -> Vec<Mark> {
            let of = |&(model, told, found): &(usize, &ReferenceModel, &Sensitivity)| {
                let marks = found.layers.iter().enumerate().filter_map(move |(row, layer)| {
                    let value = figure(layer).filter(|value| !decades || *value > 0.0)?;
                    let title = format!("{}, {} {what}: {value}{unit}", told.name, layer.name);
                    Some(Mark { row, model, value, title })
                });
                marks.collect::<Vec<_>>()
            };
            measured.iter().flat_map(of).collect()
        };
        Panel { label, decades, marks: marks(alone, "alone"), lines: marks(until, "and all before it") }
    };
    let mut all = vec![panel("PSNR of the pictures, dB", false, " dB", |l| l.psnr_alone, |l| l.psnr_until)];
    let moved = panel("Frechet distance moved", true, "", |l| l.frechet_alone, |l| l.frechet_until);
    if !moved.marks.is_empty() {
        all.push(moved);
    }
    Some(panels("What every operator costs the pictures", &names, &all))
}

/// Panels side by side, with a row for each name.
fn panels(title: &str, names: &[&str], panels: &[Panel]) -> String {
    const LONGEST: usize = 34;
    let room = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(LONGEST) as f64 * 6.6 + 12.0;
    let (row, each, between) = (19.0, 330.0, 30.0);
    let width = room + (each + between) * panels.len() as f64;
    let height = row * names.len() as f64 + 46.0;
    let y = Axis { low: 0.0, high: names.len() as f64, start: 8.0, end: height - 38.0 };
    let mut svg = open(width, height, title);
    for (i, name) in names.iter().enumerate() {
        let name: String = name.chars().take(LONGEST).collect();
        let at = y.at(i as f64 + 0.5) + 4.0;
        // Writing to a string cannot fail.
        let _ = write!(svg, "<text x=\"{}\" y=\"{at:.1}\" text-anchor=\"end\">{}</text>", room - 8.0, escape(&name));
    }
    for (p, panel) in panels.iter().enumerate() {
        let start = room + (each + between) * p as f64;
        let place = |value: f64| if panel.decades { value.log10() } else { value };
        let values = panel.marks.iter().chain(&panel.lines).map(|mark| place(mark.value));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let step = if panel.decades { 1.0 } else { 10.0 };
        let low = if low.is_finite() { (low / step).floor() * step } else { 0.0 };
        let high = if high.is_finite() { ((high / step).ceil() * step).max(low + step) } else { step };
        let x = Axis { low, high, start, end: start + each };
        let mut tick = low;
        while tick <= high + 1e-9 {
            let at = x.at(tick);
            let text = if panel.decades { short_power(tick) } else { short(tick) };
            let _ = write!(
                svg,
                "<path d=\"M{at:.1} {} V{}\" class=\"grid\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
                y.start,
                y.end,
                y.end + 15.0,
            );
            tick += step * ((high - low) / step / 8.0).ceil().max(1.0);
        }
        let middle = f64::midpoint(x.start, x.end);
        let _ = write!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            height - 5.0,
            escape(panel.label)
        );
        for of_model in panel.lines.chunk_by(|a, b| a.model == b.model) {
            let points: Vec<String> = of_model
                .iter()
                .map(|mark| format!("{:.1},{:.1}", x.at(place(mark.value)), y.at(mark.row as f64 + 0.5)))
                .collect();
            let _ = write!(
                svg,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"><title>{}</title></polyline>",
                points.join(" "),
                colour(of_model[0].model),
                escape(&of_model[of_model.len() - 1].title)
            );
        }
        for mark in &panel.marks {
            let _ = write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\" fill=\"{}\" fill-opacity=\".8\"><title>{}</title></circle>",
                x.at(place(mark.value)),
                y.at(mark.row as f64 + 0.5),
                colour(mark.model),
                escape(&mark.title)
            );
        }
    }
    svg + "</svg>"
}

fn colour(model: usize) -> &'static str {
    COLOURS[model % COLOURS.len()]
}

/// A power of ten.
fn short_power(exponent: f64) -> String {
    if (-3.0..=4.0).contains(&exponent) { format!("{}", 10f64.powf(exponent)) } else { format!("1e{exponent}") }
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
        let plot = noise_ratios(&models).unwrap_or_default();
        assert!(plot.matches("<circle").count() == 2 && plot.contains("&lt;a&gt;") && !plot.contains("NaN"), "{plot}");
        assert!(noise_ratios(&models[..1]).is_none());
    }

    #[test]
    fn costs_of_operators_have_a_panel_for_each_figure() {
        let mut comparison = Comparison::example();
        let cost = |name: &str, psnr, frechet| LayerCost {
            name: name.into(),
            psnr_alone: psnr,
            psnr_until: Some(33.5),
            frechet_alone: frechet,
            frechet_until: frechet,
        };
        let layers =
            vec![cost("<a>", Some(45.0), Some(0.002)), cost("b", None, Some(0.0)), cost("c", Some(51.0), None)];
        comparison.candidates[0].model.sensitivity = Some(Sensitivity { pictures: 4, layers });
        let models = [&comparison.reference, &comparison.candidates[0].model];
        let plot = sensitivity(&models).unwrap_or_default();
        // Operators that cost nothing have no mark.
        assert_eq!((plot.matches("<circle").count(), plot.matches("<polyline").count()), (3, 2), "{plot}");
        assert!(
            plot.contains("&lt;a&gt;") && !plot.contains("<a>") && !plot.contains("NaN") && !plot.contains("inf"),
            "{plot}"
        );
        assert!(sensitivity(&models[..1]).is_none());
    }
}
