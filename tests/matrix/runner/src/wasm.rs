//! WebAssembly: `wasm.mjs` puts a file into this memory and takes the hash out.

use crate::memory::Memory;

static mut MEMORY: Memory = Memory::new();
static mut RESULT: [u8; 32] = [0; 32];

/// Where the file goes.
#[unsafe(no_mangle)]
extern "C" fn file() -> *mut u8 {
    // SAFETY: one thread, and no reference outlives a call from outside.
    unsafe { (*(&raw mut MEMORY)).file().as_mut_ptr() }
}

/// Runs the file of so many bytes; where the hash is, or null if the model is refused.
#[unsafe(no_mangle)]
extern "C" fn hash(len: usize, passes: u32) -> *const u8 {
    // SAFETY: as in `file`.
    let (memory, result) = unsafe { (&mut *(&raw mut MEMORY), &mut *(&raw mut RESULT)) };
    match memory.hash(len, passes) {
        Ok(hash) => {
            *result = hash.0;
            result.as_ptr()
        }
        Err(_) => core::ptr::null(),
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
