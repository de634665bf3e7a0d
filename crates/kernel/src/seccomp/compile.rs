//! From a policy to a program. For each architecture the policy becomes spans of system call numbers with one outcome each
//! (`spans.rs`), and a search tree finds the outcome of a number in some eight jumps (`tree.rs`), where a list of calls
//! needs hundreds. Loading takes the kernel about half a microsecond for each instruction, so fewer of them matter more
//! than their order: for calls that are always allowed the kernel keeps a bitmap and does not run the filter.
//!
//! ```text
//! load architecture ─┬─ x86-64, x32? ─ load number ─ tree ─┬─ return allow, errno, …
//!                    ├─ x86? ───────── load number ─ tree ─┤
//!                    └─ else: kill                         └─ argument tests, rule after rule ─ return …
//! ```

use super::assemble::{Jump, Target};
use super::policy::{Action, Architecture, Policy};
use super::program::Program;
use super::spans::{Outcome, Span, both_tables, one_table};
use super::syscall::X32_BIT;
use super::tree::Writer;
use crate::error::{Context, Result};
use rustix::io::Errno;

/// What becomes of calls of an architecture that the policy does not list.
pub(super) const FOREIGN: Action = Action::KillProcess;

// Offsets in `struct seccomp_data` (linux/seccomp.h).
pub(super) const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The program for `policy`; its meaning is told at [`Policy`]. `EINVAL` for an argument index above 5 or no architecture,
/// `E2BIG` where the program would exceed the kernel's 4096 instructions.
pub fn compile(policy: &Policy) -> Result<Program> {
    check(policy)?;
    let mut writer = Writer::default();
    let mut dispatch = Target::Return(FOREIGN.value());
    let mut done = Vec::with_capacity(policy.architectures.len());
    for audit in policy.architectures.iter().rev().map(|a| a.audit()) {
        if !done.contains(&audit) {
            done.push(audit);
            let section = write_section(&mut writer, policy, audit);
            // Written from the end, so the architecture listed first is asked for first.
            dispatch = writer.assembler.jump(Jump::Equal, audit, section, dispatch);
        }
    }
    let start = match dispatch {
        Target::Return(_) => dispatch,
        Target::Written(_) => writer.assembler.load(ARCHITECTURE, dispatch),
    };
    Program::new(writer.assembler.finish(start))
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

/// All tables that share one architecture value of the kernel. x86-64 and x32 agree in most numbers but for x32's bit, so
/// one tree without the bit serves both, and asks for it only where they differ.
fn write_section<'a>(writer: &mut Writer<'a>, policy: &Policy<'a>, audit: u32) -> Target {
    let lists = |architecture| policy.architectures.contains(&architecture);
    let (x86_64, x32) = (lists(Architecture::X86_64), lists(Architecture::X32));
    let foreign = || Outcome::Always(FOREIGN.value());
    let is_x86_64 = audit == Architecture::X86_64.audit();
    if is_x86_64 && x86_64 && x32 {
        let spans = both_tables(&one_table(policy, Architecture::X86_64), &one_table(policy, Architecture::X32));
        let tree = writer.tree(&spans);
        return match tree {
            Target::Return(_) => tree,
            Target::Written(_) => {
                let without_bit = writer.assembler.and(!X32_BIT, tree);
                writer.assembler.load(NUMBER, without_bit)
            }
        };
    }
    let spans = match policy.architectures.iter().find(|a| a.audit() == audit) {
        Some(Architecture::X86_64) => {
            let mut spans = one_table(policy, Architecture::X86_64);
            spans.push(Span { start: X32_BIT, outcome: foreign() });
            // −1 is how a tracer asks to skip the call (seccomp(2)); it is no x32 call.
            spans.push(Span { start: u32::MAX, outcome: Outcome::Always(policy.default.value()) });
            spans
        }
        Some(Architecture::X32) => {
            let mut spans = one_table(policy, Architecture::X32);
            spans.iter_mut().for_each(|span| span.start |= X32_BIT);
            spans.insert(0, Span { start: 0, outcome: foreign() });
            spans
        }
        Some(architecture) => one_table(policy, *architecture),
        None => vec![Span { start: 0, outcome: foreign() }],
    };
    let tree = writer.tree(&spans);
    match tree {
        Target::Return(_) => tree,
        Target::Written(_) => writer.assembler.load(NUMBER, tree),
    }
}
