//! The memory plan: where in the arena each value lies, so that no two values that live at the same time overlap.

use driftlet_runtime::format::ALIGN;

use crate::program::Program;

/// When and where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Operator that writes it.
    pub first: usize,
    /// Last operator that reads it, or the number of operators for results.
    pub last: usize,
    /// First byte in the arena.
    pub offset: usize,
    /// Bytes.
    len: usize,
}

/// Places every value, the largest first, each at the lowest offset that is free during its whole life. Returns the
/// places in order of values, and the length of the arena.
pub fn plan(program: &Program) -> (Vec<Place>, usize) {
    let mut places = lives(program);
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&v| (usize::MAX - places[v].len, v));
    for (done, &value) in order.iter().enumerate() {
        let neighbours: Vec<Place> = order[..done]
            .iter()
            .map(|&v| places[v])
            .filter(|other| places[value].first <= other.last && other.first <= places[value].last)
            .collect();
        places[value].offset = lowest_gap(neighbours, places[value].len);
    }
    // Not rounded up: the arena's end needs no alignment.
    let arena = places.iter().map(|p| p.offset + p.len).max().unwrap_or(0);
    (places, arena)
}

/// The lowest aligned offset where `len` bytes overlap none of the places.
fn lowest_gap(mut taken: Vec<Place>, len: usize) -> usize {
    taken.sort_by_key(|p| p.offset);
    let mut offset = 0;
    for place in taken {
        if offset + len <= place.offset {
            break;
        }
        offset = offset.max((place.offset + place.len).next_multiple_of(ALIGN as usize));
    }
    offset
}

fn lives(program: &Program) -> Vec<Place> {
    let mut places: Vec<Place> =
        program.values.iter().map(|v| Place { first: 0, last: 0, offset: 0, len: v.bytes() }).collect();
    for (index, op) in program.ops.iter().enumerate() {
        let output = &mut places[op.output as usize];
        (output.first, output.last) = (index, index);
        for source in [op.input, op.residual] {
            if let Some(place) = places.get_mut(source as usize) {
                place.last = index;
            }
        }
    }
    for result in [Some(program.output), program.pixels, program.features].into_iter().flatten() {
        places[result].last = program.ops.len();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: usize, len: usize) -> Place {
        Place { first: 0, last: 9, offset, len }
    }

    #[test]
    fn gaps_are_found_and_aligned() {
        assert_eq!(lowest_gap(vec![], 10), 0);
        assert_eq!(lowest_gap(vec![place(0, 65)], 10), 128);
        assert_eq!(lowest_gap(vec![place(192, 10), place(0, 64)], 128), 64);
        assert_eq!(lowest_gap(vec![place(192, 10), place(0, 64)], 129), 256);
        // A place inside another must not lower the mark.
        assert_eq!(lowest_gap(vec![place(0, 640), place(64, 64)], 1), 640);
    }
}
