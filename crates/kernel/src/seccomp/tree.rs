//! Spans as instructions: a binary tree of "number ≥ start?" down to leaves, each a short chain of "number = n?". A number
//! that differs from its surroundings costs one instruction in a chain and two in the tree, so the leaves are chosen to
//! make the whole smallest. Then the outcomes: argument tests of two 32-bit words each.

use super::assemble::{Assembler, Jump, Target};
use super::compile::NUMBER;
use super::policy::{Comparison, Test};
use super::spans::{Outcome, Span};
use super::syscall::X32_BIT;

/// `seccomp_data.args` (linux/seccomp.h).
const ARGUMENTS: u32 = 16;

/// How many single numbers a leaf may ask for, one after the other.
const CHAIN_MAX: usize = 3;

#[derive(Default)]
pub(super) struct Writer<'a> {
    pub assembler: Assembler,
    /// Where outcomes stand that are more than a return, to be shared by all numbers that have them.
    blocks: Vec<(Outcome<'a>, Target)>,
}

/// Spans from `first` up to `end` as one leaf: every second one, beginning with `background`, has the same outcome, the
/// others are single numbers.
struct Leaf {
    first: usize,
    end: usize,
    background: usize,
}

impl<'a> Writer<'a> {
    /// Decides by the number, which must have been loaded. `spans` is not empty.
    pub fn tree(&mut self, spans: &[Span<'a>]) -> Target {
        let leaves = leaves(spans);
        self.subtree(spans, &leaves)
    }

    fn subtree(&mut self, spans: &[Span<'a>], leaves: &[Leaf]) -> Target {
        if let [leaf] = leaves {
            return self.leaf(spans, leaf);
        }
        let (low, high) = leaves.split_at(leaves.len() / 2);
        let start = spans[high[0].first].start;
        let high = self.subtree(spans, high);
        let low = self.subtree(spans, low);
        self.assembler.jump(Jump::GreaterOrEqual, start, high, low)
    }

    fn leaf(&mut self, spans: &[Span<'a>], leaf: &Leaf) -> Target {
        let mut target = self.outcome(&spans[leaf.background].outcome);
        for i in (leaf.first..leaf.end).filter(|i| i.abs_diff(leaf.background) % 2 == 1) {
            let single = self.outcome(&spans[i].outcome);
            target = self.assembler.jump(Jump::Equal, spans[i].start, single, target);
        }
        target
    }

    fn outcome(&mut self, outcome: &Outcome<'a>) -> Target {
        if let Some((_, target)) = self.blocks.iter().find(|(known, _)| known == outcome) {
            return *target;
        }
        let target = match outcome {
            Outcome::Always(value) => return Target::Return(*value),
            Outcome::FirstOf { alternatives, otherwise, wide } => {
                alternatives.iter().rev().fold(Target::Return(*otherwise), |next, alternative| {
                    let holds = Target::Return(alternative.value);
                    let tests = alternative.tests.iter().rev();
                    tests.fold(holds, |holds, test| write_test(&mut self.assembler, test, *wide, holds, next))
                })
            }
            Outcome::ByTable(outcomes) => {
                let x86_64 = self.outcome(&outcomes.0);
                let x32 = self.outcome(&outcomes.1);
                let by_bit = self.assembler.jump(Jump::GreaterOrEqual, X32_BIT, x32, x86_64);
                self.assembler.load(NUMBER, by_bit)
            }
        };
        self.blocks.push((outcome.clone(), target));
        target
    }
}

/// The cheapest cut into leaves: what is cheapest up to each span follows from what is cheapest up to earlier ones.
fn leaves(spans: &[Span]) -> Vec<Leaf> {
    // For the first n spans: instructions needed, and the last leaf.
    let mut best: Vec<(usize, Leaf)> = vec![(0, Leaf { first: 0, end: 0, background: 0 })];
    for end in 1..=spans.len() {
        let mut cheapest = (best[end - 1].0 + 1, Leaf { first: end - 1, end, background: end - 1 });
        for background in end.saturating_sub(2)..end {
            for (first, singles) in beginnings(spans, background, end) {
                // A jump of the tree for each leaf, and one for each single number.
                let cost = best[first].0 + 1 + singles;
                if cost < cheapest.0 {
                    cheapest = (cost, Leaf { first, end, background });
                }
            }
        }
        best.push(cheapest);
    }
    let mut leaves = Vec::with_capacity(spans.len());
    while let Some((_, leaf)) = best.pop().filter(|(_, leaf)| leaf.end > 0) {
        best.truncate(leaf.first + 1);
        leaves.push(leaf);
    }
    leaves.reverse();
    leaves
}

/// Where a leaf up to `end` around `background`, one of the last two spans, may begin, and with how many single numbers.
fn beginnings<'a>(spans: &'a [Span], background: usize, end: usize) -> impl Iterator<Item = (usize, usize)> + 'a {
    let mut singles = 0;
    let fits = move |first: &usize| match first.abs_diff(background) % 2 {
        0 => spans[*first].outcome == spans[background].outcome,
        _ => is_single(spans, *first),
    };
    (0..end)
        .rev()
        .take_while(fits)
        .map(move |first| {
            singles += first.abs_diff(background) % 2;
            (first, singles)
        })
        .take_while(|(_, singles)| *singles <= CHAIN_MAX)
        .filter(move |(first, _)| *first <= background)
}

/// Whether span `i` is of one number.
fn is_single(spans: &[Span], i: usize) -> bool {
    spans.get(i + 1).is_some_and(|next| next.start == spans[i].start + 1)
}

fn write_test(assembler: &mut Assembler, test: &Test, wide: bool, yes: Target, no: Target) -> Target {
    if yes == no {
        return yes;
    }
    let mut argument = Argument { assembler, offset: ARGUMENTS + 8 * u32::from(test.argument), wide };
    match test.comparison {
        Comparison::Equal(value) => argument.masked_equal(u64::MAX, value, yes, no),
        Comparison::NotEqual(value) => argument.masked_equal(u64::MAX, value, no, yes),
        Comparison::MaskedEqual { mask, value } => argument.masked_equal(mask, value & mask, yes, no),
        Comparison::Greater(value) => argument.ordered(Jump::Greater, value, yes, no),
        Comparison::GreaterOrEqual(value) => argument.ordered(Jump::GreaterOrEqual, value, yes, no),
        Comparison::LessOrEqual(value) => argument.ordered(Jump::Greater, value, no, yes),
        Comparison::Less(value) => argument.ordered(Jump::GreaterOrEqual, value, no, yes),
    }
}

/// One argument as the two words that a filter can load; the low one first, as both kinds of machine are little-endian.
struct Argument<'a> {
    assembler: &'a mut Assembler,
    offset: u32,
    wide: bool,
}

impl Argument<'_> {
    fn masked_equal(&mut self, mask: u64, value: u64, yes: Target, no: Target) -> Target {
        let value = self.narrow(value);
        let low = self.word_equal(self.offset, mask as u32, value as u32, yes, no);
        if self.has_no_high_word(value) {
            return low;
        }
        self.word_equal(self.offset + 4, (mask >> 32) as u32, (value >> 32) as u32, low, no)
    }

    /// `jump` is Greater or GreaterOrEqual.
    fn ordered(&mut self, jump: Jump, value: u64, yes: Target, no: Target) -> Target {
        let value = self.narrow(value);
        let low = self.assembler.jump(jump, value as u32, yes, no);
        let low = self.assembler.load(self.offset, low);
        if self.has_no_high_word(value) {
            return low;
        }
        let high = (value >> 32) as u32;
        let equal = self.assembler.jump(Jump::Equal, high, low, no);
        let above = self.assembler.jump(Jump::Greater, high, yes, equal);
        self.assembler.load(self.offset + 4, above)
    }

    fn word_equal(&mut self, offset: u32, mask: u32, value: u32, yes: Target, no: Target) -> Target {
        if mask == 0 {
            return yes;
        }
        let compared = self.assembler.jump(Jump::Equal, value, yes, no);
        let masked = if mask == u32::MAX { compared } else { self.assembler.and(mask, compared) };
        self.assembler.load(offset, masked)
    }

    /// See [`Comparison`] for negative numbers on 32-bit tables.
    fn narrow(&self, value: u64) -> u64 {
        match !self.wide && value >> 32 == u64::from(u32::MAX) {
            true => value & u64::from(u32::MAX),
            false => value,
        }
    }

    /// On 32-bit tables the high word is 0, and so equal to the constant's.
    fn has_no_high_word(&self, value: u64) -> bool {
        !self.wide && value >> 32 == 0
    }
}
