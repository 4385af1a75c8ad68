//! Instructions of every operator of a model that the emulator has put into memory, without the limits of a chip: what the
//! estimates of `driftlet inspect --target` are fitted to, see `costs` beside `run`.
#![no_std]
#![no_main]

use core::ops::ControlFlow;

use driftlet_runtime::format::{HEADER_LEN, Header};
use driftlet_runtime::{Aligned, Guidance, LineSampler, Model, Start};
use firmware_demo::board::{self, entry};
use firmware_demo::{exit, memory};
use semihosting::println;
use static_cell::ConstStaticCell;

/// Where `-device loader` puts the model: memory of the board that no chip of its kind has.
const MODEL: *const u8 = if cfg!(target_arch = "riscv32") {
    0x8100_0000 as *const u8
} else if cfg!(helium) {
    0x2800_0000 as *const u8
} else {
    0x2100_0000 as *const u8
};

/// Its length at most.
const LONGEST: usize = 4 << 20;

static ARENA: ConstStaticCell<Aligned<[u8; 160 << 10]>> = ConstStaticCell::new(Aligned([0; 160 << 10]));

/// Operators that are listed.
const MAX_OPS: usize = 256;
/// Instructions of each; not on the stack, which is measured.
static COUNTS: ConstStaticCell<[u64; MAX_OPS]> = ConstStaticCell::new([0; MAX_OPS]);

#[entry]
fn main() -> ! {
    memory::paint_stack();
    exit(run())
}

fn run() -> Result<(), &'static str> {
    let mut counter = board::start().ok_or("the board is started already")?;
    // SAFETY: there the boards have more memory than this, which holds nothing else; bytes may have any value.
    let memory = unsafe { core::slice::from_raw_parts(MODEL, LONGEST) };
    let header: &[u8; HEADER_LEN] = memory.first_chunk().ok_or("no header")?;
    let file = memory.get(..Header::from_bytes(header).file_len as usize).ok_or("the file is too long")?;
    let model = Model::parse(file).map_err(|_| "this is no model")?;
    let arena = ARENA.try_take().ok_or("the arena is taken")?;
    let mut sampler = LineSampler::new(&model, &mut arena.0).map_err(|_| "the model does not start")?;
    let class = model.class(0).ok_or("no class")?;
    let counts = COUNTS.try_take().ok_or("the counts are taken")?;
    counter.restart();
    let done = sampler.generate_observed(Start::Seed(1), class, Guidance::from_q8(256), &mut |step| {
        let count = counter.lap();
        if let Some(total) = counts.get_mut(step.index as usize) {
            *total += count;
        }
        counter.restart();
        ControlFlow::Continue(())
    });
    if done.is_break() || model.op_count() as usize > MAX_OPS {
        return Err("more operators than are listed");
    }
    // Before anything is printed, which takes stack too.
    println!("stack {}", memory::report().stack);
    for (index, count) in counts.iter().enumerate().take(model.op_count() as usize) {
        println!("op {} {}", index, count);
    }
    Ok(())
}
