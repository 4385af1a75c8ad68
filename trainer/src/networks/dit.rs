//! The paper's transformer.

use burn::module::Module;
use burn::tensor::activation::{silu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor, TensorData};
use driftlet_checkpoint as checkpoint;

use super::layers::{Linear, RmsNorm, SwiGlu, Table};
use super::precision::{like, single};

/// Weight of the guidance embedding in the condition.
const GUIDANCE_WEIGHT: f64 = 0.02;
/// Base of the wavelengths of guidance and position.
const BASE: f64 = 10_000.0;

/// See [`checkpoint::Dit`] for the equations.
#[derive(Module, Debug)]
pub struct Dit<B: Backend> {
    class: Table<B>,
    styles: Vec<Table<B>>,
    guidance: Guidance<B>,
    patch: Linear<B>,
    position: Table<B>,
    context: Linear<B>,
    context_position: Table<B>,
    blocks: Vec<Block<B>>,
    last: Last<B>,
    out: Linear<B>,
    patch_size: usize,
}

#[derive(Module, Debug)]
struct Guidance<B: Backend> {
    linear1: Linear<B>,
    linear2: Linear<B>,
    norm: RmsNorm<B>,
}

#[derive(Module, Debug)]
struct Block<B: Backend> {
    modulation: Linear<B>,
    norm1: RmsNorm<B>,
    attention: Attention<B>,
    norm2: RmsNorm<B>,
    mlp: SwiGlu<B>,
}

#[derive(Module, Debug)]
struct Attention<B: Backend> {
    qkv: Linear<B>,
    query_norm: RmsNorm<B>,
    key_norm: RmsNorm<B>,
    out: Linear<B>,
    heads: usize,
}

#[derive(Module, Debug)]
struct Last<B: Backend> {
    modulation: Linear<B>,
    norm: RmsNorm<B>,
}

impl<B: Backend> Dit<B> {
    /// Zero weights; `net` is valid.
    pub fn new(net: &checkpoint::Dit, device: &B::Device) -> Self {
        let checkpoint::Dit { dim, cond_dim, heads, .. } = *net;
        let linear = |outputs, inputs| Linear::new(outputs, inputs, device);
        let norm = |width| RmsNorm::new(width, device);
        let table = |rows, width| Table::new(rows, width, device);
        let block = |_| Block {
            modulation: linear(6 * dim, cond_dim),
            norm1: norm(dim),
            attention: Attention {
                qkv: linear(3 * dim, dim),
                query_norm: norm(dim / heads),
                key_norm: norm(dim / heads),
                out: linear(dim, dim),
                heads,
            },
            norm2: norm(dim),
            mlp: SwiGlu::new(dim, net.mlp_dim(), device),
        };
        Self {
            class: table(net.classes, cond_dim),
            styles: (0..net.styles).map(|_| table(net.style_values, cond_dim)).collect(),
            guidance: Guidance {
                linear1: linear(cond_dim, 2 * checkpoint::Dit::FREQUENCIES),
                linear2: linear(cond_dim, cond_dim),
                norm: norm(cond_dim),
            },
            patch: linear(dim, net.patch_len()),
            position: table(net.tokens(), dim),
            context: linear(dim, cond_dim),
            context_position: table(net.context, dim),
            blocks: (0..net.depth).map(block).collect(),
            last: Last { modulation: linear(2 * dim, cond_dim), norm: norm(dim) },
            out: linear(net.patch_len(), dim),
            patch_size: net.patch,
        }
    }

    /// Classes `[n]`, style indices `[n, styles]` and guidance `[n]` to the condition `[n, cond_dim]`.
    pub fn condition(
        &self,
        classes: Tensor<B, 1, Int>,
        styles: Tensor<B, 2, Int>,
        guidance: Tensor<B, 1>,
    ) -> Tensor<B, 2> {
        let [count] = classes.dims();
        let mut condition = self.class.rows().select(0, classes);
        for (i, table) in self.styles.iter().enumerate() {
            let chosen = styles.clone().narrow(1, i, 1).reshape([count]);
            condition = condition + table.rows().select(0, chosen);
        }
        let frequencies = wavelengths(checkpoint::Dit::FREQUENCIES);
        let len = frequencies.len();
        let frequencies = Tensor::<B, 2>::from_data(TensorData::new(frequencies, [1, len]), &guidance.device());
        let angles = guidance.reshape([count, 1]) * frequencies;
        let waves = Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1);
        let Guidance { linear1, linear2, norm } = &self.guidance;
        let strength = norm.forward(linear2.forward(silu(linear1.forward(like(waves, linear1.dtype())))));
        condition + strength.mul_scalar(GUIDANCE_WEIGHT)
    }

    /// Noise `[n, size, size, channels]` and condition `[n, cond_dim]` to pictures `[n, size, size, channels]`.
    pub fn forward(&self, noise: Tensor<B, 4>, condition: Tensor<B, 2>) -> Tensor<B, 4> {
        let [n, height, width, channels] = noise.dims();
        let p = self.patch_size;
        let (rows, columns) = (height / p, width / p);
        let patches =
            like(noise, self.patch.dtype()).reshape([n, rows, p, columns, p, channels]).permute([0, 1, 3, 2, 4, 5]);
        let patches = patches.reshape([n, rows * columns, p * p * channels]);
        let tokens = self.patch.of_tokens(patches) + self.position.rows().unsqueeze();
        let context = self.context.forward(condition.clone()).unsqueeze_dim::<3>(1);
        let context = context + self.context_position.rows().unsqueeze();
        let [_, in_context, _] = context.dims();

        let condition = silu(condition);
        let dtype = condition.dtype();
        let mut x = Tensor::cat(vec![context, tokens], 1);
        let [_, len, dim] = x.dims();
        let heads = self.blocks.first().map_or(1, |block| block.attention.heads);
        let rotation = Rotation::new(len, dim / heads, dtype, &x.device());
        for block in &self.blocks {
            x = block.forward(x, condition.clone(), &rotation);
        }
        let x = x.narrow(1, in_context, rows * columns);
        let parts = parts(self.last.modulation.forward(condition), 2);
        let x = self.out.of_tokens(modulated(self.last.norm.forward(x), &parts[0], &parts[1]));
        let x = x.reshape([n, rows, columns, p, p, channels]).permute([0, 1, 3, 2, 4, 5]);
        single(x.reshape([n, height, width, channels]))
    }
}

impl<B: Backend> Block<B> {
    fn forward(&self, x: Tensor<B, 3>, condition: Tensor<B, 2>, rotation: &Rotation<B>) -> Tensor<B, 3> {
        let parts = parts(self.modulation.forward(condition), 6);
        let y = modulated(self.norm1.forward(x.clone()), &parts[0], &parts[1]);
        let x = x + self.attention.forward(y, rotation) * parts[2].clone();
        let y = modulated(self.norm2.forward(x.clone()), &parts[3], &parts[4]);
        x + self.mlp.forward(y) * parts[5].clone()
    }
}

impl<B: Backend> Attention<B> {
    fn forward(&self, x: Tensor<B, 3>, rotation: &Rotation<B>) -> Tensor<B, 3> {
        let [n, tokens, dim] = x.dims();
        let head = dim / self.heads;
        let qkv = self.qkv.of_tokens(x).reshape([n, tokens, 3, self.heads, head]).permute([2, 0, 3, 1, 4]);
        let part = |i: usize| qkv.clone().narrow(0, i, 1).reshape([n, self.heads, tokens, head]);
        let query = rotation.apply(self.query_norm.forward(part(0)));
        let key = rotation.apply(self.key_norm.forward(part(1)));
        let scores = query.matmul(key.swap_dims(2, 3)).div_scalar((head as f64).sqrt());
        let weights = like(softmax(single(scores), 3), rotation.cosines.dtype());
        let mixed = weights.matmul(part(2));
        self.out.of_tokens(mixed.swap_dims(1, 2).reshape([n, tokens, dim]))
    }
}

/// Rotary embedding of positions (Su et al., 2021): the two halves of a head are the two coordinates.
struct Rotation<B: Backend> {
    /// `[1, 1, tokens, head]`.
    cosines: Tensor<B, 4>,
    sines: Tensor<B, 4>,
}

impl<B: Backend> Rotation<B> {
    fn new(tokens: usize, head: usize, dtype: DType, device: &B::Device) -> Self {
        let frequencies = wavelengths(head / 2);
        let angle = |i: usize| (i / head) as f64 * f64::from(frequencies[i % (head / 2)]);
        let table = |f: fn(f64) -> f64| {
            let data: Vec<f32> = (0..tokens * head).map(|i| f(angle(i)) as f32).collect();
            like(Tensor::from_data(TensorData::new(data, [1, 1, tokens, head]), device), dtype)
        };
        Self { cosines: table(f64::cos), sines: table(f64::sin) }
    }

    /// `[n, heads, tokens, head]`.
    fn apply(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let half = x.dims()[3] / 2;
        let turned = Tensor::cat(vec![x.clone().narrow(3, half, half).neg(), x.clone().narrow(3, 0, half)], 3);
        x * self.cosines.clone() + turned * self.sines.clone()
    }
}

/// Falling frequencies `10000^(-k / count)`.
fn wavelengths(count: usize) -> Vec<f32> {
    (0..count).map(|k| BASE.powf(-(k as f64) / count as f64) as f32).collect()
}

/// `[n, count * dim]` to `count` times `[n, 1, dim]`.
fn parts<B: Backend>(modulation: Tensor<B, 2>, count: usize) -> Vec<Tensor<B, 3>> {
    modulation.unsqueeze_dim::<3>(1).chunk(count, 2)
}

/// `x (1 + scale) + shift`.
fn modulated<B: Backend>(x: Tensor<B, 3>, shift: &Tensor<B, 3>, scale: &Tensor<B, 3>) -> Tensor<B, 3> {
    x * scale.clone().add_scalar(1.0) + shift.clone()
}
