//! From a policy to a program. For each architecture the policy becomes a list of spans of system call numbers with one
//! outcome each; neighbours of equal outcome are one span; a binary search tree over the spans finds the outcome in
//! about eight jumps, where a list of calls needs hundreds. The kernel walks the filter once for every number at load
//! time to learn which calls are always allowed, so the tree pays there too.
//!
//! ```text
//! load architecture ── x86_64? ─ load number ─ tree ─┬─ return allow / errno / …
//!                   ├─ x86?    ─ load number ─ tree ─┤
//!                   └─ else kill                     └─ argument tests, rule after rule ─ return …
//! ```

use super::assemble::{Assembler, Jump, Target};
use super::multiplex::door_to;
use super::policy::{Action, Architecture, Comparison, Policy, Rule, Test};
use super::program::Program;
use super::syscall::{ARM_BASE, Syscall, X32_BIT};
use crate::error::{Context, Result};
use rustix::io::Errno;

/// What becomes of calls of an architecture that the policy does not list.
pub(super) const FOREIGN: Action = Action::KillProcess;

// Offsets in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The program for `policy`; its meaning is told at [`Policy`]. `EINVAL` for an argument index above 5 or no architecture,
/// `E2BIG` where the program would exceed the kernel's 4096 instructions.
pub fn compile(policy: &Policy) -> Result<Program> {
    check(policy)?;
    let mut assembler = Assembler::default();
    let mut dispatch = Target::Return(FOREIGN.value());
    let mut done = Vec::with_capacity(policy.architectures.len());
    // Written from the end, so the architecture listed first is asked for first.
    for audit in policy.architectures.iter().rev().map(|a| a.audit()) {
        if done.contains(&audit) {
            continue;
        }
        done.push(audit);
        let spans = spans_of(policy, audit);
        let tree = write_tree(&mut assembler, &spans);
        let section = match tree {
            Target::Return(_) => tree,
            Target::Written(_) => assembler.load(NUMBER, tree),
        };
        dispatch = assembler.jump(Jump::Equal, audit, section, dispatch);
    }
    let start = match dispatch {
        Target::Return(_) => dispatch,
        Target::Written(_) => assembler.load(ARCHITECTURE, dispatch),
    };
    Program::new(assembler.finish(start))
}

fn check(policy: &Policy) -> Result<()> {
    if policy.architectures.is_empty() {
        return Err(Errno::INVAL).during("make a seccomp filter for no architecture");
    }
    match policy.rules.iter().flat_map(|rule| rule.tests).find(|test| test.argument > 5) {
        Some(test) => Err(Errno::INVAL)
            .during(&format!("make a seccomp filter that tests argument {}, where calls have 0 to 5", test.argument)),
        None => Ok(()),
    }
}

/// Numbers from `start` up to the next span's start.
struct Span<'a> {
    start: u32,
    outcome: Outcome<'a>,
}

#[derive(Clone)]
enum Outcome<'a> {
    Always(u32),
    /// The first whose tests all hold, else the default.
    FirstOf {
        alternatives: Vec<Alternative<'a>>,
        otherwise: u32,
        wide: bool,
    },
}

#[derive(Clone, Copy)]
struct Alternative<'a> {
    tests: &'a [Test],
    value: u32,
}

/// A rule as it applies to one number.
struct Entry<'a> {
    number: u32,
    tests: &'a [Test],
    action: Action,
}

fn spans_of<'a>(policy: &Policy<'a>, audit: u32) -> Vec<Span<'a>> {
    let lists = |architecture| policy.architectures.contains(&architecture);
    let mut spans = Spans(Vec::with_capacity(256));
    if audit != Architecture::X86_64.audit() {
        if let Some(architecture) = policy.architectures.iter().find(|a| a.audit() == audit) {
            spans.add_table(policy, *architecture, 0);
        }
        return spans.0;
    }
    match lists(Architecture::X86_64) {
        true => spans.add_table(policy, Architecture::X86_64, 0),
        false => spans.add(0, Outcome::Always(FOREIGN.value())),
    }
    if lists(Architecture::X32) {
        spans.add_table(policy, Architecture::X32, X32_BIT);
    } else {
        spans.add(X32_BIT, Outcome::Always(FOREIGN.value()));
        // −1 is how a tracer asks to skip the call (seccomp(2)); it is no x32 call.
        spans.add(u32::MAX, Outcome::Always(policy.default.value()));
    }
    spans.0
}

struct Spans<'a>(Vec<Span<'a>>);

impl<'a> Spans<'a> {
    /// From `start` on, which is above all that was added before, until something else is added.
    fn add(&mut self, start: u32, outcome: Outcome<'a>) {
        match (self.0.last(), &outcome) {
            (Some(Span { outcome: Outcome::Always(last), .. }), Outcome::Always(next)) if last == next => {}
            _ => self.0.push(Span { start, outcome }),
        }
    }

    /// All of one architecture's numbers, of which `base` is the first.
    fn add_table(&mut self, policy: &Policy<'a>, architecture: Architecture, base: u32) {
        let entries = entries_of(policy, architecture);
        let default = Outcome::Always(policy.default.value());
        let unknown = match policy.default.permits() || entries.is_empty() {
            true => default.clone(),
            false => Outcome::Always(Action::Errno(libc::ENOSYS as u16).value()),
        };
        let mut next = base;
        for same_number in entries.chunk_by(|a, b| a.number == b.number) {
            let number = same_number[0].number;
            if architecture == Architecture::Arm && next < ARM_BASE && number >= ARM_BASE {
                // ARM's own calls lie far above the others; what is new comes between.
                self.add(next, unknown.clone());
                next = ARM_BASE;
            }
            if number > next {
                self.add(next, default.clone());
            }
            self.add(number, outcome_of(policy.default, architecture, same_number));
            next = number + 1;
        }
        self.add(next, unknown);
    }
}

/// Every rule's calls by number; for one number in the order of the rules.
fn entries_of<'a>(policy: &Policy<'a>, architecture: Architecture) -> Vec<Entry<'a>> {
    let mut entries = Vec::with_capacity(512);
    for rule in policy.rules {
        for syscall in rule.syscalls {
            if let Some(number) = syscall.number(architecture) {
                entries.push(Entry { number, tests: rule.tests, action: rule.action });
            }
            if architecture == Architecture::X86 {
                entries.extend(entry_of_door(policy.default, rule, *syscall));
            }
        }
    }
    entries.sort_by_key(|entry| entry.number);
    entries
}

/// The same rule for the call's other way in. The real arguments lie in memory there, where no filter can look: a rule
/// with tests then applies whatever they are if it refuses the call, and not at all if it permits it.
fn entry_of_door<'a>(default: Action, rule: &Rule<'a>, syscall: Syscall) -> Option<Entry<'a>> {
    let (door, test) = door_to(syscall)?;
    if rule.action == default || (!rule.tests.is_empty() && rule.action.permits()) {
        return None;
    }
    let number = door.number(Architecture::X86)?;
    Some(Entry { number, tests: std::slice::from_ref(test), action: rule.action })
}

fn outcome_of<'a>(default: Action, architecture: Architecture, entries: &[Entry<'a>]) -> Outcome<'a> {
    let differs = |entry: &&Entry| entry.action != default;
    if let Some(entry) = entries.iter().filter(differs).find(|entry| entry.tests.is_empty()) {
        return Outcome::Always(entry.action.value());
    }
    let alternatives: Vec<_> = entries
        .iter()
        .filter(differs)
        .map(|entry| Alternative { tests: entry.tests, value: entry.action.value() })
        .collect();
    match alternatives.is_empty() {
        true => Outcome::Always(default.value()),
        false => Outcome::FirstOf { alternatives, otherwise: default.value(), wide: architecture.has_wide_arguments() },
    }
}

fn write_tree(assembler: &mut Assembler, spans: &[Span]) -> Target {
    match spans {
        [] => unreachable!("a table has a span from its first number"),
        [span] => write_outcome(assembler, &span.outcome),
        // One number between two spans that are alike.
        [before, single, after]
            if after.start == single.start + 1
                && matches!((&before.outcome, &after.outcome), (Outcome::Always(a), Outcome::Always(b)) if a == b) =>
        {
            let inside = write_outcome(assembler, &single.outcome);
            let outside = write_outcome(assembler, &before.outcome);
            assembler.jump(Jump::Equal, single.start, inside, outside)
        }
        _ => {
            let (low, high) = spans.split_at(spans.len() / 2);
            let start = high[0].start;
            let high = write_tree(assembler, high);
            let low = write_tree(assembler, low);
            assembler.jump(Jump::GreaterOrEqual, start, high, low)
        }
    }
}

fn write_outcome(assembler: &mut Assembler, outcome: &Outcome) -> Target {
    match outcome {
        Outcome::Always(value) => Target::Return(*value),
        Outcome::FirstOf { alternatives, otherwise, wide } => {
            let mut next = Target::Return(*otherwise);
            for alternative in alternatives.iter().rev() {
                let mut holds = Target::Return(alternative.value);
                for test in alternative.tests.iter().rev() {
                    holds = write_test(assembler, test, *wide, holds, next);
                }
                next = holds;
            }
            next
        }
    }
}

fn write_test(assembler: &mut Assembler, test: &Test, wide: bool, yes: Target, no: Target) -> Target {
    if yes == no {
        return yes;
    }
    let mut word = Words { assembler, argument: test.argument, wide };
    match test.comparison {
        Comparison::Equal(value) => word.masked_equal(u64::MAX, value, yes, no),
        Comparison::NotEqual(value) => word.masked_equal(u64::MAX, value, no, yes),
        Comparison::MaskedEqual { mask, value } => word.masked_equal(mask, value & mask, yes, no),
        Comparison::Greater(value) => word.ordered(Jump::Greater, value, yes, no),
        Comparison::GreaterOrEqual(value) => word.ordered(Jump::GreaterOrEqual, value, yes, no),
        Comparison::LessOrEqual(value) => word.ordered(Jump::Greater, value, no, yes),
        Comparison::Less(value) => word.ordered(Jump::GreaterOrEqual, value, no, yes),
    }
}

/// One argument as the two words a filter can load.
struct Words<'a> {
    assembler: &'a mut Assembler,
    argument: u8,
    wide: bool,
}

impl Words<'_> {
    fn masked_equal(&mut self, mask: u64, value: u64, yes: Target, no: Target) -> Target {
        let value = self.narrow(value);
        let low = self.word_equal(self.low(), mask as u32, value as u32, yes, no);
        match (mask >> 32) as u32 {
            // Not even with a value that asks for upper bits: a 32-bit table has none to compare.
            _ if !self.wide && value >> 32 == 0 => low,
            mask => self.word_equal(self.high(), mask, (value >> 32) as u32, low, no),
        }
    }

    /// `jump` is Greater or GreaterOrEqual.
    fn ordered(&mut self, jump: Jump, value: u64, yes: Target, no: Target) -> Target {
        let value = self.narrow(value);
        let low = self.assembler.jump(jump, value as u32, yes, no);
        let low = self.load(self.low(), low);
        if !self.wide && value >> 32 == 0 {
            return low;
        }
        let high = (value >> 32) as u32;
        let equal = self.assembler.jump(Jump::Equal, high, low, no);
        let above = self.assembler.jump(Jump::Greater, high, yes, equal);
        self.load(self.high(), above)
    }

    fn word_equal(&mut self, offset: u32, mask: u32, value: u32, yes: Target, no: Target) -> Target {
        if mask == 0 {
            return yes;
        }
        let compared = self.assembler.jump(Jump::Equal, value, yes, no);
        match mask {
            u32::MAX => self.load(offset, compared),
            _ => {
                let masked = self.assembler.and(mask, compared);
                self.load(offset, masked)
            }
        }
    }

    fn load(&mut self, offset: u32, next: Target) -> Target {
        self.assembler.load(offset, next)
    }

    /// See [`Comparison`] for negative numbers on 32-bit tables.
    fn narrow(&self, value: u64) -> u64 {
        match !self.wide && value >> 32 == u64::from(u32::MAX) {
            true => value & u64::from(u32::MAX),
            false => value,
        }
    }

    // Both machines are little-endian: the low word of a 64-bit argument comes first.
    fn low(&self) -> u32 {
        ARGUMENTS + 8 * u32::from(self.argument)
    }

    fn high(&self) -> u32 {
        self.low() + 4
    }
}
