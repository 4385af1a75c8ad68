//! Normalization.

use super::{Context, Proof, ensure, is_shift, is_vector};
use crate::format::{DType, NONE, NormMode, ValueRecord};

/// Largest multiplier of the gain: a Q14 number below `2^30`, a 16-bit gain and this fit 62 bits.
const MAX_GAIN: i32 = 1 << 17;

/// Gain and shift per channel are values or tensors; the shift may be absent.
pub fn norm(c: &Context) -> Proof {
    let (input, gain, shift) = (c.operand(0), &c.inputs[1], &c.inputs[2]);
    c.numbers(&[input, &c.output])?;
    ensure(input.shape == c.output.shape, "input and output differ in shape")?;
    let channels = input.shape[2];
    match NormMode::from_code(c.op.mode).ok_or("unknown kind of normalization")? {
        NormMode::Rms | NormMode::Layer => ensure(c.op.count == 0, "only channel groups are counted")?,
        NormMode::Group => {
            ensure(c.op.count >= 1 && channels.is_multiple_of(c.op.count), "channels do not make whole groups")?;
        }
    }
    vector(c, gain, c.op.weight, channels)?;
    if shift.is_some() || c.op.bias != NONE {
        vector(c, shift, c.op.bias, channels)?;
    }
    if !c.integer() {
        return epsilon(c);
    }
    // Multiplier of the gain, shift, multiplier of the shift vector, and the 64 bits of epsilon.
    c.tensor(c.op.rescale, DType::I32, [1, 1, 1, 5])?;
    let numbers: &[i32] = c.model.tensor_data(c.op.rescale);
    let sound = (0..MAX_GAIN).contains(&numbers[0]) && is_shift(numbers[1]) && numbers[2] >= 0;
    ensure(sound, "a multiplier or shift is out of range")?;
    ensure(numbers[4] >= 0, "epsilon is not below 2^63")
}

/// A vector per channel that is a value or a tensor, not both.
fn vector(c: &Context, value: &Option<ValueRecord>, tensor: u32, channels: u32) -> Proof {
    let Some(value) = value else {
        return c.tensor(tensor, c.vector_type(), [1, 1, 1, channels]).map(drop);
    };
    ensure(tensor == NONE, "gain or shift is given twice")?;
    let fits = is_vector(value) && value.shape[2] == channels && value.dtype == c.vector_type();
    ensure(fits, "gain or shift has the wrong shape or type")
}

/// Float models keep epsilon as one number.
pub fn epsilon(c: &Context) -> Proof {
    c.tensor(c.op.rescale, DType::F32, [1, 1, 1, 1])?;
    let bits = c.model.tensor_data::<u32>(c.op.rescale)[0];
    // Bits of non-negative finite numbers.
    ensure(bits < f32::INFINITY.to_bits(), "epsilon is not a number from 0")
}
