//! Attention in integers.

use crate::QuantizeError;
use crate::graph::{Attention, Node};
use crate::program::{Program, Tensors};
use crate::sharing::Sharing;

pub fn tensors<'g>(_: &Program, _: &Node, _: &Attention, _: &mut Sharing) -> Result<Tensors<'g>, QuantizeError> {
    Err(QuantizeError::Unsupported("attention"))
}
