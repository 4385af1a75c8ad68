//! A picture beside a task with a deadline, by embassy's executor: the picture is made in pieces, and between them the executor
//! lets the other task run. Made once by whole operators, which come too late, and once in pieces of a few rows.
#![no_std]
#![no_main]

mod clock;

use driftlet_runtime::{Aligned, Guidance, LineSampler, Model, Start, View};
use embassy_executor::{Executor, Spawner};
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer};
use firmware_demo::board::{self, entry};
use firmware_demo::text::Hex;
use firmware_demo::{exit, memory};
use portable_atomic::{AtomicU32, Ordering};
use semihosting::println;
use sha2::{Digest, Sha256};
use static_cell::{ConstStaticCell, StaticCell};

/// In flash, used in place.
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/model.drift")));
const ARENA_LEN: usize = include!(concat!(env!("OUT_DIR"), "/arena_len.rs"));
static ARENA: ConstStaticCell<Aligned<[u8; ARENA_LEN]>> = ConstStaticCell::new(Aligned([0; ARENA_LEN]));

/// Multiply-accumulates of a piece: for the shipped model, a row of its largest operators.
const PIECE: u32 = 50_000;
/// How often the other task has to run: every 500,000 instructions, since one takes a virtual nanosecond.
const PERIOD: Duration = Duration::from_micros(500);

/// What the other task has seen since the last picture.
static RUNS: AtomicU32 = AtomicU32::new(0);
static MISSED: AtomicU32 = AtomicU32::new(0);

#[entry]
fn main() -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    memory::paint_stack();
    let Some(peripherals) = board::peripherals() else { exit(Err("the peripherals are taken")) };
    clock::start(peripherals.SYST);
    EXECUTOR.init(Executor::new()).run(|spawner| {
        if start(&spawner).is_err() {
            exit(Err("a task does not start"));
        }
    })
}

fn start(spawner: &Spawner) -> Result<(), embassy_executor::SpawnError> {
    let deadline = deadline()?;
    // Before the picture, if both can run.
    deadline.metadata().set_priority(1);
    spawner.spawn(deadline);
    spawner.spawn(pictures()?);
    Ok(())
}

/// Has to run once a period, before the next begins.
#[embassy_executor::task]
async fn deadline() {
    let mut due = Instant::now() + PERIOD;
    loop {
        Timer::at(due).await;
        RUNS.add(1, Ordering::Relaxed);
        // Periods that went by without a run.
        while Instant::now() >= due + PERIOD {
            MISSED.add(1, Ordering::Relaxed);
            due += PERIOD;
        }
        due += PERIOD;
    }
}

#[embassy_executor::task]
async fn pictures() {
    exit(make_pictures().await)
}

async fn make_pictures() -> Result<(), &'static str> {
    let model = Model::parse(&MODEL.0).map_err(|_| "the model is not valid")?;
    let arena = ARENA.try_take().ok_or("the arena is taken")?;
    let mut sampler = LineSampler::new(&model, &mut arena.0).map_err(|_| "the model does not start")?;
    let class = model.class(0).ok_or("no class")?;
    for (limit, name) in [(u32::MAX, "whole operators"), (PIECE, "pieces")] {
        RUNS.store(0, Ordering::Relaxed);
        MISSED.store(0, Ordering::Relaxed);
        let (mut longest, mut count, mut hash) = (0, 0, Sha256::new());
        let mut pieces = sampler.start(Start::Seed(100), class, Guidance::from_q8(256), limit);
        loop {
            let begin = clock::instructions();
            let Some(step) = pieces.step() else { break };
            longest = longest.max(clock::instructions() - begin);
            count += 1;
            if let View::U8(rows) = step.output {
                hash.update(rows);
            }
            yield_now().await;
        }
        let (runs, missed) = (RUNS.load(Ordering::Relaxed), MISSED.load(Ordering::Relaxed));
        println!("{}  seed 100 class 0 guidance 1", Hex(&hash.finalize()));
        println!("{}: {} of them, the longest {} instructions", name, count, longest);
        println!("{}: the other task ran {} times, missed deadlines {}", name, runs, missed);
    }
    let memory = memory::report();
    println!("RAM: arena {}, other statics {}, stack {}", ARENA_LEN, memory.statics - ARENA_LEN as u32, memory.stack);
    Ok(())
}
