//! Looks for the layout with the smallest arena: first in orders that are known to be good, then by small changes of the
//! best so far.

use std::cmp::Reverse;

use super::layout::Layout;
use super::{InPlace, Value, aligned};

/// Most layouts tried.
const TRIALS: usize = 20_000;
/// Most comparisons of two values, over all trials: a fraction of a second.
const COMPARISONS: usize = 100_000_000;

/// Offsets and arena of the best layout found; the search ends where the arena is no larger than `bound`.
pub fn best(values: &[Value], permitted: &[InPlace], bound: usize) -> (Vec<usize>, usize) {
    let choices = choices(values, permitted);
    let trials = TRIALS.min(COMPARISONS / (values.len() * values.len() / 2).max(1)).max(1);
    let mut search = Search { values, bound, trials, layout: None, offsets: Vec::new(), arena: usize::MAX };
    for takes in take_overs(values, &choices, bound) {
        for order in orders(values) {
            if !search.done() {
                search.attempt(&Layout { takes: takes.clone(), order });
            }
        }
    }
    let mut random = Random(1);
    let mut current = search.layout.clone().map(|layout| (layout, search.arena));
    while let Some((layout, arena)) = current.as_mut().filter(|_| !search.done()) {
        let mut next = layout.clone();
        random.change(&mut next, &choices);
        let next_arena = search.attempt(&next);
        if next_arena <= *arena {
            (*layout, *arena) = (next, next_arena);
        }
    }
    (search.offsets, search.arena)
}

/// The best layout so far.
struct Search<'p> {
    values: &'p [Value],
    bound: usize,
    trials: usize,
    layout: Option<Layout>,
    offsets: Vec<usize>,
    arena: usize,
}

impl Search<'_> {
    fn done(&self) -> bool {
        self.trials == 0 || self.arena <= self.bound
    }

    /// The arena of a layout, which is kept if it is smaller than those before.
    fn attempt(&mut self, layout: &Layout) -> usize {
        self.trials -= 1;
        let (offsets, arena) = layout.place(self.values);
        if arena < self.arena {
            (self.layout, self.offsets, self.arena) = (Some(layout.clone()), offsets, arena);
        }
        arena
    }
}

/// What a result may take over.
struct Choice {
    output: usize,
    operands: Vec<usize>,
}

fn choices(values: &[Value], permitted: &[InPlace]) -> Vec<Choice> {
    let operands = |output| permitted.iter().filter(move |p| p.output == output).map(|p| p.operand).collect();
    let choices = (0..values.len()).map(|output| Choice { output, operands: operands(output) });
    choices.filter(|choice| !choice.operands.is_empty()).collect()
}

/// Decisions to begin with. Taking over saves bytes where both values live, but a place for both lives is harder to find:
/// what is taken over everywhere comes first, what is taken over only where the bound asks for it comes last.
fn take_overs(values: &[Value], choices: &[Choice], bound: usize) -> [Vec<Option<usize>>; 3] {
    let decide = |pick: &dyn Fn(&Choice) -> Option<usize>| {
        let mut takes = vec![None; values.len()];
        for choice in choices {
            takes[choice.output] = pick(choice);
        }
        takes
    };
    let apart =
        |op: usize| -> usize { values.iter().filter(|v| v.first <= op && op <= v.last).map(|v| aligned(v.len)).sum() };
    [
        decide(&|choice| choice.operands.first().copied()),
        decide(&|choice| choice.operands.last().copied()),
        decide(&|choice| choice.operands.first().copied().filter(|_| apart(values[choice.output].first) > bound)),
    ]
}

/// Orders to begin with: what is hard to place goes first.
fn orders(values: &[Value]) -> [Vec<usize>; 5] {
    let life = |v: usize| values[v].last - values[v].first + 1;
    let len = |v: usize| values[v].len;
    let sorted = |key: &dyn Fn(usize) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by_key(|&v| (Reverse(key(v)), v));
        order
    };
    [
        sorted(&|v| (len(v), life(v))),
        sorted(&|v| (len(v) * life(v), 0)),
        sorted(&|v| (life(v), len(v))),
        sorted(&|v| (len(v), values[v].first)),
        (0..values.len()).collect(),
    ]
}

/// A generator of its own (xorshift), so that a plan never changes with a library.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % count
    }

    /// Changes a layout: mostly in one place, now and then in many.
    fn change(&mut self, layout: &mut Layout, choices: &[Choice]) {
        loop {
            if !choices.is_empty() && self.below(4) == 0 {
                let choice = &choices[self.below(choices.len())];
                layout.takes[choice.output] = choice.operands.get(self.below(choice.operands.len() + 1)).copied();
            } else {
                let value = layout.order.remove(self.below(layout.order.len()));
                let at = self.below(layout.order.len() + 1);
                layout.order.insert(at, value);
            }
            if self.below(2) == 0 {
                return;
            }
        }
    }
}
