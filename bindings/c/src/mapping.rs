//! Files, mapped: a convenience where there is an operating system.

use core::ffi::{CStr, c_char};
use core::mem::{align_of, size_of};
use std::fs::File;

use memmap2::Mmap;

use crate::status::Status;

/// A mapped file: room that the caller gives, filled by driftlet_map. It must not be copied, and ends with driftlet_unmap.
#[repr(C)]
pub struct Mapping {
    /// Of no meaning to callers.
    opaque: [u64; 4],
}

// The room suffices.
const _: () = assert!(size_of::<Mmap>() <= size_of::<Mapping>() && align_of::<Mmap>() <= align_of::<Mapping>());

/// Maps a file of a name in UTF-8, and fills `mapping`. The file must not be cut short while it is mapped.
///
/// # Safety
/// `mapping` is null or room for one, `path` is null or ended by 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_map(mapping: *mut Mapping, path: *const c_char) -> Status {
    if mapping.is_null() || path.is_null() {
        return Status::NullPointer;
    }
    // SAFETY: promised by the caller.
    let Ok(path) = (unsafe { CStr::from_ptr(path) }).to_str() else { return Status::CannotRead };
    let Ok(file) = File::open(path) else { return Status::CannotRead };
    // SAFETY: nobody writes through the mapping. A file that is cut short meanwhile ends the program, as the header says, but
    // leads to no other memory.
    match unsafe { Mmap::map(&file) } {
        Err(_) => Status::CannotRead,
        Ok(mapped) => {
            // SAFETY: the room is the caller's, large and aligned enough for it.
            unsafe { mapping.cast::<Mmap>().write(mapped) };
            Status::Ok
        }
    }
}

/// The bytes of a mapped file, and in `*len` how many. Null if an argument is.
///
/// # Safety
/// `mapping` is null or was filled by driftlet_map, `len` is null or room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_mapped(mapping: *const Mapping, len: *mut usize) -> *const u8 {
    // SAFETY: promised by the caller.
    let (Some(mapped), false) = (unsafe { mapping.cast::<Mmap>().as_ref() }, len.is_null()) else {
        return core::ptr::null();
    };
    // SAFETY: room for a number, as the caller promises.
    unsafe { len.write(mapped.len()) };
    mapped.as_ptr()
}

/// Ends a mapping; models of it must not be used any more. Null is nothing to end.
///
/// # Safety
/// `mapping` is null or was filled by driftlet_map, and has not ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_unmap(mapping: *mut Mapping) {
    if !mapping.is_null() {
        // SAFETY: promised by the caller.
        unsafe { mapping.cast::<Mmap>().drop_in_place() };
    }
}
