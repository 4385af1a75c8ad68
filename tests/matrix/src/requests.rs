//! What a model is asked for: seeds over all 64 bits, the ways between them, given noise of the largest magnitude; every class
//! and the whole range of guidance, and beyond its strong end.

use driftlet_runtime::{Class, GivenNoise, Guidance, Model, Start};

/// Given noise begins at one of so many places of the pattern.
const PLACES: usize = 64;
/// Largest noise that is given whole; the rest of a larger one is 0.
const LONGEST: usize = 1024;

/// Numbers at both ends of their range, and zeros, without a visible order.
static EXTREMES: [i8; PLACES + LONGEST] = extremes();

/// Styles of given starts; too large ones mean the largest.
static STYLES: [u32; 8] = [0, 2, 1, 4, u32::MAX, 3, 0, 1];

/// The pass with an index. Every model has the class that it asks for.
pub fn request(model: &Model, index: u32) -> Option<(Start<'static>, Class, Guidance)> {
    // An odd number from the golden ratio: neighbouring seeds differ in many bits.
    let seed = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let start = match index % 4 {
        0 | 1 => Start::Seed(seed),
        2 => Start::Between { from: seed, to: !seed, position: (index * 9973) as u16 },
        _ => {
            let place = (index / 4) as usize % PLACES;
            let styles = &STYLES[(index / 4) as usize % STYLES.len()..];
            Start::Given { noise: GivenNoise::Steps(&EXTREMES[place..][..LONGEST]), styles }
        }
    };
    let class = model.class(index % model.classes().max(1))?;
    let (weakest, strongest) = model.guidance_range();
    let (weakest, strongest) = (u32::from(weakest.to_q8()), u32::from(strongest.to_q8()));
    // Twelve strengths that share no rhythm with the starts; the last lies beyond the range.
    let strength = weakest + (strongest - weakest) * (index * 7 % 12) / 10;
    Some((start, class, Guidance::from_q8(strength as u16)))
}

const fn extremes() -> [i8; PLACES + LONGEST] {
    let mut numbers = [0; PLACES + LONGEST];
    let (mut state, mut i) = (1u32, 0);
    while i < numbers.len() {
        // Numerical Recipes' generator.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        numbers[i] = [127, -127, 127, -127, 0, 90, -90, 1][(state >> 29) as usize];
        i += 1;
    }
    numbers
}
