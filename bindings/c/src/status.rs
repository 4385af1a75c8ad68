//! What a call came to.

use core::ffi::{CStr, c_char};

use driftlet_runtime::{ParseError, StartError};

/// What a call came to. Numbers keep their meaning; later versions may add some.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer that must not be null is.
    NullPointer = 1,
    /// The bytes of the file do not start at a multiple of 4.
    Misaligned = 2,
    /// The bytes are no .drift file.
    NotDrift = 3,
    /// The file is torn or damaged.
    Damaged = 4,
    /// The file is of another version of the format.
    OtherVersion = 5,
    /// The file needs what this build of the library leaves out.
    NotBuilt = 6,
    /// The model makes no pictures.
    NotAGenerator = 7,
    /// The arena is shorter than the model asks.
    ArenaTooSmall = 8,
    /// The model does not have this class.
    NoSuchClass = 9,
    /// The model was not trained on this strength of guidance.
    GuidanceOutOfRange = 10,
    /// A position above DRIFTLET_ONE.
    PositionOutOfRange = 11,
    /// The environment variable DRIFTLET_KERNEL names no kernels of this processor.
    NoSuchKernels = 12,
    /// The file cannot be read.
    CannotRead = 13,
    /// The model never keeps a whole picture: driftlet_generate_lines takes it.
    MakesLines = 14,
}

/// What each status means, by its number.
const TEXTS: [&CStr; Status::MakesLines as usize + 1] = [
    c"done",
    c"a pointer is null",
    c"the file's bytes must start at a multiple of 4",
    c"not a .drift file; make one with `driftlet quantize`",
    c"the file is torn or damaged; copy or quantize it again",
    c"the file has another version of the format; quantize again, or take the library of its version",
    c"the file needs what this build of the library leaves out; quantize to int8",
    c"the model makes no pictures; give a generator of pictures",
    c"the arena is too small; see arena_len in driftlet_about",
    c"the model does not have this class; see classes in driftlet_about",
    c"guidance is out of range; see guidance_min and guidance_max in driftlet_about",
    c"the position is above DRIFTLET_ONE",
    c"DRIFTLET_KERNEL names no kernels of this processor",
    c"the file cannot be read",
    c"the model keeps no whole picture; call driftlet_generate_lines, or quantize without --ram-limit",
];

impl From<ParseError> for Status {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Misaligned => Self::Misaligned,
            ParseError::NotDrift => Self::NotDrift,
            ParseError::Version { .. } => Self::OtherVersion,
            ParseError::NotBuilt { .. } => Self::NotBuilt,
            _ => Self::Damaged,
        }
    }
}

impl From<StartError> for Status {
    fn from(error: StartError) -> Self {
        match error {
            StartError::ArenaTooSmall { .. } => Self::ArenaTooSmall,
            StartError::NotAGenerator | StartError::NotANetwork => Self::NotAGenerator,
            StartError::MakesLines => Self::MakesLines,
            StartError::NoSuchKernels => Self::NoSuchKernels,
        }
    }
}

/// What a status means, for people; of every number, known or not.
#[unsafe(no_mangle)]
pub extern "C" fn driftlet_status_text(status: u32) -> *const c_char {
    TEXTS.get(status as usize).copied().unwrap_or(c"unknown status").as_ptr()
}
