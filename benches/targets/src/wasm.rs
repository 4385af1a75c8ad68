//! WebAssembly: `wasm.mjs` puts a file into this memory and takes the time.

use driftlet_runtime::{Aligned, Guidance, Model, Sampler};

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

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
