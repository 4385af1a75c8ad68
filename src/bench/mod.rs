//! Measures a `.drift` file on this machine.

pub mod energy;
pub mod memory;
pub mod peak;
pub mod timing;
