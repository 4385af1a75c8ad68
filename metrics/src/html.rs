//! A comparison as one page that needs no other file.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::{Comparison, ReferenceModel};

/// A picture for the page.
pub struct Grid<'g> {
    /// What it shows.
    pub caption: &'g str,
    /// The file.
    pub png: &'g [u8],
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.wide { overflow-x: auto; }
.grids { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 18rem; } img { width: 100%; image-rendering: pixelated; background: var(--soft); }
code { overflow-wrap: anywhere; font-size: .85rem; }
";

/// The page. Grids stand side by side.
pub fn html(title: &str, comparison: &Comparison, grids: &[Grid]) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>",
        title = escape(title)
    );
    let reference = &comparison.reference;
    let _ = write!(
        page,
        "<p>{} paired samples per model (same seeds, classes and guidance {}; seeds from {}). Distances are Frechet \
         distances to the test split in the {} features of <em>{}</em>, lower is better. Differences are to {}, with 95 % \
         paired bootstrap intervals over {} resamples. Distances fall with the number of samples: compare them at equal \
         numbers only.",
        comparison.samples,
        comparison.guidance,
        comparison.first_seed,
        comparison.feature_dim,
        escape(&comparison.network),
        escape(&reference.name),
        comparison.resamples
    );
    if models(comparison).any(|model| model.precision == "int8") {
        page.push_str(" The int8 samples came from the integer runtime itself, not from a simulation of it.");
    }
    page.push_str(
        "</p><div class=\"wide\"><table><thead><tr><th>model</th><th>bytes</th><th>Frechet</th><th>difference</th>\
         <th>95 % interval</th><th>PSNR dB</th><th>class accuracy</th></tr></thead><tbody>",
    );
    let _ = write!(
        page,
        "<tr><td>{}</td><td>{}</td><td>{:.3}</td><td></td><td></td><td></td><td>{:.1} %</td></tr>",
        escape(&reference.name),
        reference.bytes,
        reference.frechet,
        100.0 * reference.class_accuracy.unwrap_or_default()
    );
    for candidate in &comparison.candidates {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{:.3}</td><td>{:+.4}</td><td>{:+.4} to {:+.4}</td><td>{}</td><td>{:.1} %</td></tr>",
            escape(&candidate.model.name),
            candidate.model.bytes,
            candidate.model.frechet,
            candidate.delta,
            candidate.delta_low,
            candidate.delta_high,
            candidate.psnr.map_or_else(|| "equal".into(), |p| format!("{p:.1}")),
            100.0 * candidate.model.class_accuracy.unwrap_or_default()
        );
    }
    page.push_str("</tbody></table></div><p>");
    if let Some(floor) = comparison.floor {
        let _ = write!(page, "Floor (train split against test split): {floor:.3}.");
    }
    if let Some(untrained) = comparison.untrained {
        let _ = write!(page, " Untrained network: {untrained:.3}.");
    }
    page.push_str("</p><h2>Samples</h2><div class=\"grids\">");
    for grid in grids {
        let _ = write!(
            page,
            "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>",
            BASE64_STANDARD.encode(grid.png),
            caption = escape(grid.caption)
        );
    }
    page.push_str("</div><h2>Models</h2><ul>");
    for model in models(comparison) {
        let _ = write!(
            page,
            "<li>{}: SHA-256 of the file <code>{}</code>, of its pictures <code>{}</code></li>",
            escape(&model.name),
            escape(&model.hash),
            escape(&model.images_hash)
        );
    }
    page.push_str("</ul></body></html>\n");
    page
}

/// All models, the reference first.
fn models(comparison: &Comparison) -> impl Iterator<Item = &ReferenceModel> {
    std::iter::once(&comparison.reference).chain(comparison.candidates.iter().map(|c| &c.model))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        let mut comparison = Comparison::example();
        comparison.reference.name = "<script>".into();
        comparison.network = "<script>".into();
        comparison.candidates[0].model.name = "<script>".into();
        let page = html("<script>", &comparison, &[Grid { caption: "<script>", png: b"png" }]);
        assert!(!page.contains("<script>"), "{page}");
    }

    #[test]
    fn the_page_needs_no_other_file_and_says_where_int8_comes_from() {
        let mut comparison = Comparison::example();
        let page = html("t", &comparison, &[Grid { caption: "c", png: b"png" }]);
        assert!(page.contains("data:image/png;base64,cG5n") && !page.contains("http"), "{page}");
        assert!(page.contains("integer runtime itself") && page.contains("cd34"), "{page}");
        assert!(page.contains("-0.1250 to +0.5000"), "{page}");
        comparison.candidates.clear();
        assert!(!html("t", &comparison, &[]).contains("integer runtime"));
    }
}
