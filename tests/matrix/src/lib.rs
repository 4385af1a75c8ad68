//! The test of bit-identity: small networks that together contain every integer operator in every mode, and one hash of
//! what each makes. `docs/bit-identity.md` has the whole picture.
//!
//! [`hash`] runs on every target and needs nothing but the runtime. The networks are made on a host, see [`files`].
#![no_std]

#[cfg(feature = "networks")]
extern crate std;

mod hash;
#[cfg(feature = "networks")]
mod networks;
mod requests;
#[cfg(feature = "networks")]
mod sets;

pub use hash::{Engine, Hash, PICTURES, hash};
#[cfg(feature = "networks")]
pub use networks::{Network, graphs};
#[cfg(feature = "networks")]
pub use sets::{Failure, File, files, layers};
