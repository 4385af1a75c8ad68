//! One module per command: its arguments, and what it does.

pub mod bench;
pub mod compare;
pub mod demo;
pub mod export;
pub mod import;
pub mod init;
pub mod inspect;
pub mod quantize;
pub mod sample;
pub mod stats;
#[cfg(feature = "train")]
pub mod train;
