//! The smallest firmware that makes a picture: nothing but the runtime, so that `../size` measures what it takes of flash. The
//! model lies in a part of flash of its own; pixels go to a display's register.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::ptr::{addr_of, addr_of_mut, with_exposed_provenance_mut};
use core::slice;

#[cfg(not(feature = "bands"))]
use driftlet_runtime::Sampler;
use driftlet_runtime::{Aligned, Guidance, Model};
#[cfg(feature = "bands")]
use driftlet_runtime::{LineSampler, Start};

/// That of the shipped model.
const ARENA_LEN: usize = 56_448;

static mut ARENA: Aligned<[u8; ARENA_LEN]> = Aligned([0; ARENA_LEN]);

/// Flash set aside for the model, by `smallest.ld`.
const MODEL_ROOM: usize = 512 << 10;

unsafe extern "C" {
    static model_file: u8;
}

/// Behind the stack's top in the vector table.
#[unsafe(link_section = ".vectors")]
#[used]
static RESET: extern "C" fn() -> ! = reset;

/// Statics are not cleared: the arena is the only one, and what it holds means nothing.
#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    // SAFETY: all of the model's flash is readable, and nothing writes it.
    let flash = unsafe { slice::from_raw_parts(addr_of!(model_file), MODEL_ROOM) };
    // SAFETY: this is the only use of the arena, and the processor comes here once.
    let arena = unsafe { &mut *addr_of_mut!(ARENA) };
    if picture(flash, &mut arena.0).is_none() {
        show(0);
    }
    loop {}
}

fn picture(flash: &[u8], arena: &mut [u8]) -> Option<()> {
    // A file says its own length.
    let len = u32::from_le_bytes(*flash.get(12..)?.first_chunk()?);
    let model = Model::parse(flash.get(..len as usize)?).ok()?;
    let (class, guidance) = (model.class(0)?, Guidance::from_q8(256));
    #[cfg(not(feature = "bands"))]
    Sampler::new(&model, arena).ok()?.generate(7, class, guidance).iter().copied().for_each(show);
    #[cfg(feature = "bands")]
    LineSampler::new(&model, arena)
        .ok()?
        .generate_lines(Start::Seed(7), class, guidance, &mut |_, row| row.iter().copied().for_each(show));
    Some(())
}

fn show(pixel: u8) {
    let display = with_exposed_provenance_mut::<u8>(0x4000_0000);
    // SAFETY: a register of a device; no memory lies there.
    unsafe { display.write_volatile(pixel) };
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    loop {}
}
