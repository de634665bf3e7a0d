//! The `seccomp` object of a runtime specification (config-linux.md, "Seccomp") as a compiled filter. Called before the
//! clone, so that a bad profile fails while nothing is made yet; loading is init's last step. Which calls a container may
//! make by default is not known here, see `engine::seccomp`.
//!
//! The specification leaves open how rules meet. Profiles are written and tested against runc, so its answers hold:
//! `kernel::seccomp::Policy` tells them, and [`compile`] adds those that concern documents.

use kernel::seccomp::{Action, Architecture, Comparison, Flags, Policy, Program, Rule, Syscall, Test};
use spec::runtime::{Seccomp, SeccompArg, SeccompRule};
use std::fmt;

/// Why a profile cannot be used, with the word that is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Architectures of OCI documents that no machine brig runs on can execute: valid, and without effect.
const ELSEWHERE: [&str; 18] = [
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

/// The filter for `profile`. The native architecture is always part of it, listed or not. Names of system calls that are
/// not known are skipped: profiles name calls of kernels and machines to come. Everything else that is not known (an
/// action, operator, architecture) is an error, and so is an errno on an action that has none.
pub fn compile(profile: &Seccomp) -> Result<Program, Error> {
    compile_for(profile, Architecture::NATIVE)
}

/// How to load it. Without a list of flags in the profile: SPEC_ALLOW, as runc does; an empty list means none.
pub fn flags(profile: &Seccomp) -> Result<Flags, Error> {
    let Some(names) = &profile.flags else { return Ok(Flags::SPEC_ALLOW) };
    names.iter().try_fold(Flags::NONE, |flags, name| match name.as_str() {
        "SECCOMP_FILTER_FLAG_LOG" => Ok(flags | Flags::LOG),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(flags | Flags::SPEC_ALLOW),
        // Without a listener nobody waits for one, and the kernel refuses the flag.
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if asks(profile) => Ok(flags | Flags::WAIT_KILLABLE),
        // Init has one thread, so there is none to synchronise with.
        "SECCOMP_FILTER_FLAG_TSYNC" | "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Ok(flags),
        _ => Err(Error(format!("unknown seccomp flag {name:?}; seccomp(2) lists them as SECCOMP_FILTER_FLAG_*"))),
    })
}

/// Whether some call is to be decided by a listener.
pub fn asks(profile: &Seccomp) -> bool {
    profile.syscalls.iter().any(|rule| rule.action == NOTIFY)
}

const NOTIFY: &str = "SCMP_ACT_NOTIFY";

/// What would stop the container for ever: its set-up could not tell anybody about the listener.
fn check_notify(profile: &Seccomp) -> Result<(), Error> {
    if profile.default_action == NOTIFY {
        return Err(Error("SCMP_ACT_NOTIFY cannot be used as default action".to_owned()));
    }
    if profile.syscalls.iter().any(|rule| rule.action == NOTIFY && rule.names.iter().any(|name| name == "write")) {
        return Err(Error("SCMP_ACT_NOTIFY cannot be used for the write syscall".to_owned()));
    }
    Ok(())
}

fn compile_for(profile: &Seccomp, native: Architecture) -> Result<Program, Error> {
    check_notify(profile)?;
    let default = action(&profile.default_action, profile.default_errno_ret, "defaultErrnoRet")?;
    let architectures = architectures(&profile.architectures, native)?;
    let owned = profile.syscalls.iter().map(OwnedRule::new).collect::<Result<Vec<_>, _>>()?;
    let rules: Vec<Rule> = owned.iter().flat_map(OwnedRule::rules).collect();
    kernel::seccomp::compile(&Policy { default, architectures: &architectures, rules: &rules })
        .map_err(|error| Error(error.to_string()))
}

/// The lists that the [`Rule`]s of one entry borrow.
struct OwnedRule {
    syscalls: Vec<Syscall>,
    tests: Vec<Test>,
    action: Action,
}

impl OwnedRule {
    fn new(rule: &SeccompRule) -> Result<OwnedRule, Error> {
        Ok(OwnedRule {
            syscalls: rule.names.iter().filter_map(|name| Syscall::from_name(name)).collect(),
            tests: rule.args.iter().map(test).collect::<Result<_, _>>()?,
            action: action(&rule.action, rule.errno_ret, "errnoRet")?,
        })
    }

    /// All tests must hold; but where two of them look at the same argument, each test is a rule of its own and any may
    /// hold. That is what runc and crun make of it, and what profiles rely on.
    fn rules(&self) -> Vec<Rule<'_>> {
        let OwnedRule { syscalls, tests, action } = self;
        let repeats = tests.iter().enumerate().any(|(i, a)| tests[..i].iter().any(|b| a.argument == b.argument));
        let rule = |tests| Rule { syscalls, tests, action: *action };
        match repeats {
            true => tests.iter().map(|test| rule(std::slice::from_ref(test))).collect(),
            false => vec![rule(tests)],
        }
    }
}

fn architectures(names: &[String], native: Architecture) -> Result<Vec<Architecture>, Error> {
    let mut architectures = vec![native];
    for name in names {
        let architecture = match name.as_str() {
            "SCMP_ARCH_NATIVE" => native,
            "SCMP_ARCH_X86_64" => Architecture::X86_64,
            "SCMP_ARCH_X86" => Architecture::X86,
            "SCMP_ARCH_X32" => Architecture::X32,
            "SCMP_ARCH_AARCH64" => Architecture::Aarch64,
            "SCMP_ARCH_ARM" => Architecture::Arm,
            other if ELSEWHERE.contains(&other) => continue,
            _ => {
                return Err(Error(format!(
                    "unknown seccomp architecture {name:?}; an example is \"SCMP_ARCH_X86_64\""
                )));
            }
        };
        if native.family().contains(&architecture) && !architectures.contains(&architecture) {
            architectures.push(architecture);
        }
    }
    Ok(architectures)
}

/// `field` is the document's name for `data`, for messages.
fn action(name: &str, data: Option<u32>, field: &str) -> Result<Action, Error> {
    let without_data = match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_ERRNO" => return Ok(Action::Errno(in_range(name, data, field, 4095)?)),
        "SCMP_ACT_TRACE" => return Ok(Action::Trace(in_range(name, data, field, u16::MAX)?)),
        NOTIFY => Action::Notify,
        _ => return Err(Error(format!("unknown seccomp action {name:?}; an example is \"SCMP_ACT_ERRNO\""))),
    };
    match data {
        None => Ok(without_data),
        Some(data) => Err(Error(format!("seccomp action {name} takes no {field}, but {data} is given; remove it"))),
    }
}

fn in_range(name: &str, data: Option<u32>, field: &str, max: u16) -> Result<u16, Error> {
    let Some(data) = data else {
        return Ok(rustix::io::Errno::PERM.raw_os_error() as u16);
    };
    match u16::try_from(data) {
        Ok(data) if data <= max => Ok(data),
        _ => Err(Error(format!("seccomp action {name} cannot have {field} {data}; the highest is {max}"))),
    }
}

fn test(arg: &SeccompArg) -> Result<Test, Error> {
    let value = arg.value;
    let comparison = match arg.op.as_str() {
        "SCMP_CMP_EQ" => Comparison::Equal(value),
        "SCMP_CMP_NE" => Comparison::NotEqual(value),
        "SCMP_CMP_LT" => Comparison::Less(value),
        "SCMP_CMP_LE" => Comparison::LessOrEqual(value),
        "SCMP_CMP_GT" => Comparison::Greater(value),
        "SCMP_CMP_GE" => Comparison::GreaterOrEqual(value),
        "SCMP_CMP_MASKED_EQ" => Comparison::MaskedEqual { mask: value, value: arg.value_two },
        op => return Err(Error(format!("unknown seccomp operator {op:?}; an example is \"SCMP_CMP_EQ\""))),
    };
    match u8::try_from(arg.index) {
        Ok(argument) if argument <= 5 => Ok(Test { argument, comparison }),
        _ => Err(Error(format!(
            "seccomp argument index {} does not exist; system calls have arguments 0 to 5",
            arg.index
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(names: &[&str], action: &str, args: &[(u32, u64, &str)]) -> SeccompRule {
        let arg = |&(index, value, op): &(u32, u64, &str)| SeccompArg { index, value, value_two: 0, op: op.into() };
        SeccompRule {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            action: action.into(),
            errno_ret: None,
            args: args.iter().map(arg).collect(),
        }
    }

    fn profile(rules: Vec<SeccompRule>) -> Seccomp {
        Seccomp { default_action: "SCMP_ACT_ERRNO".into(), syscalls: rules, ..Seccomp::default() }
    }

    /// Both documents compile to the same filter, so they mean the same.
    #[track_caller]
    fn assert_same(a: &Seccomp, b: &Seccomp) {
        assert_eq!(compile(a), compile(b));
    }

    #[track_caller]
    fn assert_refused(profile: &Seccomp, word: &str) {
        let error = compile(profile).expect_err("the profile is bad").to_string();
        assert!(error.contains(word), "{error}");
    }

    #[test]
    fn unknown_system_calls_are_skipped() {
        let known = profile(vec![rule(&["read"], "SCMP_ACT_ALLOW", &[])]);
        let more = profile(vec![rule(&["read", "s390_pci_mmio_read", "not_yet_there", ""], "SCMP_ACT_ALLOW", &[])]);
        assert_same(&known, &more);
    }

    #[test]
    fn every_other_unknown_word_is_an_error() {
        let good = profile(vec![rule(&["read"], "SCMP_ACT_ALLOW", &[(0, 1, "SCMP_CMP_EQ")])]);
        assert!(compile(&good).is_ok());
        assert_refused(&Seccomp { default_action: String::new(), ..good.clone() }, "action \"\"");
        assert_refused(&Seccomp { default_action: "ALLOW".into(), ..good.clone() }, "action \"ALLOW\"");
        assert_refused(&Seccomp { architectures: vec!["amd64".into()], ..good.clone() }, "architecture \"amd64\"");
        assert_refused(&profile(vec![rule(&[], "SCMP_ACT_X", &[])]), "SCMP_ACT_X");
        assert_refused(&profile(vec![rule(&["write"], "SCMP_ACT_NOTIFY", &[])]), "write");
        assert_refused(&Seccomp { default_action: "SCMP_ACT_NOTIFY".into(), ..good.clone() }, "default");
        assert!(compile(&profile(vec![rule(&["mkdir"], "SCMP_ACT_NOTIFY", &[])])).is_ok());
        assert_refused(&profile(vec![rule(&[], "SCMP_ACT_ALLOW", &[(0, 1, "==")])]), "operator \"==\"");
        assert_refused(&profile(vec![rule(&[], "SCMP_ACT_ALLOW", &[(6, 1, "SCMP_CMP_EQ")])]), "index 6");
        assert_refused(&profile(vec![rule(&[], "SCMP_ACT_ALLOW", &[(256, 1, "SCMP_CMP_EQ")])]), "index 256");
    }

    #[test]
    fn errnos_are_for_actions_that_have_one() {
        let with = |action: &str, errno| Seccomp {
            default_action: action.into(),
            default_errno_ret: Some(errno),
            ..profile(vec![rule(&["read"], "SCMP_ACT_LOG", &[])])
        };
        assert!(compile(&with("SCMP_ACT_ERRNO", 4095)).is_ok());
        assert!(compile(&with("SCMP_ACT_TRACE", 65535)).is_ok());
        assert_refused(&with("SCMP_ACT_ERRNO", 4096), "defaultErrnoRet 4096");
        assert_refused(&with("SCMP_ACT_TRACE", 65536), "65536");
        assert_refused(&with("SCMP_ACT_ALLOW", 1), "no defaultErrnoRet");
        assert_same(&with("SCMP_ACT_ERRNO", 1), &profile(vec![rule(&["read"], "SCMP_ACT_LOG", &[])]));
    }

    #[test]
    fn the_native_architecture_is_always_there_and_foreign_ones_never() {
        let plain = profile(vec![rule(&["read"], "SCMP_ACT_ALLOW", &[])]);
        let listing = |names: &[&str]| Seccomp {
            architectures: names.iter().map(|name| (*name).to_owned()).collect(),
            ..plain.clone()
        };
        assert_same(&plain, &listing(&["SCMP_ARCH_S390X", "SCMP_ARCH_NATIVE", "SCMP_ARCH_RISCV64"]));
        for native in [Architecture::X86_64, Architecture::Aarch64] {
            let one = compile_for(&plain, native).expect("compiles");
            let all = listing(&["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM", "SCMP_ARCH_X86"]);
            let family = compile_for(&all, native).expect("compiles");
            assert!(family.instruction_count() > one.instruction_count());
        }
    }

    #[test]
    fn tests_on_one_argument_are_alternatives() {
        let (one, two) = ((0, 1, "SCMP_CMP_EQ"), (0, 2, "SCMP_CMP_EQ"));
        let together = profile(vec![rule(&["personality"], "SCMP_ACT_ALLOW", &[one, two])]);
        let apart = profile(vec![
            rule(&["personality"], "SCMP_ACT_ALLOW", &[one]),
            rule(&["personality"], "SCMP_ACT_ALLOW", &[two]),
        ]);
        assert_same(&together, &apart);
        let on_two_arguments = profile(vec![rule(&["personality"], "SCMP_ACT_ALLOW", &[one, (1, 2, "SCMP_CMP_EQ")])]);
        assert_ne!(compile(&on_two_arguments), compile(&apart));
    }

    #[test]
    fn flags_by_name() {
        let with = |names: &[&str]| {
            flags(&Seccomp { flags: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..Seccomp::default() })
        };
        assert_eq!(flags(&Seccomp::default()), Ok(Flags::SPEC_ALLOW));
        assert_eq!(with(&[]), Ok(Flags::NONE));
        assert_eq!(with(&["SECCOMP_FILTER_FLAG_TSYNC"]), Ok(Flags::NONE));
        let both = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
        assert_eq!(with(&both), Ok(Flags::LOG | Flags::SPEC_ALLOW));
        assert!(with(&["SECCOMP_FILTER_FLAG_NEW_LISTENER"]).is_err());
    }
}
