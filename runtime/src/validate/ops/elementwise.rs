//! Operators that treat every number alike, and the two ends of a picture.

use super::{Context, Proof, ensure, is_vector, positions};
use crate::format::{DType, Function, NONE, ValueRecord};
use crate::pixels::TABLE_LEN;

/// Entries of a function's table: one for every 8-bit number, or both ends of 256 segments of a 16-bit range.
fn function_table(c: &Context, input: &ValueRecord) -> Proof {
    if !c.integer() {
        return ensure(c.op.weight == NONE, "float functions have no table");
    }
    // Floats know the function by its name, integers by its table.
    ensure(c.op.function == Function::Identity, "an integer function is in its table, not in its name")?;
    let len = if input.dtype == DType::I8 { 256 } else { TABLE_LEN };
    c.tensor(c.op.weight, DType::I16, [1, 1, 1, len]).map(drop)
}

pub fn lookup(c: &Context) -> Proof {
    let input = c.operand(0);
    c.numbers(&[input, &c.output])?;
    ensure(input.shape == c.output.shape, "input and output differ in shape")?;
    ensure(c.op.count <= if c.integer() { 8 } else { 0 }, "more than 8 bits behind the point")?;
    function_table(c, input)
}

pub fn mul(c: &Context) -> Proof {
    let [a, b] = [0, 1].map(|i| c.operand(i));
    c.numbers(&[a, b, &c.output])?;
    ensure(a.shape == c.output.shape && b.shape == a.shape, "inputs and output differ in shape")?;
    function_table(c, a)?;
    c.fixed_point(2, 1).map(drop)
}

/// The inputs are a factor of the gain, what it is added to, and the gain.
pub fn gate(c: &Context) -> Proof {
    let [x, residual, gain] = [0, 1, 2].map(|i| c.operand(i));
    c.numbers(&[x, residual, &c.output])?;
    ensure(x.shape == c.output.shape && residual.shape == x.shape, "inputs and output differ in shape")?;
    let fits = is_vector(gain) && gain.shape[2] == x.shape[2] && gain.dtype == c.vector_type();
    ensure(fits, "gain has the wrong shape or type")?;
    c.fixed_point(3, 1).map(drop)
}

pub fn add(c: &Context) -> Proof {
    let (a, b) = (c.operand(0), &c.inputs[1]);
    c.numbers(&[a, &c.output])?;
    ensure(b.is_some() != (c.op.weight != NONE), "a sum has two operands")?;
    let (positions_b, channels_b) = match b {
        Some(b) => {
            c.numbers(&[b])?;
            (positions(b), b.shape[2])
        }
        None => {
            let [one, two, count, channels] = c.any_tensor(c.op.weight)?.dims;
            c.tensor(c.op.weight, c.table_type(), [1, 1, count, channels])?;
            ensure(one == 1 && two == 1, "a constant is [1, 1, positions, channels]")?;
            (u64::from(count), channels)
        }
    };
    let (all, channels) = (positions(&c.output), c.output.shape[2]);
    ensure(a.shape[2] == channels && channels_b == channels, "operands and output differ in channels")?;
    let fits = |count: u64| count == all || count == 1;
    let whole = positions(a) == all || positions_b == all;
    ensure(fits(positions(a)) && fits(positions_b) && whole, "operands do not fit the output")?;
    c.fixed_point(3, 1).map(drop)
}

pub fn global_avg_pool(c: &Context) -> Proof {
    let input = c.operand(0);
    c.numbers(&[input, &c.output])?;
    ensure(c.output.shape == [1, 1, input.shape[2]], "output shape does not fit")?;
    c.fixed_point(2, 1).map(drop)
}

pub fn pixels(c: &Context) -> Proof {
    let input = c.operand(0);
    ensure(matches!(c.op.function, Function::Identity | Function::Tanh), "pixels apply tanh or nothing")?;
    ensure(input.shape == c.output.shape && c.output.dtype == DType::U8, "output has the wrong shape or type")?;
    if !c.integer() {
        return ensure(c.op.weight == NONE && input.dtype == DType::F32, "input has the wrong type, or a table");
    }
    ensure(input.dtype == DType::I16, "input has the wrong type")?;
    c.tensor(c.op.weight, DType::I16, [1, 1, 1, TABLE_LEN]).map(drop)
}
