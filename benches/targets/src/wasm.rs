//! WebAssembly: `wasm.mjs` puts a file into this memory and takes the time.

use core::ops::ControlFlow;

use driftlet_runtime::{Aligned, Guidance, Model, Sampler, Start};

#[link(wasm_import_module = "clock")]
unsafe extern "C" {
    /// Microseconds since some time.
    safe fn now() -> f64;
    /// Takes the time of an operator, and the name of its kind.
    fn spent(name: *const u8, len: usize, microseconds: f64);
}

static mut FILE: Aligned<[u8; 1 << 21]> = Aligned([0; 1 << 21]);
static mut ARENA: Aligned<[u8; 1 << 20]> = Aligned([0; 1 << 20]);

static mut PICTURE: [u8; 1 << 12] = [0; 1 << 12];

/// Where the file goes.
#[unsafe(no_mangle)]
extern "C" fn file() -> *mut u8 {
    (&raw mut FILE).cast()
}

/// Where the last picture is.
#[unsafe(no_mangle)]
extern "C" fn picture() -> *const u8 {
    (&raw const PICTURE).cast()
}

/// Makes so many pictures of the file of so many bytes; how many bytes the last one has, or 0 if the model is refused.
#[unsafe(no_mangle)]
extern "C" fn pictures(len: usize, count: u32) -> usize {
    // SAFETY: one thread, and no reference outlives a call from outside.
    let (file, arena, picture) = unsafe { (&*(&raw const FILE), &mut *(&raw mut ARENA), &mut *(&raw mut PICTURE)) };
    let Ok(model) = Model::parse(&file.0[..len]) else { return 0 };
    let Ok(mut sampler) = Sampler::new(&model, &mut arena.0) else { return 0 };
    let Some(class) = model.class(0) else { return 0 };
    for seed in 0..count {
        sampler.generate(seed.into(), class, Guidance::from_q8(256));
    }
    let pixels = sampler.picture();
    picture[..pixels.len()].copy_from_slice(pixels);
    pixels.len()
}

/// Makes a picture as [`pictures`] does, and reports the time of each operator.
#[unsafe(no_mangle)]
extern "C" fn operators(len: usize) {
    // SAFETY: as above.
    let (file, arena) = unsafe { (&*(&raw const FILE), &mut *(&raw mut ARENA)) };
    let Ok(model) = Model::parse(&file.0[..len]) else { return };
    let Ok(mut sampler) = Sampler::new(&model, &mut arena.0) else { return };
    let Some(class) = model.class(0) else { return };
    let mut before = now();
    sampler.generate_observed(Start::Seed(0), class, Guidance::from_q8(256), &mut |step| {
        let name = model.op_info(step.index).kind.name();
        // SAFETY: a string of such a length.
        unsafe { spent(name.as_ptr(), name.len(), now() - before) };
        before = now();
        ControlFlow::Continue(())
    });
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
