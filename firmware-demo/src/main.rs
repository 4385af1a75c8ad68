//! One picture per class from a microcontroller without a heap, an operating system, or a float instruction. Rows are drawn
//! as they come: of a model that runs in bands (`driftlet quantize --ram-limit`) no whole picture is ever in memory.
#![no_std]
#![no_main]

use core::ops::ControlFlow;

use driftlet_runtime::{Aligned, Guidance, LineSampler, Model, Start, Step, View};
use firmware_demo::board::{self, entry};
use firmware_demo::text::{self, Hex};
use firmware_demo::{exit, memory};
use semihosting::println;
use sha2::{Digest, Sha256};
use static_cell::ConstStaticCell;

/// In flash, used in place.
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.drift")));

const ARENA_LEN: usize = include!(concat!(env!("OUT_DIR"), "/arena_len.rs"));

/// Seed of the first picture; the others follow.
const FIRST_SEED: u64 = 100;

/// Operators that `--bench` lists.
const MAX_OPS: usize = 64;

static ARENA: ConstStaticCell<Aligned<[u8; ARENA_LEN]>> = ConstStaticCell::new(Aligned([0; ARENA_LEN]));

#[entry]
fn main() -> ! {
    memory::paint_stack();
    exit(run())
}

fn run() -> Result<(), &'static str> {
    let model = Model::parse(&MODEL.0).map_err(|_| "the model is not valid")?;
    let arena = ARENA.try_take().ok_or("the arena is taken")?;
    let [_, width, channels] = model.image_shape().ok_or("the model makes no pictures")?;
    let mut counter = board::start().ok_or("the board is started already")?;
    let mut per_op = [0u64; MAX_OPS];
    let mut sampler = LineSampler::new(&model, &mut arena.0).map_err(|_| "the model does not start")?;
    let mut all = Sha256::new();
    let mut instructions = 0;
    let mut pictures = 0u64;
    while let Some(class) = model.class(pictures as u32).filter(|_| pictures < u64::from(model.classes().max(1))) {
        let seed = FIRST_SEED + pictures;
        let mut this = 0;
        let mut hash = Sha256::new();
        counter.restart();
        let observe = &mut |step: Step| {
            let count = counter.lap();
            this += count;
            if let Some(total) = per_op.get_mut(step.index as usize) {
                *total += count;
            }
            // Only pixels have this type.
            if let View::U8(rows) = step.output {
                for (row, pixels) in (step.row as usize..).zip(rows.chunks_exact(width * channels)) {
                    text::draw(row, pixels, channels);
                    hash.update(pixels);
                    all.update(pixels);
                }
                counter.restart();
            }
            ControlFlow::Continue(())
        };
        let done = sampler.generate_observed(Start::Seed(seed), class, Guidance::from_q8(256), observe);
        if done.is_break() {
            return Err("broken off");
        }
        println!("{}  seed {} class {} guidance 1", Hex(&hash.finalize()), seed, pictures);
        println!("{} instructions", this);
        instructions += this;
        pictures += 1;
    }
    println!("{}  all", Hex(&all.finalize()));
    if cfg!(feature = "bench") {
        for (i, count) in per_op.iter().enumerate().take(model.op_count() as usize) {
            let op = model.op_info(i as u32);
            println!("op {:2} {:20} {:9} MACs {:10} instructions", i, op.kind.name(), op.macs, count / pictures);
        }
    }
    let macs = model.macs();
    let memory = memory::report();
    let model_bytes = MODEL.0.len() as u32;
    let per_picture = instructions / pictures;
    println!("instructions per picture {} ({} per 100 MACs)", per_picture, per_picture * 100 / macs.max(1));
    println!("flash {} bytes: code and constants {}, model {}", memory.flash, memory.flash - model_bytes, model_bytes);
    println!(
        "RAM {} of {} bytes: arena {}, other statics {}, stack {}",
        memory.statics + memory.stack,
        memory.ram,
        ARENA_LEN,
        memory.statics - ARENA_LEN as u32,
        memory.stack
    );
    Ok(())
}
