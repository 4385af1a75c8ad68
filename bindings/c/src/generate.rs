//! Pictures.

use driftlet_runtime::{Guidance, Sampler, Start};

use crate::model::Model;
use crate::status::Status;

/// 1 in the fixed point of guidance and positions.
pub const DRIFTLET_ONE: u32 = 65536;

/// Which picture to make.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Request {
    /// Names the noise that the picture starts from.
    seed: u64,
    /// Another seed, which counts if `position` is not 0.
    towards: u64,
    /// How much of the way from `seed` to `towards`, from 0 to DRIFTLET_ONE.
    position: u32,
    /// The class by number; 0 for a model without classes.
    class_index: u32,
    /// Strength of guidance in 1/65536, from guidance_min to guidance_max: DRIFTLET_ONE is 1.
    guidance: u32,
}

/// Makes a picture in `arena`, of `arena_len` bytes from an address that is a multiple of 16, or 15 more from any address. `*pixels`
/// then points to it there: `[height, width, channels]` row by row, a byte each, until the arena is used again.
///
/// # Safety
/// `model` is null or was filled by driftlet_open; `arena` is null or `arena_len` bytes that nobody else uses meanwhile;
/// `request` is null or valid; `pixels` is null or room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_generate(
    model: *const Model,
    arena: *mut u8,
    arena_len: usize,
    request: *const Request,
    pixels: *mut *const u8,
) -> Status {
    // SAFETY: promised by the caller.
    let (Some(model), Some(request)) = (unsafe { model.as_ref() }, unsafe { request.as_ref() }) else {
        return Status::NullPointer;
    };
    if arena.is_null() || pixels.is_null() {
        return Status::NullPointer;
    }
    // SAFETY: promised by the caller.
    let model = unsafe { model.proved() };
    let (weakest, strongest) = model.guidance_range();
    if !(weakest.to_q16()..=strongest.to_q16()).contains(&request.guidance) {
        return Status::GuidanceOutOfRange;
    }
    let Some(class) = model.class(request.class_index) else { return Status::NoSuchClass };
    let start = match u16::try_from(request.position) {
        Ok(0) => Start::Seed(request.seed),
        Ok(position) => Start::Between { from: request.seed, to: request.towards, position },
        Err(_) if request.position == DRIFTLET_ONE => Start::Seed(request.towards),
        Err(_) => return Status::PositionOutOfRange,
    };
    // SAFETY: promised by the caller.
    let arena = unsafe { core::slice::from_raw_parts_mut(arena, arena_len) };
    match Sampler::new(model, arena) {
        Err(error) => error.into(),
        Ok(mut sampler) => {
            let picture = sampler.generate_from(start, class, Guidance::from_q16(request.guidance));
            // SAFETY: room for a pointer, as the caller promises. The picture lies in the arena.
            unsafe { pixels.write(picture.as_ptr()) };
            Status::Ok
        }
    }
}
