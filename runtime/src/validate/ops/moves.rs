//! Operators that move numbers.

use super::{Context, Proof, ensure, positions};
use crate::format::{ConcatMode, PoolMode, ResizeMode};

pub fn concat(c: &Context) -> Proof {
    let [a, b] = [0, 1].map(|i| c.operand(i));
    c.numbers(&[a, b, &c.output])?;
    let (count_a, count_b, count) = (positions(a), positions(b), positions(&c.output));
    let fits = match ConcatMode::from_code(c.op.mode).ok_or("unknown kind of concatenation")? {
        ConcatMode::Positions => {
            let [a, b, out] = [a.shape[2], b.shape[2], c.output.shape[2]];
            count == count_a + count_b && a == out && b == out
        }
        ConcatMode::Channels => {
            let [a, b, out] = [a.shape[2], b.shape[2], c.output.shape[2]].map(u64::from);
            count == count_a && count == count_b && out == a + b
        }
    };
    ensure(fits, "output shape does not fit the inputs")?;
    c.fixed_point(3, 1).map(drop)
}

pub fn slice(c: &Context) -> Proof {
    let input = c.operand(0);
    c.numbers(&[input, &c.output])?;
    c.same_format(input, &c.output)?;
    let end = u64::from(c.op.count) + positions(&c.output);
    ensure(input.shape[2] == c.output.shape[2] && end <= positions(input), "positions lie outside the input")
}

pub fn resize(c: &Context) -> Proof {
    let input = c.operand(0);
    c.numbers(&[input, &c.output])?;
    c.same_format(input, &c.output)?;
    if ResizeMode::from_code(c.op.mode).ok_or("unknown kind of resize")? == ResizeMode::Stretch {
        ensure(!c.integer(), "integer models resize to twice the size only")?;
        return ensure(input.shape[2] == c.output.shape[2], "channels differ");
    }
    let [height, width, channels] = input.shape.map(u64::from);
    ensure(c.output.shape.map(u64::from) == [2 * height, 2 * width, channels], "output is not twice the input")
}

pub fn pool(c: &Context) -> Proof {
    let input = c.operand(0);
    c.numbers(&[input, &c.output])?;
    PoolMode::from_code(c.op.mode).ok_or("unknown kind of pool")?;
    let [stride, window, padding] = [c.op.stride.into(), u64::from(c.op.count), c.op.padding.into()];
    ensure(stride >= 1 && c.op.upsample == 1, "stride is zero, or the input is upsampled")?;
    // So every window reaches into the map.
    ensure(padding < window, "padding is not smaller than the window")?;
    for (&len, &expected) in input.shape[..2].iter().zip(&c.output.shape) {
        let steps =
            (u64::from(len) + 2 * padding).checked_sub(window).ok_or("window is larger than the padded input")?;
        ensure(steps / stride + 1 == u64::from(expected), "output size does not fit")?;
    }
    ensure(input.shape[2] == c.output.shape[2], "channels differ")
}

pub fn patches(c: &Context, to_space: bool) -> Proof {
    let input = c.operand(0);
    c.numbers(&[input, &c.output])?;
    c.same_format(input, &c.output)?;
    let patch = u64::from(c.op.count);
    // Patches may come as a row of tokens: then only their number counts.
    let (map, tokens) = if to_space { (&c.output, input) } else { (input, &c.output) };
    let [height, width, channels] = map.shape.map(u64::from);
    ensure(patch >= 1 && height.is_multiple_of(patch) && width.is_multiple_of(patch), "patches do not fill the map")?;
    let fits = positions(tokens) == height / patch * (width / patch)
        && Some(u64::from(tokens.shape[2])) == patch.checked_mul(patch).and_then(|n| n.checked_mul(channels));
    ensure(fits, "patches do not fit the map")
}
