//! Putting a filter on the calling thread: the last step before `execve`, called in a container's child. Does not set
//! no_new_privs, which is `prctl.rs`'s; allocates nothing unless it fails.

use super::program::Program;
use crate::error::{Error, Result, last_errno};
use std::ops::BitOr;

/// Flags of `SECCOMP_SET_MODE_FILTER`, all known since Linux 4.17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(pub(super) u32);

impl Flags {
    pub const NONE: Flags = Flags(0);
    /// Log all actions but Allow, as far as /proc/sys/kernel/seccomp/actions_logged lets them.
    pub const LOG: Flags = Flags(libc::SECCOMP_FILTER_FLAG_LOG as u32);
    /// Leave the speculative store bypass mitigation as it is. Without it, kernels before 5.16 slow the process down.
    pub const SPEC_ALLOW: Flags = Flags(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32);
    /// A thread that waits for its listener's answer is woken by fatal signals only (Linux 5.19).
    pub const WAIT_KILLABLE: Flags = Flags(1 << 5);

    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// Filters the calling thread, and what it starts, for good. `EACCES` unless the thread has no_new_privs set or
/// CAP_SYS_ADMIN in its user namespace; `EINVAL` for a program the kernel does not accept.
pub fn load(program: &Program, flags: Flags) -> Result<()> {
    apply(program, flags.0).map(drop)
}

/// What the call returns: the listener's number, or 0.
pub(super) fn apply(program: &Program, flags: u32) -> Result<libc::c_long> {
    let instructions = program.instructions();
    let descriptor = libc::sock_fprog {
        // Cannot be cut off: `Program` holds at most 4096.
        len: instructions.len() as libc::c_ushort,
        filter: instructions.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `descriptor` points at `len` instructions with the layout of `sock_filter`; the kernel copies them and
    // writes to none. Without TSYNC, SECCOMP_SET_MODE_FILTER returns 0, a descriptor or an error.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const descriptor) };
    if result >= 0 { Ok(result) } else { Err(Error::new("load the seccomp filter", last_errno())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::program::Instruction;

    use crate::seccomp::{Action, Architecture, Comparison, Policy, Rule, Syscall, Test, compile, named};
    use rustix::io::Errno;

    /// Forks, filters the child with `policy`, and gives what waitpid says of a child that then exits with `status()`.
    fn in_child(policy: &Policy, status: fn() -> i32) -> i32 {
        let program = compile(policy).unwrap();
        // SAFETY: the child of this threaded process makes system calls only; neither `load` nor `status` allocates.
        unsafe {
            let pid = libc::fork();
            assert!(pid >= 0, "fork");
            if pid == 0 {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                let loaded = load(&program, Flags::SPEC_ALLOW).is_ok();
                libc::syscall(libc::SYS_exit_group, if loaded { status() } else { 99 });
            }
            let mut wait_status = 0;
            assert_eq!(libc::waitpid(pid, &mut wait_status, 0), pid);
            wait_status
        }
    }

    /// The errno of a system call that fails; 0 where it does not.
    fn errno_of(number: libc::c_long, argument: u64) -> i32 {
        // SAFETY: only called with getppid, personality and numbers no kernel has; none takes a pointer.
        match unsafe { libc::syscall(number, argument) } {
            -1 => std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
            _ => 0,
        }
    }

    const NEEDED: [Syscall; 2] = named(&["exit_group", "getpid"]);
    const PERSONALITY: [Syscall; 1] = named(&["personality"]);
    const NOT_ALLOWED: Action = Action::Errno(libc::EPERM as u16);

    fn assert_exit(wait_status: i32, expected: i32) {
        assert!(libc::WIFEXITED(wait_status), "killed by signal {}", libc::WTERMSIG(wait_status));
        assert_eq!(libc::WEXITSTATUS(wait_status), expected);
    }

    fn assert_killed(wait_status: i32) {
        assert!(libc::WIFSIGNALED(wait_status), "exited with {}", libc::WEXITSTATUS(wait_status));
        assert_eq!(libc::WTERMSIG(wait_status), libc::SIGSYS);
    }

    #[test]
    fn calls_fail_or_pass_as_the_policy_says() {
        // Asks for the current personality; the other value would set it.
        let ask = [Test { argument: 0, comparison: Comparison::Equal(0xffff_ffff) }];
        let rules = [
            Rule { syscalls: &NEEDED, tests: &[], action: Action::Allow },
            Rule { syscalls: &PERSONALITY, tests: &ask, action: Action::Allow },
        ];
        let policy = Policy { default: NOT_ALLOWED, architectures: Architecture::NATIVE.family(), rules: &rules };
        assert_exit(in_child(&policy, || errno_of(libc::SYS_getpid, 0)), 0);
        assert_exit(in_child(&policy, || errno_of(libc::SYS_getppid, 0)), libc::EPERM);
        assert_exit(in_child(&policy, || errno_of(libc::SYS_personality, 0xffff_ffff)), 0);
        assert_exit(in_child(&policy, || errno_of(libc::SYS_personality, 0x20_0000)), libc::EPERM);
        assert_exit(in_child(&policy, || errno_of(0x3000, 0)), libc::ENOSYS);
    }

    #[test]
    fn refused_calls_kill() {
        let rules = [Rule { syscalls: &NEEDED, tests: &[], action: Action::Allow }];
        let policy =
            Policy { default: Action::KillProcess, architectures: Architecture::NATIVE.family(), rules: &rules };
        assert_killed(in_child(&policy, || errno_of(libc::SYS_getppid, 0)));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn x32_calls_kill_where_x32_is_not_listed() {
        let policy = Policy { default: Action::Allow, architectures: &[Architecture::X86_64], rules: &[] };
        assert_killed(in_child(&policy, || errno_of(0x4000_0000 + libc::SYS_getppid, 0)));
    }

    #[test]
    fn a_program_the_kernel_cannot_check_is_refused() {
        // A lone load: the kernel demands a return at the end.
        let program = Program::new(vec![Instruction { code: 0x20, jump_true: 0, jump_false: 0, operand: 0 }]).unwrap();
        // Nothing is filtered here: the program is refused whatever the thread may do.
        let errno = load(&program, Flags::NONE).unwrap_err().errno;
        assert!(errno == Errno::INVAL || errno == Errno::ACCESS, "{errno}");
    }
}
