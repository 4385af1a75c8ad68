//! A proved file.

use core::mem::{align_of, size_of};

#[cfg(feature = "std")]
use core::ffi::c_char;

use crate::status::Status;

/// A proved file: room that the caller gives, filled by driftlet_open. It owns nothing and needs no end; copies of it are as
/// good.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Model {
    /// Of no meaning to callers.
    opaque: [u64; 32],
}

/// What is inside a [`Model`].
pub(crate) type Proved = driftlet_runtime::Model<'static>;

// The room suffices.
const _: () = assert!(size_of::<Proved>() <= size_of::<Model>() && align_of::<Proved>() <= align_of::<Model>());

impl Model {
    /// The proved file.
    ///
    /// # Safety
    /// `self` was filled by [`driftlet_open`], and the bytes of the file are where they were, unchanged.
    pub(crate) unsafe fn proved(&self) -> &Proved {
        // SAFETY: the room holds a proved file, as the caller promises, and has its size and alignment.
        unsafe { &*self.opaque.as_ptr().cast() }
    }
}

/// What a model needs and makes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct About {
    /// Bytes of working memory that driftlet_generate needs, from an address that is a multiple of 16.
    arena_len: usize,
    /// Rows of a picture.
    height: u32,
    /// Columns of a picture.
    width: u32,
    /// Bytes of a pixel: 1 is grey, 3 are red, green, blue.
    channels: u32,
    /// Number of classes; 0 if it takes none.
    classes: u32,
    /// Least guidance, in 1/65536.
    guidance_min: u32,
    /// Largest guidance, in 1/65536.
    guidance_max: u32,
}

/// Proves a file of `file_len` bytes and fills `model`. `file` must start at a multiple of 4, better of 64, and stay where it is,
/// unchanged, as long as the model is used.
///
/// # Safety
/// `model` is null or room for one, `file` null or the start of `file_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_open(model: *mut Model, file: *const u8, file_len: usize) -> Status {
    if model.is_null() || file.is_null() {
        return Status::NullPointer;
    }
    // SAFETY: promised by the caller, who also keeps the bytes as long as the model is used.
    let file: &'static [u8] = unsafe { core::slice::from_raw_parts(file, file_len) };
    match Proved::parse(file) {
        Err(error) => error.into(),
        Ok(proved) if proved.image_shape().is_none() => Status::NotAGenerator,
        Ok(proved) => {
            // SAFETY: the room is the caller's, large and aligned enough for it.
            unsafe { model.cast::<Proved>().write(proved) };
            Status::Ok
        }
    }
}

/// Whether the weights are those that were written: reads the whole file.
///
/// # Safety
/// `model` is null or was filled by driftlet_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_verify_weights(model: *const Model) -> Status {
    // SAFETY: promised by the caller.
    let Some(model) = (unsafe { model.as_ref() }) else { return Status::NullPointer };
    // SAFETY: promised by the caller.
    if unsafe { model.proved() }.verify_weights() { Status::Ok } else { Status::Damaged }
}

/// Tells what a model needs and makes.
///
/// # Safety
/// `model` is null or was filled by driftlet_open, `about` is null or room for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_about_model(model: *const Model, about: *mut About) -> Status {
    // SAFETY: promised by the caller.
    let (Some(model), false) = (unsafe { model.as_ref() }, about.is_null()) else { return Status::NullPointer };
    // SAFETY: promised by the caller.
    let model = unsafe { model.proved() };
    let [height, width, channels] = model.image_shape().unwrap_or_default().map(|length| length as u32);
    let (weakest, strongest) = model.guidance_range();
    let filled = About {
        arena_len: model.arena_len(),
        height,
        width,
        channels,
        classes: model.classes(),
        guidance_min: weakest.to_q16(),
        guidance_max: strongest.to_q16(),
    };
    // SAFETY: room for one, as the caller promises.
    unsafe { about.write(filled) };
    Status::Ok
}

/// What the quantizer wrote about a model, names of classes among it: JSON of `*len` bytes within the file, not ended by 0. Null
/// if an argument is.
///
/// # Safety
/// `model` is null or was filled by driftlet_open, `len` is null or room for a number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_metadata(model: *const Model, len: *mut usize) -> *const u8 {
    // SAFETY: promised by the caller.
    let (Some(model), false) = (unsafe { model.as_ref() }, len.is_null()) else { return core::ptr::null() };
    // SAFETY: promised by the caller.
    let metadata = unsafe { model.proved() }.metadata();
    // SAFETY: room for a number, as the caller promises.
    unsafe { len.write(metadata.len()) };
    metadata.as_ptr()
}

/// Says in full why driftlet_open refuses a file: which field of which record is wrong, and what to do. Writes at most `text_len`
/// bytes, the last of which is 0, and returns the length of the whole text without that. 0 if there is nothing to say.
///
/// # Safety
/// `file` is null or the start of `file_len` bytes, `text` null or room for `text_len`.
#[cfg(feature = "std")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_explain(
    file: *const u8,
    file_len: usize,
    text: *mut c_char,
    text_len: usize,
) -> usize {
    if file.is_null() || text.is_null() {
        return 0;
    }
    // SAFETY: promised by the caller.
    let file = unsafe { core::slice::from_raw_parts(file, file_len) };
    // SAFETY: promised by the caller.
    let out = unsafe { core::slice::from_raw_parts_mut(text.cast::<u8>(), text_len) };
    let mut text = Text { out, len: 0 };
    if let Err(error) = driftlet_runtime::Model::parse(file) {
        // Writing into memory does not fail.
        let _ = core::fmt::write(&mut text, format_args!("{error}"));
    }
    if let Some(end) = text.out.len().checked_sub(1) {
        text.out[end.min(text.len)] = 0;
    }
    text.len
}

/// Text in the caller's memory, cut where that ends.
#[cfg(feature = "std")]
struct Text<'t> {
    out: &'t mut [u8],
    /// Of the whole text.
    len: usize,
}

#[cfg(feature = "std")]
impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let room = self.out.get_mut(self.len..).unwrap_or_default();
        room.iter_mut().zip(part.bytes()).for_each(|(place, byte)| *place = byte);
        self.len += part.len();
        Ok(())
    }
}
