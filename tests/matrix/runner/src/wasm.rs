//! WebAssembly: `wasm.mjs` puts a file into this memory and takes the hash out.

use driftlet_runtime::Kernels;

use crate::memory::Memory;

static mut MEMORY: Memory = Memory::new();
static mut RESULT: [u8; 32] = [0; 32];

/// Where the file goes.
#[unsafe(no_mangle)]
extern "C" fn file() -> *mut u8 {
    // SAFETY: one thread, and no reference outlives a call from outside.
    unsafe { (*(&raw mut MEMORY)).file().as_mut_ptr() }
}

/// Runs the file of so many bytes with the kernels of an index; where the hash is, or null if the model is refused.
#[unsafe(no_mangle)]
extern "C" fn hash(index: usize, len: usize, passes: u32) -> *const u8 {
    // SAFETY: as in `file`.
    let (memory, result) = unsafe { (&mut *(&raw mut MEMORY), &mut *(&raw mut RESULT)) };
    let hash = Kernels::available().nth(index).and_then(|kernels| memory.hash(kernels, len, passes).ok());
    let Some(hash) = hash else { return core::ptr::null() };
    *result = hash.0;
    result.as_ptr()
}

/// Where the name of the kernels of an index is; null if there are no more.
#[unsafe(no_mangle)]
extern "C" fn name(index: usize) -> *const u8 {
    Kernels::available().nth(index).map_or(core::ptr::null(), |kernels| kernels.name().as_ptr())
}

/// Length of this name.
#[unsafe(no_mangle)]
extern "C" fn name_len(index: usize) -> usize {
    Kernels::available().nth(index).map_or(0, |kernels| kernels.name().len())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
