//! Seccomp profiles as users know them: docker's default, and JSON files in docker's or podman's format or as plain OCI
//! documents. Called while a container's specification is made. The compiling is `runtime::seccomp`'s and, where the
//! default is meant and no document is needed, [`default_program`]'s straight from the tables.

mod errno;
mod json;

use crate::defaults::seccomp::{GROUPS, Group, OTHERWISE};
use kernel::seccomp::{Action, Architecture, Comparison, Policy, Program, Rule, Test};
use spec::runtime::{Seccomp, SeccompArg, SeccompRule};

pub use json::from_json;

/// (major, minor) of the running kernel; (0, 0), older than every condition, where its release cannot be read.
pub fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_str().unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}

/// Docker's default profile for a container with these capabilities (one bit per number), on this machine's architecture.
pub fn default_profile(capabilities: u64, kernel_version: (u32, u32)) -> Seccomp {
    let machine = Architecture::NATIVE;
    Seccomp {
        default_action: action_name(OTHERWISE).to_owned(),
        default_errno_ret: errno(OTHERWISE),
        architectures: machine.family().iter().map(|a| architecture_name(*a).to_owned()).collect(),
        syscalls: groups(machine, capabilities, kernel_version).map(rule).collect(),
        ..Seccomp::default()
    }
}

/// The filter of [`default_profile`] without the document between. Load it with `Flags::SPEC_ALLOW`.
pub fn default_program(capabilities: u64, kernel_version: (u32, u32)) -> Program {
    let machine = Architecture::NATIVE;
    let rules: Vec<Rule> = groups(machine, capabilities, kernel_version)
        .map(|group| Rule { syscalls: group.syscalls, tests: group.tests, action: group.action })
        .collect();
    kernel::seccomp::compile(&Policy { default: OTHERWISE, architectures: machine.family(), rules: &rules })
        .expect("constant tables of a tenth of the allowed size, each choice of them compiled in the tests")
}

/// The groups that hold for such a container, in the tables' order.
fn groups(
    machine: Architecture,
    capabilities: u64,
    kernel_version: (u32, u32),
) -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().filter(move |group| {
        group.with & !capabilities == 0
            && group.without & capabilities == 0
            && group.machine.is_none_or(|wanted| wanted == machine)
            && kernel_version >= group.kernel_min
    })
}

fn rule(group: &Group) -> SeccompRule {
    SeccompRule {
        names: group.syscalls.iter().map(|syscall| syscall.name().to_owned()).collect(),
        action: action_name(group.action).to_owned(),
        errno_ret: errno(group.action),
        args: group.tests.iter().map(arg).collect(),
    }
}

fn arg(test: &Test) -> SeccompArg {
    let (op, value, value_two) = match test.comparison {
        Comparison::Equal(value) => ("SCMP_CMP_EQ", value, 0),
        Comparison::NotEqual(value) => ("SCMP_CMP_NE", value, 0),
        Comparison::Less(value) => ("SCMP_CMP_LT", value, 0),
        Comparison::LessOrEqual(value) => ("SCMP_CMP_LE", value, 0),
        Comparison::Greater(value) => ("SCMP_CMP_GT", value, 0),
        Comparison::GreaterOrEqual(value) => ("SCMP_CMP_GE", value, 0),
        Comparison::MaskedEqual { mask, value } => ("SCMP_CMP_MASKED_EQ", mask, value),
    };
    SeccompArg { index: u32::from(test.argument), value, value_two, op: op.to_owned() }
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::KillProcess => "SCMP_ACT_KILL_PROCESS",
        Action::KillThread => "SCMP_ACT_KILL_THREAD",
        Action::Trap => "SCMP_ACT_TRAP",
        Action::Errno(_) => "SCMP_ACT_ERRNO",
        Action::Trace(_) => "SCMP_ACT_TRACE",
        Action::Log => "SCMP_ACT_LOG",
        Action::Allow => "SCMP_ACT_ALLOW",
        Action::Notify => "SCMP_ACT_NOTIFY",
    }
}

fn errno(action: Action) -> Option<u32> {
    match action {
        Action::Errno(errno) | Action::Trace(errno) => Some(u32::from(errno)),
        _ => None,
    }
}

fn architecture_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "SCMP_ARCH_X86_64",
        Architecture::X86 => "SCMP_ARCH_X86",
        Architecture::X32 => "SCMP_ARCH_X32",
        Architecture::Aarch64 => "SCMP_ARCH_AARCH64",
        Architecture::Arm => "SCMP_ARCH_ARM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KERNEL: (u32, u32) = (6, 1);

    /// Not only the verdicts: instruction for instruction.
    fn assert_program_is_of_profile(capabilities: u64, kernel_version: (u32, u32)) {
        let profile = default_profile(capabilities, kernel_version);
        let compiled = runtime::seccomp::compile(&profile).unwrap();
        assert_eq!(default_program(capabilities, kernel_version), compiled, "{capabilities:#x}");
    }

    #[test]
    fn the_program_is_that_of_the_profile() {
        for kernel_version in [(4, 7), (4, 8), (5, 14)] {
            assert_program_is_of_profile(0, kernel_version);
            assert_program_is_of_profile(u64::MAX, kernel_version);
            for number in 0..41 {
                assert_program_is_of_profile(1 << number, kernel_version);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_program_is_that_of_the_profile_for_any_capabilities(capabilities in any::<u64>()) {
            assert_program_is_of_profile(capabilities, KERNEL);
        }
    }

    fn rules_for<'a>(profile: &'a Seccomp, name: &str) -> Vec<&'a SeccompRule> {
        profile.syscalls.iter().filter(|rule| rule.names.iter().any(|n| n == name)).collect()
    }

    #[test]
    fn capabilities_open_what_belongs_to_them() {
        const SYS_ADMIN: u64 = 1 << 21;
        let (plain, admin) = (default_profile(0, KERNEL), default_profile(SYS_ADMIN, KERNEL));
        assert_eq!(plain.default_errno_ret, Some(1));
        for never in ["keyctl", "io_uring_setup", "kexec_load", "userfaultfd", "swapon", "nfsservctl"] {
            assert!(rules_for(&default_profile(u64::MAX, KERNEL), never).is_empty(), "{never}");
        }
        for of_admin in ["mount", "setns", "unshare", "bpf"] {
            assert!(rules_for(&plain, of_admin).is_empty(), "{of_admin}");
            assert_eq!(rules_for(&admin, of_admin).len(), 1, "{of_admin}");
        }
        let clone3 = rules_for(&plain, "clone3");
        assert_eq!((clone3.len(), clone3[0].errno_ret), (1, Some(38)));
        assert_eq!(rules_for(&admin, "clone3")[0].action, "SCMP_ACT_ALLOW");
        assert_eq!(rules_for(&plain, "clone")[0].args[0].value, 0x7e02_0000);
        assert!(rules_for(&admin, "clone")[0].args.is_empty());
        assert_eq!(rules_for(&default_profile(0, (4, 7)), "ptrace").len(), 0);
        assert_eq!(rules_for(&plain, "socket").len(), 3);
    }

    #[test]
    fn other_machines_have_their_own_calls() {
        let names = |machine| groups(machine, 0, KERNEL).flat_map(|group| group.syscalls).map(|s| s.name());
        assert!(names(Architecture::Aarch64).any(|name| name == "set_tls"));
        assert!(!names(Architecture::Aarch64).any(|name| name == "arch_prctl"));
        assert!(names(Architecture::X86_64).any(|name| name == "arch_prctl"));
        for machine in [Architecture::X86_64, Architecture::Aarch64] {
            let rules: Vec<Rule> = groups(machine, 0, KERNEL)
                .map(|group| Rule { syscalls: group.syscalls, tests: group.tests, action: group.action })
                .collect();
            let policy = Policy { default: OTHERWISE, architectures: machine.family(), rules: &rules };
            assert!(kernel::seccomp::compile(&policy).unwrap().instruction_count() < 400);
        }
    }

    #[test]
    fn this_kernel_has_a_version() {
        assert!(kernel_version() >= (5, 0), "{:?}", kernel_version());
    }
}
