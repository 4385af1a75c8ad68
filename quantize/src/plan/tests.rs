//! Random problems, and the best plans of tiny ones by brute force.

use super::layout::Layout;
use super::{InPlace, Plan, Value, aligned, bound, plan};

/// A linear congruential generator.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count
    }
}

/// Values of random lengths and lives. Operator `i` writes one of them, and perhaps needs working memory; where an operand
/// of the same length dies, it may be taken over.
fn problem(seed: u64, operators: usize) -> (Vec<Value>, Vec<InPlace>) {
    let mut random = Random(seed);
    let lens: Vec<usize> = (0..4).map(|_| 1 + random.below(2000)).collect();
    let (mut values, mut permitted): (Vec<Value>, Vec<InPlace>) = (Vec::new(), Vec::new());
    for first in 0..operators {
        let longest = if random.below(4) == 0 { operators } else { 4 };
        let life = random.below(longest);
        let value = Value { len: lens[random.below(lens.len())], first, last: (first + life).min(operators) };
        let dying = values.iter().enumerate().filter(|(_, v)| v.first < first && v.last == first && v.len == value.len);
        let operands: Vec<usize> = dying.map(|(operand, _)| operand).take(2).collect();
        permitted.extend(operands.into_iter().map(|operand| InPlace { output: values.len(), operand }));
        values.push(value);
        if random.below(5) == 0 {
            values.push(Value { len: 1 + random.below(3000), first, last: first });
        }
    }
    (values, permitted)
}

/// What the runtime's proof asks of a plan.
fn check(values: &[Value], permitted: &[InPlace], plan: &Plan) {
    let end = |v: usize| plan.offsets[v] + values[v].len;
    assert_eq!(plan.offsets.len(), values.len());
    assert_eq!((0..values.len()).map(end).max(), Some(plan.arena));
    assert!(plan.arena >= plan.bound, "{plan:?}");
    for (b, value) in values.iter().enumerate() {
        assert_eq!(plan.offsets[b], aligned(plan.offsets[b]));
        for (a, other) in values.iter().enumerate().take(b) {
            let together = value.first <= other.last && other.first <= value.last;
            if together && plan.offsets[a] < end(b) && plan.offsets[b] < end(a) {
                assert!(permitted.iter().any(|p| (p.operand, p.output) == (a, b)), "{a} and {b} overlap in {plan:?}");
                assert_eq!(plan.offsets[a], plan.offsets[b]);
            }
        }
    }
}

#[test]
fn plans_are_admissible_repeatable_and_near_the_bound() {
    let (mut sum, mut bounds) = (0.0, 0.0);
    for seed in 0..300 {
        let (values, permitted) = problem(seed, 1 + seed as usize % 40);
        let plan = plan(&values, &permitted);
        check(&values, &permitted, &plan);
        assert_eq!(plan, super::plan(&values, &permitted));
        assert!(plan.arena <= super::plan(&values, &[]).arena, "taking over makes seed {seed} worse");
        (sum, bounds) = (sum + plan.arena as f64, bounds + plan.bound as f64);
    }
    assert!(sum < 1.01 * bounds, "{}", sum / bounds);
}

#[test]
fn tiny_problems_have_the_best_plan() {
    for seed in 0..400 {
        let (values, permitted) = problem(seed, 1 + seed as usize % 6);
        if values.len() <= 7 {
            let plan = plan(&values, &permitted);
            assert_eq!(plan.arena, brute_force(&values, &permitted), "seed {seed}");
        }
    }
}

#[test]
fn where_the_bound_is_out_of_reach_the_plan_is_the_best() {
    let lives = [(3, 1, 2), (3, 4, 8), (3, 6, 6), (3, 1, 7), (1, 1, 8), (2, 3, 5), (2, 2, 5), (2, 2, 3), (3, 0, 1)];
    let values = lives.map(|(len, first, last)| Value { len: 64 * len, first, last });
    let plan = plan(&values, &[]);
    check(&values, &[], &plan);
    assert_eq!((plan.arena, plan.bound), (brute_force(&values, &[]), 704));
    assert!(plan.arena > plan.bound);
}

/// The smallest arena of all decisions and orders.
fn brute_force(values: &[Value], permitted: &[InPlace]) -> usize {
    let mut best = usize::MAX;
    for mask in 0..1u32 << permitted.len() {
        let mut takes = vec![None; values.len()];
        let chosen = permitted.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        for (_, p) in chosen {
            takes[p.output] = Some(p.operand);
        }
        each_order(&mut (0..values.len()).collect(), 0, &mut |order| {
            let layout = Layout { takes: takes.clone(), order: order.to_vec() };
            best = best.min(layout.place(values).1);
        });
    }
    best
}

fn each_order(order: &mut Vec<usize>, from: usize, visit: &mut dyn FnMut(&[usize])) {
    if from == order.len() {
        return visit(order);
    }
    for i in from..order.len() {
        order.swap(from, i);
        each_order(order, from + 1, visit);
        order.swap(from, i);
    }
}

#[test]
fn a_chain_in_place_is_one_block() {
    let len = 1000;
    let values: Vec<Value> = (0..20).map(|i| Value { len, first: i, last: i + 1 }).collect();
    let permitted: Vec<InPlace> = (1..20).map(|output| InPlace { output, operand: output - 1 }).collect();
    let plan = plan(&values, &permitted);
    check(&values, &permitted, &plan);
    assert_eq!((plan.arena, plan.bound, &plan.offsets), (len, len, &vec![0; 20]));
    assert_eq!(super::plan(&values, &[]).arena, 1024 + len);
}

#[test]
fn an_operand_is_taken_over_by_its_result_alone() {
    // Two operands die where a result is born: one of them keeps its place to itself.
    let values = [(0, 2), (1, 2), (2, 3)].map(|(first, last)| Value { len: 64, first, last });
    let permitted = [0, 1].map(|operand| InPlace { output: 2, operand });
    let plan = plan(&values, &permitted);
    check(&values, &permitted, &plan);
    assert_eq!((plan.arena, plan.bound, plan.bound_op), (128, 128, 1));
}

#[test]
fn the_bound_counts_what_is_alive() {
    // Lengths are rounded up to 64, but for the topmost value; the third takes over the second.
    let values = [(10, 0, 4), (100, 1, 2), (100, 2, 3)].map(|(len, first, last)| Value { len, first, last });
    let permitted = [InPlace { output: 2, operand: 1 }];
    assert_eq!(bound::bound(&values, &permitted), (64 + 128 - 54, 1));
    assert_eq!(bound::bound(&values, &[]), (64 + 2 * 128 - 54, 2));
    assert_eq!(bound::bound(&[], &[]), (0, 0));
}

#[test]
fn no_values_need_no_memory() {
    assert_eq!(plan(&[], &[]), Plan { offsets: vec![], arena: 0, bound: 0, bound_op: 0 });
}
