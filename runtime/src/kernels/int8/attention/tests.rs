//! Integer attention against its definition in 128 bits, against doubles, and at its extremes.

use super::super::testing::{Random, Value, by_all, fixed_point};
use super::*;

/// Parameters and operands of one case.
struct Case {
    tokens: usize,
    heads: usize,
    head: usize,
    gains: Option<[Vec<i16>; 2]>,
    epsilon: u64,
    rotary: Option<[Vec<i16>; 2]>,
    query: Scale,
    key: Scale,
    softmax: Scale,
    output: Scale,
    q: Value,
    k: Value,
    v: Value,
}

impl Case {
    fn parameters(&self) -> Attention<'_> {
        let norm = |i: usize| {
            self.gains.as_ref().map(|gains| HeadNorm {
                gain: &gains[i],
                epsilon: self.epsilon,
                length: Length::new(self.head as u32),
            })
        };
        Attention {
            tokens: self.tokens,
            heads: self.heads,
            head: self.head,
            query: Projection { scale: self.query, norm: norm(0) },
            key: Projection { scale: self.key, norm: norm(1) },
            rotary: self.rotary.as_ref().map(|[cos, sin]| Rotary { cos, sin }),
            softmax: self.softmax,
            output: self.output,
        }
    }

    fn run(&self, q: &Operand, out: &mut Value) {
        by_all(out, |kernels, workers, out| self.run_by(kernels, workers, q, out));
    }

    fn run_by(&self, kernels: Kernels, workers: &dyn Workers, q: &Operand, out: &mut Output) {
        // As aligned as the arena, and not as long as 64-bit integers make it.
        let len = scratch_len(self.tokens, self.head);
        let mut scratch = vec![0x5a5a_5a5a_5a5a_5a5a_u64; len.div_ceil(8)];
        let scratch = &mut bytemuck::cast_slice_mut(&mut scratch)[..len];
        let (k, v) = (self.k.operand(), self.v.operand());
        attention(kernels, workers, &self.parameters(), [q, &k, &v], scratch, out);
    }

    fn result(&self, room: &Value) -> Value {
        let mut out = room.empty();
        self.run(&self.q.operand(), &mut out);
        out
    }
}

/// Shapes, types and tables that a file may have, with scales that make results of all sizes.
fn random_case(random: &mut Random) -> Case {
    let (heads, head, tokens) = (random.size(1, 3), 2 * random.size(1, 20), random.size(1, 40));
    let len = tokens * heads * head;
    let mut vector =
        |len: usize, reach: i32| -> Vec<i16> { (0..len).map(|_| random.between(-reach, reach - 1) as i16).collect() };
    let gains = [vector(head, 32768), vector(head, 32768)];
    let angles: Vec<f64> = vector(tokens * head / 2, 32768).iter().map(|&a| f64::from(a) / 4096.0).collect();
    let turn = |f: fn(f64) -> f64| angles.iter().map(|&a| (f(a) * 16384.0).round() as i16).collect::<Vec<_>>();
    let rotary = [turn(f64::cos), turn(f64::sin)];
    let mut scale = |low: f64, high: f64, bits: i32, most: u32| {
        let (multipliers, shift) = fixed_point(&[random.scale(low, high)], bits);
        let dropped = shift.saturating_sub(most);
        Scale { multiplier: multipliers[0] >> dropped, shift: shift - dropped }
    };
    let with_norm = scale(0.5, 2.0, 20, 62).multiplier % 2 == 0;
    // Normalized numbers are about 2^14, gains up to 2^15: a product that fills 16 bits, or part of them.
    let project = if with_norm { (2f64.powi(-24), 2f64.powi(-14)) } else { (0.01, 4.0) };
    let bits = if with_norm { 26 } else { 31 };
    let (query, key) = (scale(project.0, project.1, bits, 62), scale(project.0, project.1, bits, 62));
    Case {
        query,
        key,
        softmax: scale(2f64.powi(-20), 1.0, 20, 62),
        output: scale(0.01, 20.0, 31, MAX_OUTPUT_SHIFT as u32),
        gains: with_norm.then_some(gains),
        epsilon: random.next() >> random.between(1, 63),
        rotary: random.next().is_multiple_of(2).then_some(rotary),
        q: Value::random(random, len),
        k: Value::random(random, len),
        v: Value::random(random, len),
        tokens,
        heads,
        head,
    }
}

/// `floor(v / 2^shift + 1/2)` in 128 bits.
fn rounded(v: i128, shift: u32) -> i128 {
    (v + (1 << (shift - 1))) >> shift
}

fn saturated(v: i128) -> i128 {
    v.clamp(-32768, 32767)
}

/// Queries or keys of one head and token as 16-bit integers: `docs/arithmetic.md`, attention, first part.
fn projected(case: &Case, p: &Projection, x: &Value, token: usize, h: usize) -> Vec<i128> {
    let at = (token * case.heads + h) * case.head;
    let x: Vec<i128> = x.stored()[at..][..case.head].iter().map(|q| i128::from(q - x.zero)).collect();
    let mut y: Vec<i128> = match p.norm {
        None => x.iter().map(|x| saturated(rounded(x * i128::from(p.scale.multiplier), p.scale.shift))).collect(),
        Some(norm) => {
            let squares = x.iter().map(|x| (x * x) as u64).sum();
            let normalizer = Normalizer::rms(squares, norm.length, norm.epsilon);
            let scaled = |(&x, &gain): (&i128, &i16)| {
                let y = i128::from(normalizer.apply(x as i32));
                saturated(rounded(y * i128::from(gain) * i128::from(p.scale.multiplier), p.scale.shift))
            };
            x.iter().zip(norm.gain).map(scaled).collect()
        }
    };
    if let Some([cos, sin]) = &case.rotary {
        let half = case.head / 2;
        for i in 0..half {
            let (cos, sin) = (i128::from(cos[token * half + i]), i128::from(sin[token * half + i]));
            let (low, high) = (y[i], y[half + i]);
            y[i] = saturated(rounded(low * cos - high * sin, 14));
            y[half + i] = saturated(rounded(high * cos + low * sin, 14));
        }
    }
    y
}

/// The whole operator as `docs/arithmetic.md` defines it, number by number.
fn defined(case: &Case, room: &Value) -> Value {
    let p = case.parameters();
    let mut stored = vec![0; room.len()];
    let v = case.v.stored();
    for h in 0..case.heads {
        let keys: Vec<_> = (0..case.tokens).map(|token| projected(case, &p.key, &case.k, token, h)).collect();
        for token in 0..case.tokens {
            let query = projected(case, &p.query, &case.q, token, h);
            let scores: Vec<i128> = keys.iter().map(|key| key.iter().zip(&query).map(|(a, b)| a * b).sum()).collect();
            let best = scores.iter().max().copied().unwrap_or(0);
            let weight = |score: &i128| {
                let t = rounded((best - score) * i128::from(p.softmax.multiplier), p.softmax.shift);
                let t = t.min((17 << 16) - 1) as usize;
                let (whole, at, between) = (t >> 16, t >> 9 & 127, (t & 511) as i128);
                let (here, next) = (i128::from(POWERS[at]), i128::from(POWERS[at + 1]));
                rounded(here * 512 - (here - next) * between, 10 + whole as u32)
            };
            let weights: Vec<i128> = scores.iter().map(weight).collect();
            let total: i128 = weights.iter().sum();
            let up = 32 - (128 - total.leading_zeros());
            let factor = (((1i128 << 63) - 1) / (total << up) * i128::from(p.output.multiplier)) >> 32;
            for i in 0..case.head {
                let at = |token: usize| (token * case.heads + h) * case.head + i;
                let values = (0..case.tokens).map(|token| i128::from(v[at(token)] - case.v.zero));
                let sum: i128 = weights.iter().zip(values).map(|(w, x)| w * x).sum();
                let y = rounded(rounded(sum << up, 16) * factor, 15 + p.output.shift);
                let limit = 1 << (room.bits - 1);
                stored[at(token)] = (y + i128::from(room.zero)).clamp(-limit, limit - 1) as i32;
            }
        }
    }
    Value::new(stored, room.zero, room.bits)
}

#[test]
fn equals_its_definition() {
    let mut random = Random(31);
    for _ in 0..150 {
        let case = random_case(&mut random);
        let room = Value::room(&mut random, case.q.len());
        assert_eq!(case.result(&room), defined(&case, &room));
    }
}

#[test]
fn queries_may_be_in_place() {
    let mut random = Random(32);
    for _ in 0..100 {
        let case = random_case(&mut random);
        let mut room = case.q.reused(&mut random);
        let separate = case.result(&room);
        case.run(&case.q.in_place(), &mut room);
        assert_eq!(room, separate);
    }
}

/// Long sequences cross the blocks in which values are summed.
#[test]
fn many_keys_equal_the_definition() {
    let mut random = Random(33);
    for tokens in [KEYS - 1, KEYS, KEYS + 1, 2 * KEYS + 3] {
        let case = long_case(&mut random, tokens, 2);
        let room = Value::room(&mut random, case.q.len());
        assert_eq!(case.result(&room), defined(&case, &room));
    }
}

/// Sums of 8-bit values at their largest: equal keys have the largest weights, keys that grow have all weights down to none.
#[test]
fn extreme_values_of_8_bits_equal_the_definition() {
    let mut random = Random(36);
    for (tokens, head) in (1..=9).map(|tokens| (tokens, 70)).chain([(KEYS, 2), (KEYS + 2, 2), (2 * KEYS + 1, 2)]) {
        for stored in [-128, 127] {
            for growing in [false, true] {
                let len = tokens * head;
                let keys = (0..len).map(|i| if growing { (i / head) as i32 } else { 1 });
                let case = Case {
                    softmax: Scale { multiplier: (1 << 20) - 1, shift: 30 },
                    q: Value::new(vec![1000; len], 0, 16),
                    k: Value::new(keys, 0, 16),
                    v: Value::new(vec![stored; len], -1 - stored, 8),
                    key: Scale { multiplier: 1 << 30, shift: 30 },
                    ..long_case(&mut random, tokens, head)
                };
                let room = Value::room(&mut random, len);
                assert_eq!(case.result(&room), defined(&case, &room));
            }
        }
    }
}

/// Scales of scores on both sides of those for which kernels have a shorter way.
#[test]
fn scales_of_scores_at_limits_equal_the_definition() {
    let mut random = Random(37);
    for shift in [19, 20, 21, 22, 32, 43, 44, 45, 46] {
        for keys in [4, 9, 14] {
            let case = Case {
                softmax: Scale { multiplier: (1 << 20) - random.between(1, 1000), shift },
                key: Scale { multiplier: 1, shift: keys },
                q: Value::random_of(&mut random, 8 * 20, 16),
                k: Value::random_of(&mut random, 8 * 20, 16),
                ..long_case(&mut random, 20, 8)
            };
            let room = Value::room(&mut random, case.q.len());
            assert_eq!(case.result(&room), defined(&case, &room));
        }
    }
}

/// Sequences and heads beyond what fits the tiles of all kernels.
#[test]
fn kernels_agree_on_long_sequences_and_heads() {
    let mut random = Random(35);
    for (tokens, head) in [(2100, 3), (70, 256), (70, 257)] {
        let case = long_case(&mut random, tokens, head);
        // Compares them.
        case.result(&Value::room(&mut random, case.q.len()));
    }
}

/// One head, its numbers as they are and its keys short.
fn long_case(random: &mut Random, tokens: usize, head: usize) -> Case {
    let len = head * tokens;
    Case {
        tokens,
        heads: 1,
        head,
        gains: None,
        rotary: None,
        q: Value::random(random, len),
        k: Value::random(random, len),
        v: Value::random(random, len),
        query: Scale { multiplier: 1 << 30, shift: 30 },
        key: Scale { multiplier: 1, shift: 4 },
        ..random_case(random)
    }
}

/// The largest numbers, multipliers and shifts: debug builds check every sum and product.
#[test]
fn extremes_do_not_overflow() {
    let wide = |stored: Vec<i32>| Value::new(stored, 0, 16);
    let (tokens, head) = (3, 64);
    let len = tokens * head;
    let patterns = [vec![-32768; len], vec![32767; len], [-32768, 32767].repeat(len / 2), vec![0; len]];
    let largest = |bits: u32, shift| Scale { multiplier: ((1u32 << bits) - 1) as i32, shift };
    for q in &patterns {
        for k in &patterns {
            for (norm, rotary) in [(false, false), (false, true), (true, false), (true, true)] {
                for shift in [1, 62] {
                    for (epsilon, extreme) in [(0, i16::MIN), (u64::MAX, i16::MAX)] {
                        let project = largest(if norm { 26 } else { 31 }, shift);
                        let case = Case {
                            tokens,
                            heads: 1,
                            head,
                            gains: norm.then(|| [vec![extreme; head], vec![i16::MIN; head]]),
                            epsilon,
                            rotary: rotary.then(|| [vec![extreme; len / 2], vec![i16::MIN; len / 2]]),
                            query: project,
                            key: project,
                            softmax: largest(20, shift),
                            output: largest(31, shift.min(MAX_OUTPUT_SHIFT as u32)),
                            q: wide(q.clone()),
                            k: wide(k.clone()),
                            v: wide(k.clone()),
                        };
                        let room = wide(vec![0; len]);
                        assert_eq!(case.result(&room), defined(&case, &room));
                    }
                }
            }
        }
    }
}

/// Scales as a quantizer chooses them: near the attention of real numbers.
#[test]
fn nears_attention_in_doubles() {
    let mut random = Random(34);
    for _ in 0..100 {
        let (heads, head, tokens) = (random.size(1, 3), 2 * random.size(1, 32), random.size(1, 60));
        let len = tokens * heads * head;
        let [q, k, v] = [0; 3].map(|_| Value::random_of(&mut random, len, 16));
        // What a step of a rotated query and key is worth, such that scores differ by some units.
        let reach = |x: &Value| x.numbers().iter().fold(1.0, |max: f64, x| max.max(x.abs()));
        let ratio = |x: &Value| 32767.0 / (reach(x) * 2f64.sqrt());
        let exact = |factor: f64, bits: i32| {
            let (multipliers, shift) = fixed_point(&[factor], bits);
            Scale { multiplier: multipliers[0], shift }
        };
        let angles: Vec<f64> = (0..tokens * head / 2).map(|_| random.scale(1e-3, 6.0)).collect();
        let turn = |f: fn(f64) -> f64| angles.iter().map(|&a| (f(a) * 16384.0).round() as i16).collect::<Vec<_>>();
        let spread = random.scale(0.1, 30.0);
        let softmax = 65536.0 * spread / (32767.0 * 32767.0 * head as f64);
        let out_ratio = random.scale(0.05, 1.0);
        let case = Case {
            tokens,
            heads,
            head,
            gains: None,
            epsilon: 0,
            rotary: Some([turn(f64::cos), turn(f64::sin)]),
            query: exact(ratio(&q), 31),
            key: exact(ratio(&k), 31),
            softmax: exact(softmax, 20),
            output: exact(out_ratio, 31),
            q,
            k,
            v,
        };
        let room = Value::new(vec![0; len], 0, 16);
        let rotated = |x: &Value, token: usize, h: usize| {
            let at = (token * heads + h) * head;
            let x: Vec<f64> = x.numbers()[at..][..head].iter().map(|n| n * ratio(x)).collect();
            let half = head / 2;
            let angle = |i: usize| angles[token * half + i % half];
            (0..head)
                .map(|i| {
                    let (cos, sin) = (angle(i).cos(), angle(i).sin());
                    if i < half { x[i] * cos - x[half + i] * sin } else { x[i] * cos + x[i - half] * sin }
                })
                .collect::<Vec<f64>>()
        };
        let (values, scale) = (case.v.numbers(), softmax / 65536.0);
        let (mut expected, mut bounds) = (vec![0.0; len], vec![0.0; len]);
        for h in 0..heads {
            let keys: Vec<_> = (0..tokens).map(|t| rotated(&case.k, t, h)).collect();
            for token in 0..tokens {
                let query = rotated(&case.q, token, h);
                let scores: Vec<f64> = keys.iter().map(|k| k.iter().zip(&query).map(|(a, b)| a * b).sum()).collect();
                let best = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| ((s - best) * scale).exp2()).collect();
                let total: f64 = weights.iter().sum();
                // Channels of queries and keys are off by their own rounding, that of the rotation, and by the cosines'
                // last bit: some 3.5 steps in all; scores by that much of either, differences by twice.
                let lengths = |x: &[f64]| x.iter().map(|x| x.abs() + 4.0).sum::<f64>();
                let longest = keys.iter().map(|k| lengths(k)).fold(0.0, f64::max);
                let error = 2.0 * 3.5 * (lengths(&query) + longest) * scale + 2f64.powi(-16);
                for i in 0..head {
                    let at = |t: usize| (t * heads + h) * head + i;
                    let mixed: f64 = weights.iter().enumerate().map(|(t, w)| w * values[at(t)]).sum();
                    expected[at(token)] = mixed / total * out_ratio;
                    let most = (0..tokens).map(|t| values[at(t)].abs()).fold(0.0, f64::max) * out_ratio;
                    // Weights are off by the scores' error, and by one part in 32767 of the largest.
                    let relative = (error * 2f64.ln()).exp_m1() * 2.0 + tokens as f64 * 2.0 / 32767.0;
                    bounds[at(token)] = 1.0 + most * relative;
                }
            }
        }
        case.result(&room).assert_near(&expected, |i| bounds[i]);
    }
}
