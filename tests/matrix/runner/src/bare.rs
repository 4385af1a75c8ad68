//! Targets without an operating system: arguments, files and output come through the emulator (semihosting).

use core::ffi::CStr;

use driftlet_runtime::Kernels;
use semihosting::experimental::env::args;
use semihosting::fs::File;
use semihosting::io::Read;
use semihosting::{println, process};

use crate::memory::Memory;

#[cfg(target_arch = "arm")]
use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
use riscv_rt::entry;

/// Longest command line.
const ARGUMENTS: usize = 4096;
/// Longest path.
const PATH: usize = 256;

static mut MEMORY: Memory = Memory::new();

#[entry]
fn main() -> ! {
    // SAFETY: the program runs on one core without interrupts, and this is the only reference.
    let memory = unsafe { &mut *(&raw mut MEMORY) };
    match run(memory) {
        Ok(()) => process::exit(0),
        Err(problem) => {
            println!("{problem}");
            process::exit(1)
        }
    }
}

fn run(memory: &mut Memory) -> Result<(), &'static str> {
    let arguments = args::<ARGUMENTS>().map_err(|_| "the emulator gives no arguments")?;
    // The first is the program's name.
    let mut words = (&arguments).skip(1).map_while(Result::ok);
    let passes = words.next().and_then(|word| word.parse().ok()).ok_or("arguments: PASSES FILE...")?;
    for path in words {
        // The problem of a file comes behind its name.
        run_file(memory, path, passes).inspect_err(|_| println!("{path}:"))?;
    }
    Ok(())
}

fn run_file(memory: &mut Memory, path: &str, passes: u32) -> Result<(), &'static str> {
    let len = read(path, memory.file())?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".drift").unwrap_or(name);
    for kernels in Kernels::available() {
        println!("{}  {name} {}", memory.hash(kernels, len, passes)?, kernels.name());
    }
    Ok(())
}

/// Reads a file of the host's; returns its length.
fn read(path: &str, room: &mut [u8]) -> Result<usize, &'static str> {
    let mut terminated = [0; PATH];
    terminated.get_mut(..path.len()).ok_or("the path is too long")?.copy_from_slice(path.as_bytes());
    let path = CStr::from_bytes_until_nul(&terminated).map_err(|_| "the path is too long")?;
    let mut file = File::open(path).map_err(|_| "the file cannot be opened")?;
    let mut len = 0;
    while let count @ 1.. = file.read(&mut room[len..]).map_err(|_| "the file cannot be read")? {
        len += count;
    }
    Ok(len)
}
