//! What a chip needs for a model: flash, RAM, and instructions per picture, estimated from counts of single operators in QEMU.

use std::fmt;

use anyhow::{Context, Result, anyhow, bail};
use driftlet_runtime::format::{DType, OpKind, Precision};
use driftlet_runtime::{Model, OpInfo};
use serde_json::{Value, json};

/// Written by `firmware-demo/costs`, whose `costs.py` says how.
const TABLE: &str = include_str!("targets/costs.txt");

/// RAM of a program beside arena and the stack of the runtime: statics, and frames of a small application.
const STATICS: u64 = 1024;

/// A kind of processor that costs are known of.
pub struct Target {
    name: &'static str,
    /// The name in the table.
    row: &'static str,
}

/// What a chip has, as far as it was said.
#[derive(Clone, Copy)]
pub struct Chip {
    pub ram: Option<u64>,
    pub flash: Option<u64>,
}

/// Names that are asked for, and those of the table: a Cortex-M7 has the instructions of an M4.
const NAMES: [(&str, &str); 5] = [
    ("cortex-m0", "cortex-m0"),
    ("cortex-m4", "cortex-m4"),
    ("cortex-m7", "cortex-m4"),
    ("cortex-m55", "cortex-m55"),
    ("riscv32", "riscv32"),
];

/// What a model needs of a chip, beside what there is.
pub struct Fit {
    target: &'static str,
    chip: Chip,
    file: u64,
    /// The runtime in flash, with every integer operator.
    code: u64,
    arena: u64,
    /// As measured, the deepest of several networks.
    stack: u64,
    /// Estimated instructions of each operator.
    instructions: Vec<u64>,
    remedies: Vec<String>,
}

/// The kind of an operator's cost: its name, with the bits of what a layer reads, whether it adds a residual, and whether its
/// inputs are no fours of channels.
pub fn cost_kind(op: &OpInfo) -> String {
    let bits = |dtype| if dtype == DType::I8 { 8 } else { 16 };
    let input = op.inputs[0].map_or(16, |value| bits(value.dtype));
    let name = op.kind.name().replace(' ', "-");
    match op.kind {
        OpKind::Conv2d | OpKind::Linear | OpKind::Attention => {
            let depthwise = if depthwise(op) { "depthwise-" } else { "" };
            // What a layer adds to its sums is read and scaled number by number.
            let residual = if op.kind != OpKind::Attention && op.inputs[1].is_some() { "-residual" } else { "" };
            // Kernels load four inputs at a time.
            let channels = op.inputs[0].map_or(0, |value| value.shape[2]);
            let odd = if channels.is_multiple_of(4) { "" } else { "-odd" };
            format!("{depthwise}{name}-{input}{residual}{odd}")
        }
        _ => name,
    }
}

/// A filter of one channel has as many products as taps.
fn depthwise(op: &OpInfo) -> bool {
    let channels = op.inputs[0].map_or(1, |value| u64::from(value.shape[2]));
    let products = op.macs / (op.output.elements() as u64).max(1);
    op.kind == OpKind::Conv2d && channels > 1 && !products.is_multiple_of(channels)
}

/// What an operator's cost is proportional to: multiply-accumulates, numbers that it writes, and taps, which are positions times
/// the area of the kernel.
pub fn cost_terms(op: &OpInfo) -> [u64; 3] {
    let channels = op.inputs[0].map_or(1, |value| u64::from(value.shape[2]));
    let filters = u64::from(op.output.shape[2]) * if depthwise(op) { 1 } else { channels };
    [op.macs, op.output.elements() as u64, op.macs / filters.max(1)]
}

impl Target {
    /// A target by its name.
    pub fn named(name: &str) -> Result<Self> {
        let names = || NAMES.map(|(name, _)| name).join(", ");
        let found = NAMES.iter().find(|(known, _)| *known == name);
        let &(name, row) = found.with_context(|| format!("no target is called `{name}`; there are: {}", names()))?;
        Ok(Self { name, row })
    }

    /// What a model needs, and what to do if a chip lacks that.
    pub fn fit(&self, model: &Model, file_len: usize, chip: Chip) -> Result<Fit> {
        if model.precision() != Precision::Int8 {
            bail!(
                "a microcontroller runs models of integers, and this one is {}; make one by `driftlet quantize --precision int8`",
                model.precision().name()
            );
        }
        let [code, stack] = ["code", "stack"].map(|name| self.row(name).and_then(|row| row.first().copied()));
        let (Some(code), Some(stack)) = (code, stack) else { bail!("the table of costs lacks {}", self.row) };
        let instructions = (0..model.op_count()).map(|index| self.instructions(&model.op_info(index)));
        let mut fit = Fit {
            target: self.name,
            chip,
            file: file_len as u64,
            code: code as u64,
            arena: model.arena_len() as u64,
            stack: stack as u64,
            instructions: instructions.collect::<Result<_>>()?,
            remedies: Vec::new(),
        };
        fit.remedies = fit.remedies(model);
        Ok(fit)
    }

    fn instructions(&self, op: &OpInfo) -> Result<u64> {
        let kind = cost_kind(op);
        // Not every kind was among what was measured; the next ones take about as much.
        let plainer = [
            kind.replace("-odd", ""),
            kind.replace("-residual", ""),
            kind.replace("-residual", "").replace("-odd", ""),
        ];
        let row = [&kind].into_iter().chain(&plainer).find_map(|kind| self.row(kind));
        let row = row.ok_or_else(|| anyhow!("the table of costs has no {kind} on {}", self.row))?;
        Ok(row.iter().zip(cost_terms(op)).map(|(factor, term)| factor * term as f64).sum::<f64>() as u64)
    }

    /// The numbers of a row.
    fn row(&self, kind: &str) -> Option<Vec<f64>> {
        TABLE.lines().find_map(|line| {
            let mut words = line.split(' ');
            if (words.next(), words.next()) != (Some(self.row), Some(kind)) {
                return None;
            }
            words.map(|word| word.parse().ok()).collect()
        })
    }
}

impl Fit {
    fn flash(&self) -> u64 {
        self.file + self.code
    }

    fn ram(&self) -> u64 {
        self.arena + self.stack + STATICS
    }

    /// Bytes that are missing.
    fn missing(&self) -> [u64; 2] {
        [(self.ram(), self.chip.ram), (self.flash(), self.chip.flash)]
            .map(|(needed, there)| needed.saturating_sub(there.unwrap_or(u64::MAX)))
    }

    /// Whether it fits; `None` if nothing was said of the chip.
    fn fits(&self) -> Option<bool> {
        self.chip.ram.or(self.chip.flash).map(|_| self.missing() == [0, 0])
    }

    fn remedies(&self, model: &Model) -> Vec<String> {
        let (mut remedies, [ram, flash]) = (Vec::new(), self.missing());
        // The largest map, since some are of 16 bits in every model.
        let maps = (0..model.op_count()).map(|index| model.op_info(index)).filter(|op| op.macs > 0).map(|op| op.output);
        let largest = maps.max_by_key(|map| map.elements() * if map.dtype == DType::I16 { 2 } else { 1 });
        let wide = largest.is_some_and(|map| map.dtype == DType::I16);
        if ram > 0 {
            match self.arena.checked_sub(ram).filter(|&room| room > 0) {
                Some(room) if model.bands().is_none() => remedies.push(format!(
                    "quantize with `--ram-limit {room}`: the last operators run a few rows at a time, with the same pictures; it says if \
                     that is too little"
                )),
                Some(room) if model.bands().is_some_and(|bands| bands.height > 1) => remedies.push(format!(
                    "quantize with `--ram-limit {room}`: bands of fewer rows, with the same pictures"
                )),
                _ => {}
            }
            if wide {
                remedies.push(
                    "quantize with `--activations 8`: maps take half the RAM; `driftlet compare` says what that costs"
                        .into(),
                );
            }
        }
        if ram > 0 || flash > 0 {
            remedies.push("take a smaller model: of those in models/, fashion-nano is the smallest".into());
        }
        remedies
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let [ram, flash] = self.missing();
        json!({
            "name": self.target,
            "fits": self.fits(),
            "flash": { "needed": self.flash(), "given": self.chip.flash, "missing": flash, "file": self.file, "code": self.code },
            "ram": {
                "needed": self.ram(), "given": self.chip.ram, "missing": ram,
                "arena": self.arena, "stack": self.stack, "statics": STATICS,
            },
            "instructions": self.instructions.iter().sum::<u64>(),
            "instructions_per_op": self.instructions,
            "remedies": self.remedies,
        })
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let verdict = match self.fits() {
            Some(true) => ": fits",
            Some(false) => ": does not fit",
            None => "",
        };
        let of = |there: Option<u64>| there.map_or_else(String::new, |bytes| format!(" of {bytes}"));
        writeln!(f, "\n{}{verdict}", self.target)?;
        writeln!(
            f,
            "flash     {}{} bytes: file {}, runtime {}",
            self.flash(),
            of(self.chip.flash),
            self.file,
            self.code
        )?;
        writeln!(
            f,
            "RAM       {}{} bytes: arena {}, stack {}, statics {STATICS}",
            self.ram(),
            of(self.chip.ram),
            self.arena,
            self.stack
        )?;
        writeln!(
            f,
            "estimate  {} instructions per picture, as an emulator counts them; cycles are more",
            self.instructions.iter().sum::<u64>()
        )?;
        self.remedies.iter().try_for_each(|remedy| writeln!(f, "remedy    {remedy}"))
    }
}

/// A number of bytes: `256K`, `1M`, or as it is.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    number.ok_or_else(|| format!("`{text}` is no number of bytes; give one like 256K or 1M"))
}
