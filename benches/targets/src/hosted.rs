//! Targets with an operating system.

use driftlet_runtime::{Guidance, Kernels, Model, Sampler};

/// Without a count it names the kernels that this processor has.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kernels, count, path] = arguments.as_slice() else {
        Kernels::available().for_each(|kernels| println!("{}", kernels.name()));
        return Ok(());
    };
    let kernels = Kernels::named(kernels).ok_or("no such kernels on this processor")?;
    let file = std::fs::read(path)?;
    // The file's tables want their alignment.
    let mut room = vec![0; file.len() + ALIGN];
    let start = room.as_ptr().align_offset(ALIGN);
    let bytes = &mut room[start..start + file.len()];
    bytes.copy_from_slice(&file);
    let model = Model::parse(bytes)?;
    let mut arena = vec![0; model.arena_len() + ALIGN];
    let mut sampler = Sampler::new(&model, &mut arena)?;
    sampler.set_kernels(kernels);
    let class = model.class(0).ok_or("no class")?;
    for seed in 0..count.parse()? {
        sampler.generate(seed, class, Guidance::from_q8(256));
    }
    Ok(())
}

/// What a file and an arena are aligned to.
const ALIGN: usize = 64;
