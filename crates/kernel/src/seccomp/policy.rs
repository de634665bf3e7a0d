//! What a filter shall decide, before it is a program: actions, argument tests, rules, architectures. Plain data that
//! borrows its lists, so a policy over constant tables costs no allocation. `compile.rs` gives it meaning.

use super::Syscall;

/// What happens to a system call (seccomp(2), "SECCOMP_RET_*").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    KillProcess,
    KillThread,
    /// SIGSYS to the thread.
    Trap,
    /// The call is not made and fails with this errno. The kernel caps it at 4095.
    Errno(u16),
    /// Hand over to a ptrace tracer with this value as its event message; ENOSYS where there is no tracer.
    Trace(u16),
    Log,
    Allow,
    /// Ask the supervisor that holds the filter's listener; ENOSYS where there is none.
    Notify,
}

impl Action {
    /// The 32-bit value a filter returns (linux/seccomp.h).
    pub(super) const fn value(self) -> u32 {
        match self {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x0003_0000,
            Action::Errno(errno) => 0x0005_0000 | errno as u32,
            Action::Notify => 0x7fc0_0000,
            Action::Trace(message) => 0x7ff0_0000 | message as u32,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    /// Whether the call is, or may be, made. A tracer counts: it is expected to cope with calls it does not know.
    pub(super) const fn permits(self) -> bool {
        matches!(self, Action::Allow | Action::Log | Action::Trace(_))
    }
}

/// One system call table. x86-64 and x32 share the kernel's architecture value and are told apart by a bit in the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
}

impl Architecture {
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Architecture = Architecture::X86_64;
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Architecture = Architecture::Aarch64;

    /// What this machine's kernel may run: its own table first, then the older ones beside it.
    pub const fn family(self) -> &'static [Architecture] {
        match self {
            Architecture::X86_64 | Architecture::X86 | Architecture::X32 => {
                &[Architecture::X86_64, Architecture::X86, Architecture::X32]
            }
            Architecture::Aarch64 | Architecture::Arm => &[Architecture::Aarch64, Architecture::Arm],
        }
    }

    /// `AUDIT_ARCH_*` (linux/audit.h), as the kernel puts it into `seccomp_data.arch`.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Architecture::X86_64 | Architecture::X32 => 0xc000_003e,
            Architecture::X86 => 0x4000_0003,
            Architecture::Aarch64 => 0xc000_00b7,
            Architecture::Arm => 0x4000_0028,
        }
    }

    /// Whether an argument can have bits above the 32nd. x32 calls hand over whole 64-bit registers.
    pub(super) const fn has_wide_arguments(self) -> bool {
        matches!(self, Architecture::X86_64 | Architecture::X32 | Architecture::Aarch64)
    }
}

/// How an argument compares with a constant; unsigned, 64 bits wide.
///
/// On 32-bit tables arguments arrive zero-extended, so a constant with all upper 32 bits set (a negative number written
/// in 64 bits) is taken as its 32-bit form there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    /// `argument & mask == value & mask`
    MaskedEqual {
        mask: u64,
        value: u64,
    },
}

/// A test on one argument, 0 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Test {
    pub argument: u8,
    pub comparison: Comparison,
}

/// `action` for each of `syscalls`, if all `tests` hold. Several tests may look at the same argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    pub syscalls: &'a [Syscall],
    pub tests: &'a [Test],
    pub action: Action,
}

/// A whole filter. Among the rules for one system call, as libseccomp has it:
///
/// 1. a rule whose action is the default's is skipped (it still makes the call a known one, see below);
/// 2. the first rule without tests decides, wherever it stands;
/// 3. else the first rule whose tests all hold;
/// 4. else `default`.
///
/// A number above all that the rules name is a call newer than the policy. Where `default` refuses calls, such a call
/// fails with ENOSYS, so that programs fall back to what they did before the call existed (runc does the same).
/// Calls of an architecture that is not listed kill the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy<'a> {
    pub default: Action,
    pub architectures: &'a [Architecture],
    pub rules: &'a [Rule<'a>],
}
