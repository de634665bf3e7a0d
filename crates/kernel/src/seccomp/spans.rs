//! A policy for one architecture as spans: the numbers from 0 up cut into ranges with one outcome each. Here is decided
//! which rule wins; `tree.rs` only writes down what comes out.

use super::multiplex::door_to;
use super::policy::{Action, Architecture, Policy, Rule, Test};
use super::syscall::{ARM_BASE, Syscall, X32_BIT};

/// Numbers from `start` up to the next span's start.
#[derive(Debug)]
pub(super) struct Span<'a> {
    pub start: u32,
    pub outcome: Outcome<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome<'a> {
    /// The value to return.
    Always(u32),
    /// The first whose tests all hold, else the default. `wide`: arguments have 64 bits.
    FirstOf { alternatives: Vec<Alternative<'a>>, otherwise: u32, wide: bool },
    /// One for x86-64 and one for x32.
    ByTable(Box<(Outcome<'a>, Outcome<'a>)>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alternative<'a> {
    pub tests: &'a [Test],
    pub value: u32,
}

/// A rule as it applies to one number.
struct Entry<'a> {
    number: u32,
    tests: &'a [Test],
    action: Action,
}

/// The spans of one table; for x32 of the numbers without their bit. The first starts at 0, neighbours differ.
pub(super) fn one_table<'a>(policy: &Policy<'a>, architecture: Architecture) -> Vec<Span<'a>> {
    let entries = entries(policy, architecture);
    let default = Outcome::Always(policy.default.value());
    let unknown = match policy.default.permits() || entries.is_empty() {
        true => default.clone(),
        false => Outcome::Always(Action::Errno(libc::ENOSYS as u16).value()),
    };
    let mut spans = Vec::with_capacity(256);
    let mut next = 0;
    for same_number in by_number(&entries).chunk_by(|a, b| number_of(*a) == number_of(*b)) {
        let number = number_of(same_number[0]);
        if architecture == Architecture::Arm && next < ARM_BASE && number >= ARM_BASE {
            // ARM's own calls lie far above the others; what is new comes between.
            add(&mut spans, next, unknown.clone());
            next = ARM_BASE;
        }
        if number > next {
            add(&mut spans, next, default.clone());
        }
        let entries = same_number.iter().map(|key| &entries[*key as u32 as usize]);
        add(&mut spans, number, outcome(policy.default, architecture, entries));
        next = number + 1;
    }
    add(&mut spans, next, unknown);
    spans
}

/// Both tables over the same numbers.
pub(super) fn both_tables<'a>(x86_64: &[Span<'a>], x32: &[Span<'a>]) -> Vec<Span<'a>> {
    let mut spans = Vec::with_capacity(256);
    let (mut i, mut j) = (0, 0);
    loop {
        let outcome = match (&x86_64[i].outcome, &x32[j].outcome) {
            (a, b) if a == b => a.clone(),
            (a, b) => Outcome::ByTable(Box::new((a.clone(), b.clone()))),
        };
        add(&mut spans, x86_64[i].start.max(x32[j].start), outcome);
        // On to the nearer end; where both end at once, both step.
        let ends = (x86_64.get(i + 1).map(|s| s.start), x32.get(j + 1).map(|s| s.start));
        let nearer = match ends {
            (None, None) => return spans,
            (Some(a), Some(b)) => a.min(b),
            (Some(end), None) | (None, Some(end)) => end,
        };
        i += usize::from(ends.0 == Some(nearer));
        j += usize::from(ends.1 == Some(nearer));
    }
}

/// From `start` on, which is above all that was added before, until something else is added.
fn add<'a>(spans: &mut Vec<Span<'a>>, start: u32, outcome: Outcome<'a>) {
    if spans.last().is_none_or(|last| last.outcome != outcome) {
        spans.push(Span { start, outcome });
    }
}

/// A key for each entry, sorted: its number above its place. Sorting these is three times as fast as sorting entries.
fn by_number(entries: &[Entry]) -> Vec<u64> {
    let mut keys: Vec<u64> = entries.iter().zip(0..).map(|(entry, i)| u64::from(entry.number) << 32 | i).collect();
    keys.sort_unstable();
    keys
}

fn number_of(key: u64) -> u32 {
    (key >> 32) as u32
}

/// Every rule's calls, in the order of the rules.
fn entries<'a>(policy: &Policy<'a>, architecture: Architecture) -> Vec<Entry<'a>> {
    let mut entries = Vec::with_capacity(512);
    for rule in policy.rules {
        for syscall in rule.syscalls {
            if let Some(number) = syscall.number(architecture) {
                let number = if architecture == Architecture::X32 { number & !X32_BIT } else { number };
                entries.push(Entry { number, tests: rule.tests, action: rule.action });
            }
            if architecture == Architecture::X86 {
                entries.extend(entry_of_door(policy.default, rule, *syscall));
            }
        }
    }
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

/// What the entries for one number come to.
fn outcome<'a: 'b, 'b>(
    default: Action,
    architecture: Architecture,
    entries: impl Iterator<Item = &'b Entry<'a>> + Clone,
) -> Outcome<'a> {
    let differing = entries.filter(|entry| entry.action != default);
    if let Some(entry) = differing.clone().find(|entry| entry.tests.is_empty()) {
        return Outcome::Always(entry.action.value());
    }
    let alternatives: Vec<_> =
        differing.map(|entry| Alternative { tests: entry.tests, value: entry.action.value() }).collect();
    match alternatives.is_empty() {
        true => Outcome::Always(default.value()),
        false => Outcome::FirstOf { alternatives, otherwise: default.value(), wide: architecture.has_wide_arguments() },
    }
}
