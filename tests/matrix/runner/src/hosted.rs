//! Targets with an operating system.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use driftlet_runtime::Kernels;

use crate::memory::Memory;

pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let passes = arguments.next().ok_or("usage: runner PASSES FILE...")?.parse()?;
    let forced = std::env::var_os("DRIFTLET_KERNEL").is_some();
    let chosen = Kernels::chosen().ok_or("this processor has no kernels of the name in DRIFTLET_KERNEL")?;
    let mut memory = Box::new(Memory::new());
    for path in arguments {
        let named = |e: &dyn std::fmt::Display| format!("{path}: {e}");
        let mut file = std::fs::File::open(&path).map_err(|e| named(&e))?;
        let mut len = 0;
        while let read @ 1.. = file.read(&mut memory.file()[len..]).map_err(|e| named(&e))? {
            len += read;
        }
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy();
        for kernels in Kernels::available().filter(|kernels| !forced || *kernels == chosen) {
            let hash = memory.hash(kernels, len, passes).map_err(|e| named(&e))?;
            println!("{hash}  {name} {}", kernels.name());
        }
    }
    Ok(())
}
