//! The paper's generator: a diffusion transformer that is run once.

use serde::{Deserialize, Serialize};

use super::{Initial, Interface, layer, positive};

/// The transformer of the paper (arXiv 2602.04770, appendix; its released code).
///
/// ```text
/// cond = class[c] + sum_i styles.i[s_i] + 0.02 * rmsnorm(linear2(silu(linear1(sinusoid(a)))))
/// x = patches(noise) W_patch + b + position                        [tokens, dim]
/// x = [context(cond) + context_position | x]                       in-context tokens in front
/// each block, with (b1, s1, g1, b2, s2, g2) = modulation(silu(cond)):
///   x += g1 * attention(rmsnorm(x) (1 + s1) + b1)                  rmsnorm on q and k, rotary embedding
///   x += g2 * down(silu(gate(y)) * up(y)),  y = rmsnorm(x) (1 + s2) + b2
/// y = unpatchify(out(rmsnorm(x) (1 + s) + b)),  (b, s) = final.modulation(silu(cond)), without the in-context tokens
/// ```
///
/// Patches are rows of (row, column, channel), the channel fastest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dit {
    /// Height and width of noise and picture.
    pub size: usize,
    /// Channels of noise and picture.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Side of a patch.
    pub patch: usize,
    /// Length of a token.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Length of a multilayer perceptron's inner vector over `dim`, before the 2/3 of SwiGLU.
    pub mlp_ratio: f64,
    /// In-context tokens.
    pub context: usize,
    /// Style indices per picture, each into a table of its own.
    pub styles: usize,
    /// Rows of each table.
    pub style_values: usize,
    /// Length of the condition.
    pub cond_dim: usize,
}

impl Dit {
    fn paper(dim: usize, depth: usize, heads: usize, (size, channels, patch): (usize, usize, usize)) -> Self {
        Self {
            size,
            channels,
            classes: 1000,
            patch,
            dim,
            depth,
            heads,
            mlp_ratio: 4.0,
            context: 16,
            styles: 32,
            style_values: 64,
            cond_dim: dim,
        }
    }

    fn small(size: usize, channels: usize, patch: usize) -> Self {
        let context = 4;
        let paper = Self::paper(128, 4, 4, (size, channels, patch));
        Self { classes: 10, context, styles: 8, style_values: 16, mlp_ratio: 3.0, ..paper }
    }

    pub(super) fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "b2-latent" | "ablation" => Self::paper(768, 12, 12, (32, 4, 2)),
            "l2-latent" => Self::paper(1024, 24, 16, (32, 4, 2)),
            "b16-pixel" => Self::paper(768, 12, 12, (256, 3, 16)),
            "l16-pixel" => Self::paper(1024, 24, 16, (256, 3, 16)),
            "dit-28" => Self::small(28, 1, 4),
            "dit-32" => Self::small(32, 3, 4),
            _ => return None,
        })
    }

    /// Inner length of the multilayer perceptrons: `2/3 * mlp_ratio * dim`, rounded up to a multiple of 32.
    pub fn mlp_dim(&self) -> usize {
        let inner = (self.dim as f64 * self.mlp_ratio) as usize * 2 / 3;
        inner.div_ceil(32) * 32
    }

    /// Patches of a picture.
    pub fn tokens(&self) -> usize {
        (self.size / self.patch).pow(2)
    }

    /// Numbers in a patch.
    pub fn patch_len(&self) -> usize {
        self.patch * self.patch * self.channels
    }

    /// Frequencies of the sinusoids that guidance is embedded by; each gives a cosine and a sine.
    pub const FREQUENCIES: usize = 128;

    pub(super) fn interface(&self) -> Interface {
        Interface {
            shape: [self.size, self.size, self.channels],
            noise_len: self.size * self.size * self.channels,
            styles: (self.styles, self.style_values),
            guidance: (1.0, 4.0),
        }
    }

    pub(super) fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let Self { dim, cond_dim, .. } = *self;
        let mut list: Vec<(String, Vec<usize>)> = Vec::new();
        let vector = |list: &mut Vec<_>, name: &str, len| list.push((name.to_owned(), vec![len]));
        list.push(("class.weight".into(), vec![self.classes, cond_dim]));
        for i in 0..self.styles {
            list.push((format!("styles.{i}.weight"), vec![self.style_values, cond_dim]));
        }
        layer(&mut list, "guidance.linear1", vec![cond_dim, 2 * Self::FREQUENCIES]);
        layer(&mut list, "guidance.linear2", vec![cond_dim, cond_dim]);
        vector(&mut list, "guidance.norm.weight", cond_dim);
        layer(&mut list, "patch", vec![dim, self.patch_len()]);
        list.push(("position.weight".into(), vec![self.tokens(), dim]));
        layer(&mut list, "context", vec![dim, cond_dim]);
        list.push(("context_position.weight".into(), vec![self.context, dim]));
        for i in 0..self.depth {
            let name = |part: &str| format!("blocks.{i}.{part}");
            layer(&mut list, &name("modulation"), vec![6 * dim, cond_dim]);
            vector(&mut list, &name("norm1.weight"), dim);
            layer(&mut list, &name("attention.qkv"), vec![3 * dim, dim]);
            vector(&mut list, &name("attention.query_norm.weight"), dim / self.heads);
            vector(&mut list, &name("attention.key_norm.weight"), dim / self.heads);
            layer(&mut list, &name("attention.out"), vec![dim, dim]);
            vector(&mut list, &name("norm2.weight"), dim);
            layer(&mut list, &name("mlp.gate"), vec![self.mlp_dim(), dim]);
            layer(&mut list, &name("mlp.up"), vec![self.mlp_dim(), dim]);
            layer(&mut list, &name("mlp.down"), vec![dim, self.mlp_dim()]);
        }
        layer(&mut list, "final.modulation", vec![2 * dim, cond_dim]);
        vector(&mut list, "final.norm.weight", dim);
        layer(&mut list, "out", vec![self.patch_len(), dim]);
        list
    }

    /// adaLN-zero, but a small output layer instead of a zero one: behind it an encoder may normalize.
    pub(super) fn initial(&self, name: &str, shape: &[usize]) -> Initial {
        let embedding = name == "class.weight" || name == "context_position.weight" || name.starts_with("styles.");
        if name.ends_with("bias") || name.contains("modulation") {
            Initial::Constant(0.0)
        } else if name.contains("norm") {
            Initial::Constant(1.0)
        } else if name == "position.weight" {
            Initial::SinCos { columns: self.size / self.patch }
        } else if embedding {
            Initial::Random { deviation: 0.02 }
        } else {
            // Glorot and Bengio, 2010.
            let glorot = (2.0 / shape.iter().sum::<usize>() as f32).sqrt();
            Initial::Random { deviation: if name == "out.weight" { 0.1 * glorot } else { glorot } }
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        positive("size", self.size, 4096)?;
        positive("channels", self.channels, 64)?;
        positive("classes", self.classes, 65536)?;
        positive("patch", self.patch, self.size)?;
        positive("dim", self.dim, 16384)?;
        positive("depth", self.depth, 256)?;
        positive("heads", self.heads, 1024)?;
        positive("context", self.context, 4096)?;
        positive("style_values", self.style_values, 65536)?;
        positive("cond_dim", self.cond_dim, 16384)?;
        if self.styles > 4096 {
            return Err(format!("styles is {}; it must be at most 4096", self.styles));
        }
        if !self.size.is_multiple_of(self.patch) {
            return Err(format!("size is {}; it must be a multiple of patch, {}", self.size, self.patch));
        }
        if !self.dim.is_multiple_of(2 * self.heads) {
            let text = "each head needs an even length, for rotary embedding";
            return Err(format!("dim is {}; it must be a multiple of 2 heads, {}: {text}", self.dim, 2 * self.heads));
        }
        if !(self.mlp_ratio > 0.0 && self.mlp_ratio <= 64.0) || self.mlp_dim() == 0 {
            return Err(format!("mlp_ratio is {}; it must be above 0 and at most 64", self.mlp_ratio));
        }
        Ok(())
    }
}
