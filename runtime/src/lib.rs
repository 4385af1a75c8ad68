//! The Driftlet runtime: one pass of a drifting generator, without an allocator, the same bytes on every machine.
#![cfg_attr(not(test), no_std)]

pub mod noise;
