//! Targets without an operating system: arguments, files and output come through the emulator (semihosting).

use core::ffi::CStr;

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
        let hash = read(path, memory.file()).and_then(|len| memory.hash(len, passes));
        let name = path.rsplit('/').next().unwrap_or(path);
        match hash {
            Ok(hash) => println!("{hash}  {}", name.strip_suffix(".drift").unwrap_or(name)),
            Err(problem) => {
                println!("{name}: {problem}");
                return Err("broken off");
            }
        }
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
