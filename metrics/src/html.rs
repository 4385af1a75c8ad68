//! A comparison as one page that needs no other file.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::plot::{COLOURS, noise_ratios, sensitivity, short, trade_off};
use crate::table::{cost_rows, difference_rows, main_rows, models, no_accuracy, other_rows};
use crate::{Comparison, ReferenceModel};

/// A picture for the page.
pub struct Grid<'g> {
    /// What it shows.
    pub caption: &'g str,
    /// The file.
    pub png: &'g [u8],
}

/// What the page shows beside the figures.
pub struct Page<'p> {
    /// Its heading.
    pub title: &'p str,
    /// Pictures of every model at the same seeds, side by side.
    pub samples: &'p [Grid<'p>],
    /// Where the candidates differ from the reference.
    pub differences: &'p [Grid<'p>],
    /// Milliseconds that a picture of each model takes on this machine; `None` where they were not timed.
    pub milliseconds: Option<&'p [f64]>,
    /// The program that made the page: version and hash.
    pub program: &'p str,
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --faint: #888; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1.25rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 1rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; } p { max-width: 46rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
.whole table { width: 100%; }
th, td { text-align: right; padding: .35rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
.scroll { overflow-x: auto; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.25rem; }
.row.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.legend span { display: inline-block; margin-right: 1.2rem; }
.legend .key, td .key { margin-right: .45em; }
figure { margin: 0; } figcaption { font-size: .9rem; color: var(--faint); margin-top: .3rem; }
img { width: 100%; display: block; image-rendering: pixelated; background: var(--soft); border-radius: .3rem; }
svg { width: 100%; min-width: 26rem; display: block; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: var(--line); fill: none; }
.key { display: inline-block; width: .7em; height: .7em; border-radius: 50%; }
.note { border-left: 3px solid #3a9d5d; padding: .1rem .9rem; margin: 1rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; font-size: .9rem; } dd { margin: 0; }
code { overflow-wrap: anywhere; font-size: .82rem; }
@media (max-width: 40rem) { body { font-size: 15px; } dl { display: block; } dt { font-weight: 600; margin-top: .6rem; } }
";

/// The page.
pub fn html(page: &Page, comparison: &Comparison) -> String {
    let all: Vec<&ReferenceModel> = models(comparison).collect();
    let title = escape(page.title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    );
    text += &introduction(comparison);
    text += "<div class=\"whole\">";
    rows(&mut text, &main_rows(comparison), true);
    text += "</div>";
    text += &floors(comparison);
    text += "<h2>Samples at the same seeds</h2>";
    grids(&mut text, page.samples);
    text += "<h2>Where they differ</h2>";
    grids(&mut text, page.differences);
    text += "<h2>Size, speed and distance</h2><p>Lower and further left is better.";
    text += match page.milliseconds {
        Some(_) => {
            " The area of a circle tells the time of a picture, on one core of the machine that made this page.</p>"
        }
        None => " The area of a circle tells the multiply-accumulates of a picture.</p>",
    };
    let time = |i: usize| page.milliseconds.map_or_else(String::new, |times| format!(", {} ms", short(times[i])));
    text += &legend(all.iter().enumerate().map(|(i, model)| (i, format!("{}{}", model.name, time(i)))));
    plot(&mut text, &trade_off(&all, page.milliseconds));
    if let Some(costs) = sensitivity(&all) {
        text += &layers(&all, &costs);
    } else if let Some(lost) = noise_ratios(&all) {
        text += "<h2>What each operator loses</h2><p>Signal-to-quantization-noise ratio of its result against the float \
                 network's, on the same noise, as the quantizer measured it: more is better, and every operator works on what those \
                 before it have lost already.</p>";
        let told = all.iter().enumerate().filter(|(_, model)| !model.layers.is_empty());
        text += &legend(told.map(|(i, model)| (i, model.name.clone())));
        plot(&mut text, &lost);
    }
    text += "<h2>All figures</h2><div class=\"whole\">";
    rows(&mut text, &other_rows(comparison), true);
    text += "</div>";
    text += &meanings(comparison);
    text += "<div class=\"row wide\">";
    for candidate in &comparison.candidates {
        // Writing to a string cannot fail.
        let _ =
            write!(text, "<div><h3>{} less {}</h3>", escape(&candidate.model.name), escape(&comparison.reference.name));
        rows(&mut text, &difference_rows(candidate), false);
        text += "</div>";
    }
    text += "</div>";
    text += &hashes(page, comparison, &all);
    text + "</body></html>\n"
}

/// What every operator costs the pictures.
fn layers(all: &[&ReferenceModel], plotted: &str) -> String {
    let measured = all.iter().enumerate().filter_map(|(i, model)| Some((i, *model, model.sensitivity.as_ref()?)));
    let measured: Vec<_> = measured.collect();
    let pictures = measured.first().map_or(0, |(_, _, found)| found.pictures);
    let mut text = format!(
        "<h2>What each operator costs the pictures</h2><p>Circles: only this operator is the quantized file's, run in that \
         file's own arithmetic on what the reference's operators before it have made, rounded to the file's formats; the rest of the \
         network is the reference's. Lines: this operator and all before it. On the left how near the pictures stay to the \
         reference's, before they are rounded to 8 bits: more is better. On the right by how far the distribution of their \
         features moves: less is better. Over the first {pictures} seeds.</p>"
    );
    let unmeasured = all.iter().skip(1).filter(|model| model.sensitivity.is_none()).map(|model| escape(&model.name));
    let unmeasured: Vec<String> = unmeasured.collect();
    if !unmeasured.is_empty() {
        let _ = write!(
            text,
            "<p>Not measured: {}. Operators can be exchanged only between files of the same network without bands, small enough to \
             be run as often as it has operators.</p>",
            unmeasured.join(", ")
        );
    }
    text += &legend(measured.iter().map(|(i, model, _)| (*i, model.name.clone())));
    plot(&mut text, plotted);
    for (_, model, found) in measured {
        let _ = write!(text, "<details><summary>The numbers: {}</summary>", escape(&model.name));
        rows(&mut text, &cost_rows(found), false);
        text += "</details>";
    }
    text
}

/// What was compared with what.
fn introduction(comparison: &Comparison) -> String {
    let mut text = format!(
        "<p>{} paired samples per model: the same seeds (from {}), classes and guidance ({}). Frechet distances are to {} in \
         the {} features of <em>{}</em>, lower is better; they fall with the number of samples, so compare them at equal numbers \
         only. Differences are to <em>{}</em>, with 95 % paired bootstrap intervals over {} resamples: one that covers 0 shows \
         no difference.</p>",
        comparison.samples,
        comparison.first_seed,
        comparison.guidance,
        if comparison.floor.is_some() { "the test split" } else { "the given statistics" },
        comparison.feature_dim,
        escape(&comparison.network),
        escape(&comparison.reference.name),
        comparison.resamples
    );
    if models(comparison).any(|model| model.precision == "int8") {
        text +=
            "<p class=\"note\">The int8 samples came from the integer runtime itself, not from a simulation of it.</p>";
    }
    text
}

/// What the figures say, as far as they were measured.
fn meanings(comparison: &Comparison) -> String {
    let model = &comparison.reference;
    let all = [
        (true, "infinite", "the Frechet distance extrapolated to infinitely many pictures; lower is better"),
        (true, "score", "inception score with the classes of the feature network; higher is better"),
        (
            model.kid.is_some(),
            "kid",
            "kernel distance to the test split, with its spread over subsets; lower is better",
        ),
        (model.coverage.is_some(), "precision", "share of pictures that lie within the real ones; higher is better"),
        (
            model.coverage.is_some(),
            "recall",
            "share of real pictures that lie within the generated ones; higher is better",
        ),
        (model.coverage.is_some(), "density", "how deep pictures lie within the real ones; 1 for real ones"),
        (
            model.coverage.is_some(),
            "coverage",
            "share of real pictures that have a generated one near; higher is better",
        ),
        (
            model.memorization.is_some(),
            "to train",
            "mean distance to the nearest picture of the train split, in brackets that of the test split",
        ),
        (
            model.memorization.is_some(),
            "by heart",
            "share of pictures nearer to one of the train split than all but 1 % of the test split; 1 % where nothing was learnt by heart",
        ),
        (true, "of pairs", "between pictures of equal seeds, this model's and the reference's"),
    ];
    let mut text = String::from("<details><summary>What the figures say</summary><dl>");
    for (_, name, meaning) in all.into_iter().filter(|(measured, ..)| *measured) {
        let _ = write!(text, "<dt>{name}</dt><dd>{meaning}</dd>");
    }
    text + "</dl></details>"
}

/// What distances cannot come below.
fn floors(comparison: &Comparison) -> String {
    let mut text = String::from("<p>");
    if let Some(floor) = comparison.floor {
        let _ = write!(text, "Floor (train split against test split): {floor:.3}. ");
    }
    if let Some(floor) = comparison.floor_seeds {
        let _ = write!(
            text,
            "Floor (two runs of the reference, the second with seeds from {}): {:.3} from each other; their distances differ by {:.3}. ",
            floor.first_seed, floor.between, floor.difference
        );
    }
    if let Some(missing) = no_accuracy(comparison) {
        let _ = write!(text, "There is {}. ", escape(&missing));
    }
    if let Some(untrained) = comparison.untrained {
        let _ = write!(text, "Untrained network: {untrained:.3}.");
    }
    text + "</p>"
}

fn grids(text: &mut String, grids: &[Grid]) {
    *text += "<div class=\"row\">";
    for grid in grids {
        let _ = write!(
            text,
            "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>",
            BASE64_STANDARD.encode(grid.png),
            caption = escape(grid.caption)
        );
    }
    *text += "</div>";
}

/// A table; with keys, the rows behind the header are the models.
fn rows(text: &mut String, rows: &[Vec<String>], keys: bool) {
    *text += "<div class=\"scroll\"><table>";
    for (i, row) in rows.iter().enumerate() {
        let cell = if i == 0 { "th" } else { "td" };
        *text += "<tr>";
        for (j, value) in row.iter().enumerate() {
            let key = match (keys && j == 0, i.checked_sub(1)) {
                (true, Some(model)) => key(model),
                _ => String::new(),
            };
            let _ = write!(text, "<{cell}>{key}{}</{cell}>", escape(value).replace(" .. ", " to "));
        }
        *text += "</tr>";
    }
    *text += "</table></div>";
}

fn key(model: usize) -> String {
    format!("<span class=\"key\" style=\"background:{}\"></span>", COLOURS[model % COLOURS.len()])
}

fn legend(names: impl Iterator<Item = (usize, String)>) -> String {
    let names: Vec<String> = names.map(|(i, name)| format!("<span>{}{}</span>", key(i), escape(&name))).collect();
    format!("<p class=\"legend\">{}</p>", names.concat())
}

fn plot(text: &mut String, svg: &str) {
    let _ = write!(text, "<div class=\"scroll\">{svg}</div>");
}

fn hashes(page: &Page, comparison: &Comparison, all: &[&ReferenceModel]) -> String {
    let mut text = String::from("<h2>Hashes</h2><p>SHA-256, to name what was measured.</p><dl>");
    let mut line = |name: &str, hash: &str| {
        let _ = write!(text, "<dt>{}</dt><dd><code>{}</code></dd>", escape(name), escape(hash));
    };
    for model in all {
        line(&model.name, &model.hash);
        line(&format!("pictures of {}", model.name), &model.images_hash);
    }
    line(&format!("feature network {}", comparison.network), &comparison.network_hash);
    line("statistics measured to", &comparison.target_hash);
    line("runtime and program", page.program);
    text + "</dl>"
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str, grids: &[Grid], comparison: &Comparison) -> String {
        let page = Page {
            title,
            samples: grids,
            differences: grids,
            milliseconds: Some(&[1.5, 0.5]),
            program: "driftlet 9 (ee99)",
        };
        html(&page, comparison)
    }

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        let mut comparison = Comparison::example();
        comparison.reference.name = "<script>".into();
        comparison.network = "<script>".into();
        comparison.candidates[0].model.name = "<script>".into();
        let page = page("<script>", &[Grid { caption: "<script>", png: b"png" }], &comparison);
        assert!(!page.contains("<script>"), "{page}");
    }

    #[test]
    fn the_page_needs_no_other_file_and_says_where_int8_comes_from() {
        let mut comparison = Comparison::example();
        let grids = [Grid { caption: "c", png: b"png" }];
        let whole = page("t", &grids, &comparison);
        assert!(whole.contains("data:image/png;base64,cG5n") && !whole.contains("http"), "{whole}");
        assert!(whole.contains("integer runtime itself"), "{whole}");
        for hash in ["ab12", "cd34", "ef56", "0078", "ee99"] {
            assert!(whole.contains(hash), "{hash}");
        }
        assert!(whole.contains("-0.1250 to +0.5000") && whole.contains("0.5 ms"), "{whole}");
        comparison.candidates.clear();
        assert!(!page("t", &[], &comparison).contains("integer runtime"));
    }
}
