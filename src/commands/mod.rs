//! One module per command: its arguments, and what it does.

pub mod init;
pub mod inspect;
pub mod quantize;
pub mod sample;
#[cfg(feature = "train")]
pub mod train;
