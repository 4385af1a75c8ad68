//! Pictures.

use core::ffi::c_void;

use driftlet_runtime::{Class, Guidance, LineSampler, Sampler, Start};

use crate::model::{Model, Proved};
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

/// Takes a row of a picture: `pixels` are `[width, channels]`, a byte each, until it returns; `row` counts from 0 at the top; `context`
/// is what driftlet_generate_lines was given. It must return, neither throw nor jump away, and leave the arena alone.
pub type LineFunction = Option<unsafe extern "C" fn(context: *mut c_void, row: u32, pixels: *const u8)>;

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
    if pixels.is_null() {
        return Status::NullPointer;
    }
    // SAFETY: promised by the caller.
    let job = match unsafe { Job::new(model, arena, arena_len, request) } {
        Ok(job) => job,
        Err(status) => return status,
    };
    match Sampler::new(job.model, job.arena) {
        Err(error) => error.into(),
        Ok(mut sampler) => {
            let picture = sampler.generate_from(job.start, job.class, job.guidance);
            // SAFETY: room for a pointer, as the caller promises. The picture lies in the arena.
            unsafe { pixels.write(picture.as_ptr()) };
            Status::Ok
        }
    }
}

/// Makes a picture as driftlet_generate does, and calls `line` with each row of it, from the top, on the calling thread. It takes
/// every model, and is the only way for one that makes its picture a few rows at a time (`driftlet quantize --ram-limit`)
/// and never keeps the whole; others hand out their rows at the end.
///
/// # Safety
/// As driftlet_generate; `line` is null or does what its type says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn driftlet_generate_lines(
    model: *const Model,
    arena: *mut u8,
    arena_len: usize,
    request: *const Request,
    line: LineFunction,
    context: *mut c_void,
) -> Status {
    let Some(line) = line else { return Status::NullPointer };
    // SAFETY: promised by the caller.
    let job = match unsafe { Job::new(model, arena, arena_len, request) } {
        Ok(job) => job,
        Err(status) => return status,
    };
    match LineSampler::new(job.model, job.arena) {
        Err(error) => error.into(),
        Ok(mut sampler) => {
            sampler.generate_lines(job.start, job.class, job.guidance, &mut |row, pixels| {
                // SAFETY: the caller's function, with the caller's context, and pixels that live until it returns.
                unsafe { line(context, row as u32, pixels.as_ptr()) };
            });
            Status::Ok
        }
    }
}

/// A request that can be met.
struct Job<'j> {
    model: &'j Proved,
    arena: &'j mut [u8],
    start: Start<'static>,
    class: Class,
    guidance: Guidance,
}

impl<'j> Job<'j> {
    /// Checks a request.
    ///
    /// # Safety
    /// As [`driftlet_generate`], as long as the job lives.
    unsafe fn new(
        model: *const Model,
        arena: *mut u8,
        arena_len: usize,
        request: *const Request,
    ) -> Result<Self, Status> {
        // SAFETY: promised by the caller.
        let (Some(model), Some(request)) = (unsafe { model.as_ref() }, unsafe { request.as_ref() }) else {
            return Err(Status::NullPointer);
        };
        if arena.is_null() {
            return Err(Status::NullPointer);
        }
        // SAFETY: promised by the caller.
        let model: &'j Proved = unsafe { model.proved() };
        let (weakest, strongest) = model.guidance_range();
        if !(weakest.to_q16()..=strongest.to_q16()).contains(&request.guidance) {
            return Err(Status::GuidanceOutOfRange);
        }
        let class = model.class(request.class_index).ok_or(Status::NoSuchClass)?;
        let start = match u16::try_from(request.position) {
            Ok(0) => Start::Seed(request.seed),
            Ok(position) => Start::Between { from: request.seed, to: request.towards, position },
            Err(_) if request.position == DRIFTLET_ONE => Start::Seed(request.towards),
            Err(_) => return Err(Status::PositionOutOfRange),
        };
        // SAFETY: promised by the caller.
        let arena = unsafe { core::slice::from_raw_parts_mut(arena, arena_len) };
        Ok(Self { model, arena, start, class, guidance: Guidance::from_q16(request.guidance) })
    }
}
