//! The evolution of distributions and drifts as an animated GIF.

use std::path::Path;

use font8x8::legacy::BASIC_LEGACY;
use gif::{Encoder, Frame, Repeat};
use serde_json::Value;

use crate::TrainError;

/// Side of a panel of points, and height of the curve below it.
const SIDE: usize = 220;
const CURVE: usize = 90;
const MARGIN: usize = 12;
const TITLE: usize = 16;
/// Coordinates that a panel shows, from minus to plus.
const REACH: f32 = 1.8;
/// Time of a frame and of the last one, in hundredths of a second.
const DELAY: u16 = 8;
const PAUSE: u16 = 250;

const PALETTE: [[u8; 3]; 6] =
    [[255, 255, 255], [205, 210, 218], [224, 90, 30], [40, 44, 52], [40, 100, 200], [235, 237, 240]];
const REAL: u8 = 1;
const GENERATED: u8 = 2;
const TEXT: u8 = 3;
const LINE: u8 = 4;
const FRAME: u8 = 5;

/// What a run's log says of its points and its drift.
pub struct Evolution {
    name: &'static str,
    /// Step and points of each review.
    frames: Vec<(u64, Vec<[f32; 2]>)>,
    /// Step and root mean square drift before normalization, mean over temperatures.
    drifts: Vec<(u64, f64)>,
}

impl Evolution {
    /// Reads a log.
    pub fn read(name: &'static str, log: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(log)
            .map_err(|e| TrainError::Run { directory: log.into(), problem: format!("cannot be read: {e}") })?;
        let mut evolution = Self { name, frames: Vec::new(), drifts: Vec::new() };
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let Some(step) = line["step"].as_u64() else { continue };
            if let Ok(points) = serde_json::from_value(line["points"].clone()) {
                evolution.frames.push((step, points));
            }
            if let Ok(raw) = serde_json::from_value::<Vec<f64>>(line["raw_drift"].clone()) {
                let mean = raw.iter().map(|square| square.sqrt()).sum::<f64>() / raw.len().max(1) as f64;
                evolution.drifts.push((step, mean));
            }
        }
        Ok(evolution)
    }
}

/// Draws all evolutions side by side.
pub fn draw(real: &[[f32; 2]], evolutions: &[Evolution]) -> Vec<u8> {
    let width = MARGIN + evolutions.len() * (SIDE + MARGIN);
    let height = 2 * MARGIN + TITLE + SIDE + CURVE + TITLE;
    let frames = evolutions.iter().map(|e| e.frames.len()).max().unwrap_or_default();
    let mut bytes = Vec::new();
    let (Ok(w), Ok(h)) = (u16::try_from(width), u16::try_from(height)) else { return bytes };
    // Writing to memory does not fail.
    let Ok(mut encoder) = Encoder::new(&mut bytes, w, h, &PALETTE.concat()) else { return Vec::new() };
    let _ = encoder.set_repeat(Repeat::Infinite);
    for index in 0..frames {
        let mut canvas = Canvas { width, pixels: vec![0; width * height] };
        for (i, evolution) in evolutions.iter().enumerate() {
            canvas.panel(MARGIN + i * (SIDE + MARGIN), real, evolution, index);
        }
        let mut frame = Frame { width: w, height: h, buffer: canvas.pixels.into(), ..Frame::default() };
        frame.delay = if index + 1 == frames { PAUSE } else { DELAY };
        let _ = encoder.write_frame(&frame);
    }
    drop(encoder);
    bytes
}

struct Canvas {
    width: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    fn panel(&mut self, left: usize, real: &[[f32; 2]], evolution: &Evolution, index: usize) {
        let top = MARGIN + TITLE;
        self.fill(left, top, SIDE, SIDE, FRAME);
        for &point in real {
            self.point(left, top, point, 1, REAL);
        }
        let Some((step, points)) = evolution.frames.get(index.min(evolution.frames.len().saturating_sub(1))) else {
            return;
        };
        for &point in points {
            self.point(left, top, point, 2, GENERATED);
        }
        self.text(left, MARGIN, &format!("{}  step {step}", evolution.name));
        self.curve(left, top + SIDE + 4, &evolution.drifts, *step);
        self.text(left, top + SIDE + CURVE + 6, "drift (log scale)");
    }

    /// A square around a point; points outside stand at the edge.
    fn point(&mut self, left: usize, top: usize, [x, y]: [f32; 2], size: usize, colour: u8) {
        let place = |v: f32| ((v / REACH + 1.0) / 2.0 * SIDE as f32).clamp(0.0, (SIDE - size) as f32) as usize;
        self.fill(left + place(x), top + place(-y), size, size, colour);
    }

    fn curve(&mut self, left: usize, top: usize, drifts: &[(u64, f64)], until: u64) {
        self.fill(left, top, SIDE, CURVE, FRAME);
        let Some(&(last, _)) = drifts.last() else { return };
        let logarithm = |drift: f64| drift.max(1e-12).log10();
        let bounds = |f: fn(f64, f64) -> f64, start| drifts.iter().map(|&(_, d)| logarithm(d)).fold(start, f);
        let (low, high) = (bounds(f64::min, f64::MAX), bounds(f64::max, f64::MIN));
        for &(step, drift) in drifts.iter().filter(|(step, _)| *step <= until) {
            let x = (step as usize * (SIDE - 2)) / (last as usize).max(1);
            let share = (logarithm(drift) - low) / (high - low).max(1e-9);
            self.fill(left + x, top + ((1.0 - share) * (CURVE - 2) as f64) as usize, 2, 2, LINE);
        }
    }

    fn text(&mut self, left: usize, top: usize, text: &str) {
        for (i, character) in text.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(character as usize).unwrap_or(&[0; 8]);
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    self.fill(left + 8 * i + column, top + row, 1, 1, TEXT);
                }
            }
        }
    }

    fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, colour: u8) {
        for row in top..top + height {
            for column in left..(left + width).min(self.width) {
                if let Some(pixel) = self.pixels.get_mut(row * self.width + column) {
                    *pixel = colour;
                }
            }
        }
    }
}
