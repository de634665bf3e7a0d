//! Compiled programs against the words of [`Policy`], evaluated rule by rule with no cleverness.

use super::compile::FOREIGN;
use super::interpret::{Data, run};
use super::*;
use proptest::prelude::*;

const ARCHITECTURES: [Architecture; 5] =
    [Architecture::X86_64, Architecture::X86, Architecture::X32, Architecture::Aarch64, Architecture::Arm];
const ENOSYS: Action = Action::Errno(libc::ENOSYS as u16);

fn holds(test: &Test, data: &Data, architecture: Architecture) -> bool {
    let argument = data.arguments[usize::from(test.argument)];
    let wide = architecture.has_wide_arguments();
    let negative = |value: u64| if !wide && value >> 32 == 0xffff_ffff { value & 0xffff_ffff } else { value };
    match test.comparison {
        Comparison::Equal(value) => argument == negative(value),
        Comparison::NotEqual(value) => argument != negative(value),
        Comparison::Less(value) => argument < negative(value),
        Comparison::LessOrEqual(value) => argument <= negative(value),
        Comparison::Greater(value) => argument > negative(value),
        Comparison::GreaterOrEqual(value) => argument >= negative(value),
        Comparison::MaskedEqual { mask, value } => argument & mask == negative(value & mask),
    }
}

/// The sets of tests under which `rule` decides over this number; none where it says nothing of it.
fn alternatives<'a>(policy: &Policy, rule: &Rule<'a>, number: u32, architecture: Architecture) -> Vec<&'a [Test]> {
    let mut alternatives = Vec::new();
    if rule.syscalls.iter().any(|s| s.number(architecture) == Some(number)) {
        alternatives.push(rule.tests);
    }
    if architecture == Architecture::X86 && reaches_in(policy, rule) {
        let doors = rule.syscalls.iter().filter_map(|s| multiplex::door_to(*s));
        let doors = doors.filter(|(door, _)| door.number(architecture) == Some(number));
        alternatives.extend(doors.map(|(_, test)| std::slice::from_ref(test)));
    }
    alternatives
}

/// Whether a rule counts for a call's other way in, where its arguments cannot be seen.
fn reaches_in(policy: &Policy, rule: &Rule<'_>) -> bool {
    rule.action != policy.default && (rule.tests.is_empty() || !rule.action.permits())
}

fn verdict(policy: &Policy, data: &Data) -> Action {
    let of_data = |a: &&Architecture| {
        a.audit() == data.audit
            && match a {
                Architecture::X86_64 => data.number < 0x4000_0000,
                Architecture::X32 => data.number >= 0x4000_0000,
                _ => true,
            }
    };
    let Some(architecture) = policy.architectures.iter().find(of_data).copied() else {
        let tracer_skips = policy.architectures.iter().any(|a| a.audit() == data.audit) && data.number == u32::MAX;
        return if tracer_skips { policy.default } else { FOREIGN };
    };
    let known = |limit: u32| {
        let numbers = policy.rules.iter().flat_map(|rule| {
            // A rule that has nothing to say at a door does not make the door known.
            let has_doors = architecture == Architecture::X86 && reaches_in(policy, rule);
            rule.syscalls.iter().flat_map(move |s| {
                let door = multiplex::door_to(*s).filter(|_| has_doors).map(|(door, _)| door);
                [Some(*s), door].into_iter().flatten()
            })
        });
        numbers.filter_map(|s| s.number(architecture)).filter(|n| *n < limit).max()
    };
    let newest = if data.number < 0xf0000 { known(0xf0000) } else { known(u32::MAX) };
    if !policy.default.permits() && known(u32::MAX).is_some() && newest.is_none_or(|newest| data.number > newest) {
        return ENOSYS;
    }
    let mut matching = policy.rules.iter().filter(|rule| rule.action != policy.default).flat_map(|rule| {
        let alternatives = alternatives(policy, rule, data.number, architecture);
        alternatives.into_iter().map(|tests| (rule.action, tests))
    });
    if let Some((action, _)) = matching.clone().find(|(_, tests)| tests.is_empty()) {
        return action;
    }
    let decides = matching.find(|(_, tests)| tests.iter().all(|test| holds(test, data, architecture)));
    decides.map_or(policy.default, |(action, _)| action)
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => Just(Action::Allow),
        2 => Just(Action::Errno(libc::EPERM as u16)),
        1 => any::<u16>().prop_map(Action::Errno),
        1 => any::<u16>().prop_map(Action::Trace),
        1 => prop_oneof![
            Just(Action::KillProcess),
            Just(Action::KillThread),
            Just(Action::Trap),
            Just(Action::Log),
            Just(Action::Notify),
        ],
    ]
}

/// Values that lie on the edges of words and of each other.
fn values() -> impl Strategy<Value = u64> {
    let word = || prop_oneof![0_u32..4, Just(0x7fff_ffff), Just(0x8000_0000), u32::MAX - 2..=u32::MAX, any::<u32>()];
    let high = prop_oneof![4 => Just(0), 1 => Just(u32::MAX), 1 => 0_u32..3, 1 => any::<u32>()];
    (high, word()).prop_map(|(high, low)| u64::from(high) << 32 | u64::from(low))
}

fn tests() -> impl Strategy<Value = Test> {
    let comparison = prop_oneof![
        values().prop_map(Comparison::Equal),
        values().prop_map(Comparison::NotEqual),
        values().prop_map(Comparison::Less),
        values().prop_map(Comparison::LessOrEqual),
        values().prop_map(Comparison::Greater),
        values().prop_map(Comparison::GreaterOrEqual),
        (values(), values()).prop_map(|(mask, value)| Comparison::MaskedEqual { mask, value }),
    ];
    // Few arguments, so that rules meet on one.
    (prop_oneof![0_u8..2, 0_u8..6], comparison).prop_map(|(argument, comparison)| Test { argument, comparison })
}

fn syscalls() -> impl Strategy<Value = Syscall> {
    let all: Vec<_> = Syscall::all().collect();
    let doors = named(&["socketcall", "ipc", "socket", "accept", "semop", "set_tls", "cacheflush"]).to_vec();
    prop_oneof![6 => prop::sample::select(all), 1 => prop::sample::select(doors)]
}

type OwnedRule = (Vec<Syscall>, Vec<Test>, Action);

fn rules(syscalls_max: usize, rules_max: usize) -> impl Strategy<Value = Vec<OwnedRule>> {
    let calls = prop::collection::vec(syscalls(), 0..syscalls_max);
    let tests = prop_oneof![Just(Vec::new()), prop::collection::vec(tests(), 0..4)];
    prop::collection::vec((calls, tests, actions()), 0..rules_max)
}

fn borrowed(rules: &[OwnedRule]) -> Vec<Rule<'_>> {
    rules.iter().map(|(syscalls, tests, action)| Rule { syscalls, tests, action: *action }).collect()
}

/// Arguments near the constants of the policy, or anything.
fn arguments(rules: &[OwnedRule]) -> impl Strategy<Value = [u64; 6]> + use<> {
    let mut near: Vec<u64> = vec![0];
    for test in rules.iter().flat_map(|(_, tests, _)| tests) {
        near.extend(match test.comparison {
            Comparison::Equal(v) | Comparison::NotEqual(v) | Comparison::Less(v) => [v, v ^ 1, v ^ 1 << 32],
            Comparison::LessOrEqual(v) | Comparison::Greater(v) | Comparison::GreaterOrEqual(v) => {
                [v, v.wrapping_add(1), v.wrapping_sub(1)]
            }
            Comparison::MaskedEqual { mask, value } => [value & mask, value | !mask, value ^ 1],
        });
    }
    prop::array::uniform6(prop_oneof![3 => prop::sample::select(near), 1 => values()])
}

/// The values a filter may be asked about: each number the policy names, its neighbours, and the edges between tables.
fn numbers(rules: &[OwnedRule]) -> Vec<u32> {
    let mut numbers = vec![0, 500, 0x3fff_ffff, 0x4000_0000, 0x4000_0300, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    numbers.extend([0xeffff, 0xf0000, 0xf0007, 102, 117]);
    for (syscalls, ..) in rules {
        for number in syscalls.iter().flat_map(|s| ARCHITECTURES.map(|a| s.number(a))).flatten() {
            numbers.extend([number.saturating_sub(1), number, number + 1]);
        }
    }
    numbers
}

fn assert_same(policy: &Policy, program: &Program, number: u32, arguments: [u64; 6]) {
    for audit in ARCHITECTURES.map(Architecture::audit).into_iter().chain([0, 0xc000_00f3]) {
        let narrow = ARCHITECTURES.iter().any(|a| a.audit() == audit && !a.has_wide_arguments());
        // The kernel zero-extends what 32-bit programs pass.
        let arguments = if narrow { arguments.map(|a| a & 0xffff_ffff) } else { arguments };
        let data = Data { number, audit, arguments };
        let expected = verdict(policy, &data);
        assert_eq!(run(program, &data).0, expected.value(), "{data:x?}: not {expected:?} under {policy:?}");
    }
}

fn cases(syscalls_max: usize, rules_max: usize) -> impl Strategy<Value = (Vec<OwnedRule>, [u64; 6])> {
    rules(syscalls_max, rules_max).prop_flat_map(|rules| {
        let arguments = arguments(&rules);
        (Just(rules), arguments)
    })
}

proptest! {
    // A failure prints its policy; no files of seeds beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_decide_as_their_policy(
        (rules, arguments) in cases(6, 12),
        default in actions(),
        architectures in prop::sample::subsequence(&ARCHITECTURES[..], 1..=5),
    ) {
        let borrowed = borrowed(&rules);
        let policy = Policy { default, architectures: &architectures, rules: &borrowed };
        let program = compile(&policy).unwrap();
        for number in numbers(&rules) {
            assert_same(&policy, &program, number, arguments);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Hundreds of calls with tests make programs in which most jumps are longer than 255.
    #[test]
    fn long_programs_decide_as_their_policy((rules, arguments) in cases(40, 60), default in actions()) {
        let borrowed = borrowed(&rules);
        let policy = Policy { default, architectures: Architecture::X86_64.family(), rules: &borrowed };
        // Some are over the kernel's limit, and say so.
        if let Ok(program) = compile(&policy) {
            for number in numbers(&rules).into_iter().step_by(7) {
                assert_same(&policy, &program, number, arguments);
            }
        }
    }
}

fn equal(argument: u8, value: u64) -> Test {
    Test { argument, comparison: Comparison::Equal(value) }
}

#[test]
fn the_rules_of_precedence_hold() {
    const CALLS: [Syscall; 3] = named(&["clone", "personality", "socket"]);
    let [clone, personality, socket] = &CALLS;
    let (allow, refuse) = (Action::Allow, Action::Errno(1));
    let tests = [equal(0, 8)];
    let rule = |syscall, tests, action| Rule { syscalls: std::slice::from_ref(syscall), tests, action };
    let rules = [
        rule(clone, &tests, Action::Trap),
        rule(clone, &[], allow),
        rule(clone, &[], Action::KillThread),
        rule(personality, &[], refuse),
        rule(personality, &tests, allow),
        rule(socket, &tests, Action::Log),
        rule(socket, &tests, allow),
    ];
    let policy = Policy { default: refuse, architectures: &[Architecture::X86_64], rules: &rules };
    let program = compile(&policy).unwrap();
    let decide = |syscall: &Syscall, argument| {
        let number = syscall.number(Architecture::X86_64).unwrap();
        let data = Data { number, audit: Architecture::X86_64.audit(), arguments: [argument, 0, 0, 0, 0, 0] };
        run(&program, &data).0
    };
    assert_eq!(decide(clone, 8), allow.value(), "the first rule without tests decides");
    assert_eq!(decide(personality, 8), allow.value(), "a rule with the default's action takes nothing away");
    assert_eq!(decide(personality, 9), refuse.value());
    assert_eq!(decide(socket, 8), Action::Log.value(), "of two rules that match, the first");
}

#[test]
fn bad_policies_are_refused() {
    let rules = [Rule { syscalls: &[], tests: &[equal(6, 0)], action: Action::Allow }];
    let policy = Policy { default: Action::Allow, architectures: &[Architecture::NATIVE], rules: &rules };
    assert_eq!(compile(&policy).unwrap_err().errno, rustix::io::Errno::INVAL);
    let policy = Policy { architectures: &[], rules: &[], ..policy };
    assert_eq!(compile(&policy).unwrap_err().errno, rustix::io::Errno::INVAL);
}

#[test]
fn a_program_above_the_limit_is_refused() {
    // Different tests for each call, so that none shares the instructions of another.
    let test = |i: u64| Test { argument: 0, comparison: Comparison::Less(7 << 32 | i) };
    let calls: Vec<_> = Syscall::all().zip((0..).map(|i| [test(8 * i), test(8 * i + 1), test(8 * i + 2)])).collect();
    let rule = |(syscall, tests)| Rule { syscalls: std::slice::from_ref(syscall), tests, action: Action::Allow };
    let rules: Vec<_> = calls.iter().map(|(syscall, tests)| rule((syscall, tests))).collect();
    let policy = Policy { default: Action::Errno(1), architectures: Architecture::X86_64.family(), rules: &rules };
    assert_eq!(compile(&policy).unwrap_err().errno, rustix::io::Errno::TOOBIG);
}

#[test]
fn a_policy_without_rules_is_its_default() {
    let policy = Policy { default: Action::Allow, architectures: &[Architecture::NATIVE], rules: &[] };
    let program = compile(&policy).unwrap();
    let data = Data { number: 1, audit: Architecture::NATIVE.audit(), arguments: [0; 6] };
    assert_eq!(run(&program, &data).0, Action::Allow.value());
}
